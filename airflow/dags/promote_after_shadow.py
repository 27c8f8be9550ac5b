"""Promote the challenger when it was compared with the champion on enough."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, PokeReturnValue, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from vitrine_alerts import alerts
from vitrine_commands import (
    BAD_INPUT,
    MODEL_TRAINING,
    NOT_EXECUTABLE,
    NOT_FOUND,
    SETTINGS,
    CommandOperator,
)

log = logging.getLogger(__name__)

DOC = """
### Promote after the shadow

Waits until champion and challenger have both answered enough pictures of this library, and people have
decided on enough of them; then asks for the promotion and waits until it is done. The catalogue's gate has
the last word: it refuses a challenger that may be worse or is slower.

| task | fails when |
|---|---|
| compared_enough | after a week it was not enough; a newer version has become the challenger |
| promote | the gate refuses (its reasons are in the log), or the model server does not take the version |

A version that is champion already is left alone: the run is skipped. Until the promotion is done the champion
serves. A champion that turns out badly is rolled back by the catalogue itself.
"""

_REFUSED = 1
"""Exit code where the gate refuses, where there is nothing to compare, and where nobody answers."""


def _asked(*words: str) -> dict[str, Any] | None:
    """What one of our commands says as JSON; None: it has nothing to say, or nobody answers."""
    command = [os.environ["VITRINE_PYTHON"], "-m", "model_training", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log.info("%s: %s", " ".join(words), done.stderr.strip())
    if done.returncode not in (0, _REFUSED):
        raise AirflowFailException(f"{words[0]} ended with {done.returncode}: trying again would not help")
    if not done.stdout.strip():
        return None
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _challenger(wanted: int | None) -> int | None:
    """Number on the model server of the challenger, once it is the one that is wanted."""
    in_service = _asked("rollout")
    if in_service is None:
        return None
    champion, challenger = in_service["champion"], in_service["challenger"]
    if wanted is not None and champion is not None and champion["registry_version"] == wanted:
        raise AirflowSkipException(f"version {wanted} is the champion already")
    if challenger is None:
        return None
    found = challenger["registry_version"]
    if wanted is not None and found != wanted:
        if found is not None and found > wanted:
            raise AirflowFailException(f"version {found} is the challenger now, no longer {wanted}")
        return None
    number: int = challenger["version"]
    return number


with DAG(
    "promote_after_shadow",
    description="Wait until the challenger was compared on enough, then promote it.",
    doc_md=DOC,
    tags=["vitrine", "models"],
    schedule=None,
    **alerts("promote_after_shadow", within=timedelta(days=8)),
    params={
        "version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Number in MLflow's registry that has to be the challenger. Empty: whichever is.",
        ),
        "pictures": Param(
            300, type="integer", minimum=1, description="So many pictures that both have answered."
        ),
        "reviews": Param(
            100, type="integer", minimum=1, description="So many decisions of people on these pictures."
        ),
    },
    **SETTINGS,
) as dag:

    @task.sensor(
        mode="reschedule",
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=7),
        execution_timeout=timedelta(minutes=30),
    )
    def compared_enough(params: dict[str, Any]) -> PokeReturnValue:
        """Wait. Its result is the number on the model server of the version that was compared."""
        version = _challenger(params["version"])
        compared = _asked("compare") if version is not None else None
        if compared is None or compared["challenger"]["version"] != version:
            return PokeReturnValue(is_done=False)
        log.info("version %s: %s pictures, %s decisions", version, compared["pictures"], compared["reviews"])
        enough = compared["pictures"] >= params["pictures"] and compared["reviews"] >= params["reviews"]
        return PokeReturnValue(is_done=enough, xcom_value=version)

    promote = CommandOperator(
        task_id="promote",
        bash_command=f"""\
set -euo pipefail
{MODEL_TRAINING} promote {{{{ ti.xcom_pull(task_ids='compared_enough') | quoted }}}} --wait
""",
        # What the gate refuses it refuses again. Whoever knows better says so by --force, with a reason.
        final=(_REFUSED, BAD_INPUT, NOT_EXECUTABLE, NOT_FOUND),
    )
    compared_enough() >> promote
