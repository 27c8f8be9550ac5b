"""From what people decided to a challenger."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from airflow.sdk import DAG, Param, chain

from vitrine_alerts import alerts
from vitrine_commands import (
    BAD_INPUT,
    IN_RUN_FOLDER,
    MODEL_TRAINING,
    NOT_EXECUTABLE,
    NOT_FOUND,
    SETTINGS,
    SKIP,
    VITRINE,
    CommandOperator,
)

DOC = """
### Retrain on what people decided

Exports the decisions, trains a network on them, measures it, holds it against the champion on the pictures
that it did not learn from, and registers it as the **challenger**: it then sees a share of live traffic, and
nobody sees its answers. `promote_after_shadow` goes on from there.

All files of a run lie in one folder, `VITRINE_RUNS/retrain_<run id>`. A task that is cleared and run again
finishes what is there. Decisions are exported once in a run: another run sees newer ones.

| task | fails when |
|---|---|
| export_claims | nobody decided on anything; bytes of a picture are missing; the catalogue is down |
| prepare | pictures or labels are not what the configuration says |
| train | the loss became no number; the configuration cannot be followed |
| evaluate | no picture is held out |
| gate | the network is surely worse than the champion, or below `min_map`. `gate.json` says by how much |
| export, register | the disk or MLflow is down |
| challenge | MLflow is down |
"""

with DAG(
    "retrain",
    description="Export decisions, train, measure, gate, register, challenge the champion.",
    doc_md=DOC,
    tags=["vitrine", "models"],
    # Cron, or nothing: then somebody starts it. A schedule needs VITRINE_RETRAIN_CONFIG.
    schedule=os.environ.get("VITRINE_RETRAIN_SCHEDULE") or None,
    **alerts("retrain", within=timedelta(hours=24)),
    params={
        "config": Param(
            os.environ.get("VITRINE_RETRAIN_CONFIG", ""),
            type="string",
            minLength=1,
            title="Configuration",
            description="YAML file of the training (docs/training.md), as the workers see it. Its source of "
            "decisions, if it has one, is replaced by this run's export.",
        ),
        "collection": Param(
            "", type="string", description="Only what is in this collection: Travel/2026. Empty: all."
        ),
        "since": Param(
            "",
            type="string",
            pattern=r"^(\d{4}-\d{2}-\d{2}(T.+)?)?$",
            description="Only assets on which somebody decided since then: 2026-11-01. Empty: all.",
        ),
        "folds": Param(
            None,
            type=["null", "integer"],
            minimum=2,
            description="Measure by cross-validation over so many parts. Empty: on what is held out.",
        ),
        "champion": Param(
            "",
            type="string",
            description="Version folder that the gate compares with. Empty: the champion of MLflow.",
        ),
        "champion_data": Param(
            "",
            type="string",
            description="Prepared data that the champion was trained on, so that the gate leaves out what it "
            "learned from: VITRINE_RUNS/retrain_<run id>/prepared. Empty: nothing is known of it.",
        ),
        "alone": Param(
            default=False,
            type="boolean",
            description="Compare with nobody: for labels that no champion knows.",
        ),
        "most_lost": Param(
            0.02, type="number", minimum=0, maximum=1, description="So much less mAP is let pass."
        ),
        "min_map": Param(
            None, type=["null", "number"], minimum=0, maximum=1, description="Fail below this mAP."
        ),
        "challenge": Param(
            default=True,
            type="boolean",
            description="Make it the challenger. Otherwise it is only registered.",
        ),
    },
    **SETTINGS,
) as dag:
    configured = '--config={{ params.config | quoted }} --decisions="$run/claims"'

    export_claims = CommandOperator(
        task_id="export_claims",
        # Once in a run: with newer decisions the tasks behind would find other data than they began with.
        # The folder gets its name when it is complete.
        bash_command=IN_RUN_FOLDER
        + f"""\
if test -d "$run/claims"; then echo "exported already"; exit 0; fi
{VITRINE} export_claims --to "$run/claims.new" \
{{{{ params.collection | option('--collection') }}}} {{{{ params.since | option('--since') }}}} --json
mv -T "$run/claims.new" "$run/claims"
""",
    )
    prepare = CommandOperator(
        task_id="prepare",
        bash_command=IN_RUN_FOLDER + f'{MODEL_TRAINING} prepare {configured} --to "$run/prepared"\n',
    )
    train = CommandOperator(
        task_id="train",
        bash_command=IN_RUN_FOLDER
        + f'{MODEL_TRAINING} train {configured} --data "$run/prepared" --to "$run" --resume\n',
        execution_timeout=timedelta(hours=20),
    )
    evaluate = CommandOperator(
        task_id="evaluate",
        bash_command=IN_RUN_FOLDER
        + f"""{MODEL_TRAINING} evaluate --run "$run" {{{{ params.folds | option('--folds') }}}}\n""",
    )
    gate = CommandOperator(
        task_id="gate",
        bash_command=IN_RUN_FOLDER
        + f"""\
{MODEL_TRAINING} gate --run "$run" --most-lost={{{{ params.most_lost | quoted }}}} \
{{{{ params.min_map | option('--min-map') }}}} {{{{ params.alone | flag('--alone') }}}} \
{{{{ params.champion | option('--champion') }}}} {{{{ params.champion_data | option('--rival-data') }}}}
""",
        # The same pictures give the same verdict.
        final=(1, BAD_INPUT, NOT_EXECUTABLE, NOT_FOUND),
    )
    export = CommandOperator(
        task_id="export",
        bash_command=IN_RUN_FOLDER
        + f'{MODEL_TRAINING} export --run "$run" --to "$run/models" --version 1 --once\n',
    )
    register = CommandOperator(
        task_id="register",
        # Below models/ lies one folder, named as the registered model of the configuration.
        bash_command=IN_RUN_FOLDER
        + f"""\
{MODEL_TRAINING} register --run "$run" --model "$run"/models/*/1 --once --json > "$run/registered.json"
cat "$run/registered.json"
""",
        output_processor=json.loads,
    )
    challenge = CommandOperator(
        task_id="challenge",
        bash_command=f"""\
{{% if not params.challenge %}}exit {SKIP}{{% endif %}}
{MODEL_TRAINING} challenge {{{{ ti.xcom_pull(task_ids='register')['version'] | quoted }}}} \
--model={{{{ ti.xcom_pull(task_ids='register')['name'] | quoted }}}}
""",
        doc_md="Shadow: from now on the version sees a share of live traffic.",
    )
    chain(export_claims, prepare, train, evaluate, gate, export, register, challenge)
