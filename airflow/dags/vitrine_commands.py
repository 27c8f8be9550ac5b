"""How the DAGs run Vitrine's commands. Nothing of Vitrine is imported: a task is a command line.

The commands, and all that they need to know (database, model registry, catalogue), come from the environment
of Airflow's workers; see docs/retraining.md.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

VITRINE = '"${VITRINE_BIN:?has to name the command vitrine}"'
"""In a shell: the catalogue's commands."""

MODEL_TRAINING = '"${VITRINE_PYTHON:?has to name a Python that has model_training}" -m model_training'
"""In a shell: the commands on models."""

IN_RUN_FOLDER = """\
set -euo pipefail
run="${VITRINE_RUNS:?has to name a folder for runs}/{{ dag.dag_id }}_{{ run_id | cleaned }}"
mkdir -p "$run"
"""
"""First lines of a task that keeps files: a run of a DAG has one folder, for all of its tasks and tries."""

BAD_INPUT, NOT_EXECUTABLE, NOT_FOUND = 2, 126, 127
"""Exit codes: of our commands, where what was given has to be changed; of the shell."""

SKIP = 99
"""Exit code by which a task says that there is nothing for it to do."""


class CommandOperator(BashOperator):
    """A shell command that is tried again if it fails, except where that cannot help.

    Args:
        final: Exit codes after which it is not tried again.
        kwargs: See ``BashOperator``.
    """

    def __init__(
        self, *, final: Collection[int] = (BAD_INPUT, NOT_EXECUTABLE, NOT_FOUND), **kwargs: Any
    ) -> None:
        super().__init__(skip_on_exit_code=SKIP, **kwargs)
        self.final = tuple(final)

    def execute(self, context: Any) -> Any:
        """Run the command; its last line is the result."""
        try:
            return super().execute(context)
        except AirflowException as error:
            process = self.subprocess_hook.sub_process
            if process is not None and process.returncode in self.final:
                raise AirflowFailException(f"{error} Trying again would not help.") from error
            raise


# ------------------------------------------------------------------ filters of templates


def quoted(value: object) -> str:
    """One word of a shell's command line, whatever is in it."""
    return shlex.quote(str(value))


def option(value: object, name: str) -> str:
    """``--name=value``, as one word; nothing where there is no value."""
    return "" if value is None or value == "" else f"{name}={quoted(value)}"


def flag(value: object, name: str) -> str:
    """``--name``, or nothing."""
    return name if value else ""


def cleaned(run_id: str) -> str:
    """Part of a file's name that no two runs share, without what paths and addresses give a meaning to."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)
    return clean if clean == run_id else f"{clean}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


SETTINGS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    # What was missed is not made up for: every run looks at the library as it is.
    "catchup": False,
    # Two would train on, promote or tag the same library.
    "max_active_runs": 1,
    "user_defined_filters": {"quoted": quoted, "option": option, "flag": flag, "cleaned": cleaned},
    "default_args": {
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 3.0,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=6),
    },
}
"""What all DAGs have in common."""
