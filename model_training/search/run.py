"""Searches for better hyperparameters; interrupted, it goes on where it was."""

from __future__ import annotations

import fcntl
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from model_training.config import Config, Search, save_config
from model_training.search.space import Value, changed, read_space
from model_training.search.trials import Plan, Train, open_study, train_on_prepared, trial_folder, work
from model_training.tracking import MlflowTracker

BEST = "best.yaml"
_SHOWN = 5
_LOOK_EVERY_S = 1.0


class SearchError(Exception):
    """This search cannot be made, or not here. The text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best trial. ``config``: the file of its configuration; ``folder``: what it trained."""

    value: float
    values: Mapping[str, Value]
    config: Path
    folder: Path
    pruned: int
    complete: int


def search(  # noqa: PLR0913 - the command has as many options
    config: Config,
    prepared: Path,
    to: Path,
    console: Console,
    *,
    jobs: int = 1,
    tracked: bool = True,
    train: Train = train_on_prepared,
) -> Found:
    """Train with other hyperparameters, ``config.search.trials`` times, and keep the best configuration.

    A trial is as good as the mAP of its best epoch on the validation pictures. Each is a run in MLflow below
    the run of the search. The study lies in ``to/study.db``, trainings in ``to/trials/``. Called again with
    the same folder it goes on: what is done stays, what was interrupted is tried again with the same values.

    Args:
        config: the configuration; ``search.parameters`` names what is tried.
        prepared: folder of prepared data, the same for all trials.
        to: folder of the search.
        console: progress is shown there.
        jobs: trials at a time, each in a process of its own if there are several.
        tracked: whether MLflow notes it.
        train: what a trial does.

    Raises:
        ConfigError: the parameters cannot be searched. Nothing has been started then.
        SearchError: the folder holds another search, or one that runs.
    """
    space = read_space(config)
    to.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone(to))
        study = open_study(to)
        _settle(study, config)
        _try_interrupted_again(study)
        parent = None
        if tracked:
            name = f"{config.name} search"
            tracker = MlflowTracker(config.tracking.experiment, name=name, folder=to, resume=True)
            parent = stack.enter_context(tracker).run_id
        plan = Plan(to, config, space, prepared, train, jobs, parent)
        _work_all(plan, study, console)
        found = _best(study, config, to)
        if tracked:
            tracker.params(found.values)
            tracker.metrics({"best_validation_map": found.value})
            tracker.artifact(found.config)
    _show(study, console)
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "search.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SearchError(
                f"a search runs in {folder} already; --jobs makes it do several trials"
            ) from error
        yield


def _settle(study: Any, config: Config) -> None:
    """Note what the study is about, or compare: the number of trials alone may change."""
    about = config.model_dump(mode="json", exclude={"name", "tracking", "evaluation", "card"})
    del about["search"]["trials"]
    noted = study.user_attrs.get("about")
    if noted is None:
        study.set_user_attr("about", about)
    elif noted != about:
        raise SearchError(
            "this folder holds a search of another configuration; name another folder with --to"
        )


def _try_interrupted_again(study: Any) -> None:
    """We are alone, so nobody works on a trial that is marked as running."""
    from optuna.trial import TrialState  # noqa: PLC0415

    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(left.number, state=TrialState.FAIL)
        study.enqueue_trial(left.params)


def _work_all(plan: Plan, study: Any, console: Console) -> None:
    if plan.jobs == 1:
        work(plan)
        return
    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A process that is forked from one with TensorFlow in it hangs.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(plan.jobs, mp_context=context) as pool,
        Progress(*columns, console=console) as progress,
    ):
        bar = progress.add_task("trials", total=plan.config.search.trials)
        working: set[Future[None]] = {pool.submit(work, plan) for _ in range(plan.jobs)}
        while working:
            ended, working = wait(working, timeout=_LOOK_EVERY_S)
            progress.update(bar, completed=_finished(study))
            for each in ended:
                each.result()


def _finished(study: Any) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _best(study: Any, config: Config, to: Path) -> Found:
    from optuna.trial import TrialState  # noqa: PLC0415

    best = study.best_trial
    path = to / BEST
    save_config(changed(config, best.params).model_copy(update={"search": Search()}), path)
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return Found(
        value=best.value,
        values=best.params,
        config=path,
        folder=trial_folder(to, best.number),
        pruned=states.count(TrialState.PRUNED),
        complete=states.count(TrialState.COMPLETE),
    )


def _show(study: Any, console: Console) -> None:
    from optuna.trial import TrialState  # noqa: PLC0415

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trials.sort(key=lambda trial: trial.value, reverse=True)
    table = Table("trial", "validation mAP", *trials[0].params)
    for trial in trials[:_SHOWN]:
        shown = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in trial.params.values())
        table.add_row(str(trial.number), f"{trial.value:.4f}", *shown)
    console.print(table)
