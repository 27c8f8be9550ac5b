"""Where what happens in a run is written down: in MLflow, or nowhere.

Rooms that train and measure know the protocol :class:`Tracker` only. MLflow takes seconds to import, so
:class:`MlflowTracker` loads it when the run begins.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from model_training.config import Config

EPOCH_METRIC = "validation_map"
"""Name of the metric that training reports after every epoch (``step`` = epochs done, over both phases).

The search of hyperparameters maximises it and stops trials by it.
"""

_FILE = "mlflow.json"
# MLflow's limits for one request, and for the length of a parameter.
_PARAMS, _METRICS, _TAGS = 100, 1000, 100
_LONGEST_PARAM = 6000


class Tracker(Protocol):
    """Takes what a run says of itself. Nothing that it raises may be swallowed: a search ends trials so."""

    def params(self, values: Mapping[str, object]) -> None:
        """Note what the run was asked for, by dotted name. A name is noted once and keeps its value."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Note measurements; ``step`` counts epochs. Values that are not finite are left out."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, or of a folder with what is in it, below ``folder`` of the run."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Note facts by which runs are found: data hash, git commit."""


class NoTracker:
    """Writes nothing down."""

    def params(self, values: Mapping[str, object]) -> None:
        """Nothing."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Nothing."""


class UnknownRunError(Exception):
    """The store has no such run. The text says what to do."""


class MlflowTracker:
    """One run in MLflow. It begins with the first thing that is noted and ends when the block is left.

    An exception marks it as failed, Ctrl-C as killed. What is refused before it begins leaves no trace.

    Args:
        experiment: name of the experiment; made if it is not there.
        name: what a new run is called.
        folder: gets a file that says which run this is, so that evaluation and registration go on with it.
        resume: go on with the run that ``folder`` names, if it names one.
        parent: the run below which a new one is shown.
    """

    def __init__(
        self,
        experiment: str,
        *,
        name: str,
        folder: Path | None = None,
        resume: bool = False,
        parent: str | None = None,
    ) -> None:
        self._experiment = experiment
        self._name = name
        self._folder = folder
        self._resume = resume
        self._parent = parent
        self._run_id: str | None = None
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._run_id is not None:
            killed = error is not None and not issubclass(error, Exception)
            status = "FINISHED" if error is None else "KILLED" if killed else "FAILED"
            self._client.set_terminated(self._run_id, status)

    @property
    def run_id(self) -> str:
        """MLflow's name of the run, which begins now if it has not yet.

        Raises:
            UnknownRunError: it is to be resumed, and the store does not have it.
        """
        if self._run_id is None:
            from model_training.mlflow_runtime import client  # noqa: PLC0415 - takes seconds

            self._client = client()
            known = remembered_run(self._folder) if self._resume and self._folder else None
            self._run_id = self._resumed(known) if known else self._new_run()
            if self._folder is not None:
                remember_run(self._folder, self._run_id)
        return self._run_id

    def params(self, values: Mapping[str, object]) -> None:
        """See :class:`Tracker`."""
        run_id = self.run_id  # loads MLflow
        from mlflow.entities import Param  # noqa: PLC0415

        noted = self._client.get_run(run_id).data.params
        texts = {name: str(value)[:_LONGEST_PARAM] for name, value in values.items() if name not in noted}
        for some in _slices(texts, _PARAMS):
            self._client.log_batch(run_id, params=[Param(*pair) for pair in some])

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """See :class:`Tracker`."""
        run_id, now = self.run_id, time.time_ns() // 1_000_000
        from mlflow.entities import Metric  # noqa: PLC0415

        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        for some in _slices(finite, _METRICS):
            self._client.log_batch(run_id, metrics=[Metric(*pair, now, step or 0) for pair in some])

    def artifact(self, path: Path, folder: str = "") -> None:
        """See :class:`Tracker`."""
        run_id = self.run_id
        keep = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        keep(run_id, str(path), folder or None)

    def tags(self, values: Mapping[str, str]) -> None:
        """See :class:`Tracker`."""
        run_id = self.run_id
        from mlflow.entities import RunTag  # noqa: PLC0415

        for some in _slices(values, _TAGS):
            self._client.log_batch(run_id, tags=[RunTag(*pair) for pair in some])

    def _new_run(self) -> str:
        tags = {"mlflow.runName": self._name}
        if self._parent is not None:
            tags["mlflow.parentRunId"] = self._parent
        run = self._client.create_run(experiment_id(self._client, self._experiment), tags=tags)
        return str(run.info.run_id)

    def _resumed(self, run_id: str) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise UnknownRunError(
                f"{self._folder} belongs to MLflow's run {run_id}, which this store does not have: name the "
                f"store with MLFLOW_TRACKING_URI, or remove {_FILE} from the folder to begin a new run"
            ) from error
        return run_id


def experiment_id(client: Any, name: str) -> str:
    """The number of an experiment, which is made if it is not there."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    from model_training.mlflow_runtime import artifact_location  # noqa: PLC0415

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location()))
        except MlflowException:
            # Another process may have made it since we looked.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def parameters(config: Config) -> dict[str, object]:
    """What a run notes of its configuration: every value by its dotted name; lists as JSON."""
    return dict(_flat(config.model_dump(mode="json", exclude={"search"})))


def remember_run(folder: Path, run_id: str) -> None:
    """Note in a run's folder which MLflow run it is, so that evaluation and registration go on with it."""
    (folder / _FILE).write_text(json.dumps({"run_id": run_id}) + "\n", encoding="utf-8")


def remembered_run(folder: Path) -> str | None:
    """What :func:`remember_run` noted, or None."""
    try:
        return str(json.loads((folder / _FILE).read_text(encoding="utf-8"))["run_id"])
    except FileNotFoundError:
        return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value


def _slices(values: Mapping[str, Any], size: int) -> Iterator[list[tuple[str, Any]]]:
    pairs = iter(values.items())
    while some := list(islice(pairs, size)):
        yield some
