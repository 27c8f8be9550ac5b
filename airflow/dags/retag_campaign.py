"""Tag again what an older version tagged, or whatever a query finds."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from vitrine_alerts import alerts
from vitrine_commands import SETTINGS, VITRINE, CommandOperator

DOC = """
### Tag again

Asks for a new answer of the model for every asset whose newest answer is not the champion's, or for what a
search finds. It keeps the queue short (`open`), so that what people upload is not held up, and waits until
all of it is answered. What people decided stays.

A task that is run again goes on: an asset that has its new answer is not asked again (with `again` it is).
It **fails** when the database cannot be reached, when the query cannot be understood, or when no version is
known to serve under the label. Assets that could not be tagged are in the ledger, with their reasons.
"""

with DAG(
    "retag_campaign",
    description="Tag again what an older version tagged, or what a query finds.",
    doc_md=DOC,
    tags=["vitrine", "library"],
    schedule=None,
    **alerts("retag_campaign", within=timedelta(days=7)),
    params={
        "query": Param(
            "",
            type="string",
            description="Search (docs/search.md). Empty: what the champion has not answered.",
        ),
        "model_version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Only assets whose newest answer is of this version. Empty: of any other.",
        ),
        "again": Param(
            default=False, type="boolean", description="Also assets whose newest answer is of that version."
        ),
        "label": Param(
            "champion",
            type="string",
            enum=["champion", "challenger", "predecessor"],
            description="Whose answer is asked for.",
        ),
        "open": Param(
            2000, type="integer", minimum=1, maximum=100_000, description="At most so many jobs at a time."
        ),
    },
    **SETTINGS,
) as dag:
    CommandOperator(
        task_id="retag",
        bash_command=f"""\
set -euo pipefail
{VITRINE} retag {{{{ params.query | option('--query') }}}} \
{{{{ params.model_version | option('--model-version') }}}} {{{{ params.again | flag('--again') }}}} \
--label={{{{ params.label | quoted }}}} --open={{{{ params.open | quoted }}}} --wait --json
""",
        execution_timeout=timedelta(days=7),
    )
