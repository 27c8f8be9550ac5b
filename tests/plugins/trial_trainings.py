"""Trainings that take no time, for the search of hyperparameters. Other processes import them."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from rich.console import Console

from model_training.config import Config
from model_training.tracking import EPOCH_METRIC, Tracker
from tests.plugins.processes import wait_for

EPOCHS = 4
BEST_RATE = 0.01


def peak(config: Config, _prepared: Path, to: Path, tracker: Tracker, _console: Console) -> None:
    """Four epochs, the better the nearer the learning rate is to the best one; writes who did it."""
    to.mkdir()
    distance = abs(config.training.head.learning_rate - BEST_RATE)
    for epoch in range(1, EPOCHS + 1):
        tracker.metrics({EPOCH_METRIC: (1 - distance) * epoch / EPOCHS}, step=epoch)
    (to / "pid").write_text(str(os.getpid()))


def together(config: Config, prepared: Path, to: Path, tracker: Tracker, console: Console) -> None:
    """As :func:`peak`, but the first two trials wait for each other: nobody can do all of them alone."""
    other = to.with_name(f"{1 - int(to.name):04}") if int(to.name) < 2 else to
    peak(config, prepared, to, tracker, console)
    wait_for(other.exists, 200, "another process")


def worse_each_time(config: Config, prepared: Path, to: Path, tracker: Tracker, console: Console) -> None:
    """As :func:`peak`, but every trial after the fourth is hopeless; writes how far each one came."""
    to.mkdir()
    for epoch in range(1, EPOCHS + 1):
        (to / "epoch").write_text(str(epoch))
        tracker.metrics({EPOCH_METRIC: epoch / 10 if int(to.name) < 4 else 0.01}, step=epoch)


def interrupted(config: Config, prepared: Path, to: Path, tracker: Tracker, console: Console) -> None:
    """Ctrl-C in the third trial, after its first epoch."""
    if int(to.name) == 2:
        tracker.metrics({EPOCH_METRIC: 0.1}, step=1)
        raise KeyboardInterrupt
    peak(config, prepared, to, tracker, console)


def broken(config: Config, prepared: Path, to: Path, tracker: Tracker, console: Console) -> None:
    raise ZeroDivisionError


def study_of(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")
