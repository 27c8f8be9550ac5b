"""Look every night whether everything that was uploaded is accounted for, and how the models stand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from vitrine_alerts import alerts
from vitrine_commands import IN_RUN_FOLDER, MODEL_TRAINING, SETTINGS, SKIP, VITRINE, CommandOperator

DOC = """
### Nightly quality

Writes into `VITRINE_RUNS/nightly_quality_<run id>`:

- `ledger.json`: what became of every upload and every job. *ledger* fails where the sums do not agree,
  *within_limits* where more assets failed, or a job waits longer, than the parameters allow;
- `rollout.json`: what is in service, and how the champion stands since its promotion;
- `comparison.json`: champion and challenger; skipped where there is no challenger.

The last two fail only if the catalogue does not answer. A ledger that does not agree is a defect:
docs/reliability.md says what to look at. All tasks only read.
"""

with DAG(
    "nightly_quality",
    description="The ledger has to agree; how the models stand.",
    doc_md=DOC,
    tags=["vitrine", "quality"],
    schedule="30 3 * * *",
    **alerts("nightly_quality", within=timedelta(hours=2)),
    params={
        "most_failed": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            description="Fail if more assets than this could not be tagged. Empty: any number is let pass.",
        ),
        "most_waiting_s": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            description="Fail if a job waits longer than so many seconds. Empty: however long.",
        ),
    },
    **SETTINGS,
) as dag:
    ledger = CommandOperator(
        task_id="ledger",
        # Shown at the end, also where it does not agree.
        bash_command=IN_RUN_FOLDER
        + f"""\
trap 'cat "$run/ledger.json"' EXIT
{VITRINE} ledger --json > "$run/ledger.json"
""",
        output_processor=json.loads,
        retries=2,
    )

    @task(retries=0)
    def within_limits(ledger: dict[str, Any], params: dict[str, Any]) -> None:
        """Hold the ledger against the parameters."""
        found = {"most_failed": ledger["failed"], "most_waiting_s": ledger["oldest_open_s"] or 0}
        beyond = [
            f"{name}: {value:g}, and {params[name]} is allowed"
            for name, value in found.items()
            if params[name] is not None and value > params[name]
        ]
        if beyond:
            raise AirflowFailException("; ".join(beyond))

    in_service = CommandOperator(
        task_id="in_service",
        bash_command=IN_RUN_FOLDER
        + f"""\
{MODEL_TRAINING} rollout --json > "$run/rollout.json"
cat "$run/rollout.json"
""",
    )
    comparison = CommandOperator(
        task_id="comparison",
        # A challenger that the gate would refuse is no defect: it is enough that there is an answer.
        bash_command=IN_RUN_FOLDER
        + f"""\
if grep -q '^ "challenger": null' "$run/rollout.json"; then exit {SKIP}; fi
{MODEL_TRAINING} compare --json > "$run/comparison.json" || test -s "$run/comparison.json"
""",
    )
    in_service >> comparison
    within_limits(ledger.output)
