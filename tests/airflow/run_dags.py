"""Run by Airflow's Python: ``airflow dags test`` for several runs in one process, which starts once for all.

Takes a JSON list of ``{"dag", "params", "environment"}`` and prints one of ``{"code", "tasks", "said"}``:
the exit code, the state of each task with how often it was tried, and the error that ended it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from airflow.cli.cli_parser import get_parser
from airflow.models.dagrun import DagRun
from airflow.sdk.exceptions import AirflowException
from airflow.utils.session import create_session


def run(dag: str, params: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    os.environ.update(environment)
    arguments = get_parser().parse_args(["dags", "test", dag, "--conf", json.dumps(params)])
    try:
        arguments.func(arguments)
    except (AirflowException, SystemExit) as error:
        code, said = 1, f"{type(error).__name__}: {error}"
    else:
        code, said = 0, ""
    with create_session() as session:
        newest = session.query(DagRun).filter(DagRun.dag_id == dag).order_by(DagRun.id.desc()).first()
        tasks = (
            {task.task_id: [task.state, task.try_number] for task in newest.task_instances} if newest else {}
        )
    return {"code": code, "said": said, "tasks": tasks}


def main() -> None:
    results = [run(**wanted) for wanted in json.loads(sys.argv[1])]
    print(json.dumps(results), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
