"""Run by Airflow's Python: prints as JSON what the DAGs are, as the scheduler will see them."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.execution_time.callback_supervisor import execute_callback
from airflow.serialization.serialized_objects import DagSerialization


class Kept(logging.Handler):
    """Remembers what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Quiet:
    """A log that nobody reads."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_kwargs: None


def missed(deadline: Any, folder: Path) -> list[str]:
    """What the deadline's callback says when it is called as Airflow calls it."""
    kept = Kept()
    logging.getLogger().addHandler(kept)
    context = {"dag_run": {"dag_run_id": "a-run"}}
    callback = deadline.callback
    did, why = execute_callback(
        callback.path, {**callback.kwargs, "context": context}, Path("a.py"), folder, Quiet()
    )
    logging.getLogger().removeHandler(kept)
    return kept.said if did else [f"failed: {why}"]


def main() -> None:
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    before = set(sys.modules)
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="tests")
    described = {
        dag.dag_id: {
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "doc": dag.doc_md,
            "tags": sorted(dag.tags),
            "schedule": dag.schedule if isinstance(dag.schedule, str) else None,
            "on_failure": bool(dag.on_failure_callback),
            "params": {
                name: {"description": param.description, **param.schema}
                for name, param in ((name, dag.params.get_param(name)) for name in dag.params)
            },
            "deadline_s": dag.deadline[0].interval.total_seconds() if dag.deadline else None,
            "missed": missed(dag.deadline[0], folder)
            if dag.deadline and type(dag.deadline[0].callback).__name__ == "SyncCallback"
            else None,
            "serialized": bool(DagSerialization.to_dict(dag)),
            "tasks": {
                task.task_id: {
                    "retries": task.retries,
                    "delay_s": task.retry_delay.total_seconds(),
                    "backoff": task.retry_exponential_backoff,
                    "most_delay_s": task.max_retry_delay.total_seconds() if task.max_retry_delay else None,
                    "timeout_s": task.execution_timeout.total_seconds() if task.execution_timeout else None,
                    "downstream": sorted(task.downstream_task_ids),
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    }
    modules = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
    print(
        json.dumps({"errors": dict(bag.import_errors), "dags": described, "modules": modules}),
        file=sys.__stdout__,
    )


if __name__ == "__main__":
    main()
