"""The trials of a search: taken one by one from a study in an SQLite file, by any number of processes."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model_training.config import Config
from model_training.search.space import Space, Value, changed
from model_training.tracking import EPOCH_METRIC, MlflowTracker, NoTracker, Tracker

STUDY = "search"
_NEVER_PRUNED = 4  # So many trials are needed to tell what is hopeless.

Train = Callable[[Config, Path, Path, Tracker, Console], None]
"""Trains by a configuration on a folder of prepared data into a folder that is not there yet."""


class NoEpochError(Exception):
    """A trial ended without having measured anything."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a process needs to take part in a search."""

    folder: Path
    config: Config
    space: Space
    prepared: Path
    train: Train
    jobs: int
    parent_run: str | None
    """MLflow's run of the search; None: the trials are not noted there."""


def train_on_prepared(config: Config, prepared: Path, to: Path, tracker: Tracker, console: Console) -> None:
    """The training that trials do, unless a search is given another."""
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415 - these load TensorFlow
    from model_training.training.run import train  # noqa: PLC0415

    train(config, load_prepared(prepared), to, tracker, console)


def open_study(folder: Path) -> Any:
    """The study in a folder; made if it is not there."""
    import optuna  # noqa: PLC0415 - takes a second

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=STUDY,
        storage=f"sqlite:///{(folder / 'study.db').resolve()}",
        direction="maximize",
        load_if_exists=True,
        # Hopeless: at its best so far worse than the median of the others at that epoch.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_NEVER_PRUNED, n_warmup_steps=1),
    )


def taken(study: Any) -> int:
    """How many trials of the plan are taken. Those that failed do not count: they are made up for."""
    from optuna.trial import TrialState  # noqa: PLC0415

    states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=states))


def work(plan: Plan) -> None:
    """Take trials until as many as planned are taken. Several processes may do so at once."""
    if plan.jobs > 1:
        # Read by TensorFlow when it is loaded: together the processes shall use each core once.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, (os.cpu_count() or 1) // plan.jobs)))
    study = open_study(plan.folder)
    while True:
        with _one_at_a_time(plan.folder):
            if taken(study) >= plan.config.search.trials:
                return
            study.sampler = _sampler(study, plan.config.training.seed)
            trial = study.ask()
            values = {name: wanted.suggest(trial, name) for name, wanted in plan.space.items()}
        _run(plan, study, trial, values)


def _sampler(study: Any, seed: int) -> Any:
    """A new one for each trial, or those of several processes, and of a search that goes on, would repeat."""
    import optuna  # noqa: PLC0415

    entropy = np.random.SeedSequence([seed, len(study.get_trials(deepcopy=False))])
    return optuna.samplers.TPESampler(seed=int(entropy.generate_state(1)[0]))


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial's training writes."""
    return folder / "trials" / f"{number:04}"


class _WatchedTracker:
    """Passes everything on, and ends a training whose trial is hopeless."""

    def __init__(self, tracker: Tracker, trial: Any) -> None:
        self._tracker = tracker
        self._trial = trial
        self._best = -math.inf

    def measured(self) -> float:
        """The best epoch's mAP."""
        if not math.isfinite(self._best):
            raise NoEpochError(f"trial {self._trial.number} ended without a finite {EPOCH_METRIC}")
        return self._best

    def params(self, values: Mapping[str, object]) -> None:
        self._tracker.params(values)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        import optuna  # noqa: PLC0415

        self._tracker.metrics(values, step)
        if step is None or EPOCH_METRIC not in values:
            return
        value = float(values[EPOCH_METRIC])
        if math.isfinite(value):
            self._best = max(self._best, value)
            self._trial.report(value, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"hopeless after epoch {step}")

    def artifact(self, path: Path, folder: str = "") -> None:
        self._tracker.artifact(path, folder)

    def tags(self, values: Mapping[str, str]) -> None:
        self._tracker.tags(values)


def _run(plan: Plan, study: Any, trial: Any, values: Mapping[str, Value]) -> None:
    import optuna  # noqa: PLC0415

    folder = trial_folder(plan.folder, trial.number)
    folder.parent.mkdir(exist_ok=True)
    try:
        with ExitStack() as stack:
            console = stack.enter_context(_console(plan, folder))
            tracker = stack.enter_context(_tracker(plan, trial.number))
            tracker.tags({"trial": str(trial.number)})
            watched = _WatchedTracker(tracker, trial)
            try:
                plan.train(changed(plan.config, values), plan.prepared, folder, watched, console)
            except optuna.TrialPruned:
                tracker.tags({"pruned": "true"})
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return
        study.tell(trial, watched.measured())
    except Exception:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise


def _tracker(plan: Plan, number: int) -> AbstractContextManager[Tracker]:
    if plan.parent_run is None:
        return nullcontext(NoTracker())
    name = f"{plan.config.name} trial {number}"
    return MlflowTracker(plan.config.tracking.experiment, name=name, parent=plan.parent_run)


@contextmanager
def _console(plan: Plan, folder: Path) -> Iterator[Console]:
    """The terminal for a trial that is alone; a file beside the trial's folder where several would mix."""
    if plan.jobs == 1:
        yield Console()
        return
    with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
        yield Console(file=log, width=110)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Between processes: to see how many trials are taken and to take one is one step."""
    with (folder / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
