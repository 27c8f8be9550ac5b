"""``python -m model_training controller``: looks, decides, does one thing, and looks again."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict

import structlog

from model_training.rollout.acts import Act, Idle, Report, Wait
from model_training.rollout.aliases import RegistryDownError
from model_training.rollout.catalogue import CatalogueDownError, CatalogueRefusedError
from model_training.rollout.decisions import decide
from model_training.rollout.deeds import Deeds
from model_training.rollout.looking import Surroundings
from model_training.rollout.metrics import ACTS, LAST_LOOK
from model_training.rollout.model_servers import ServersDownError
from model_training.rollout.models_config import ModelsConfigError
from model_training.rollout.serving_path import NoVersionError
from pipeline.ports import DependencyDownError
from pipeline.telemetry.health import Health

_log = structlog.get_logger(__name__)

_DOWN = (
    RegistryDownError,
    CatalogueDownError,
    CatalogueRefusedError,
    ServersDownError,
    ModelsConfigError,
    NoVersionError,
    DependencyDownError,
    OSError,
)
"""What is waited out: a neighbour that is down or says no, a full disk, a file that somebody is to repair."""


class Controller:
    """Brings what the registry and the catalogue ask for into service, and keeps no memory that it needs.

    Args:
        around: what it stands among.
        health: beats with each step and each look; ready when everything that it looks at answers.
    """

    def __init__(self, around: Surroundings, health: Health) -> None:
        self._around = around
        self._health = health
        self._deeds = Deeds(around)
        self._said: Act = Idle()

    def step(self) -> Act:
        """Look, decide, do; returns what was done, or what is waited for."""
        self._health.beat()
        complaints = self._around.complaints
        try:
            act = self._step()
        except _DOWN as error:
            complaints.tell("rollout", error)
            act = Wait(str(error))
        else:
            complaints.over("rollout")
            self._health.started()
        if complaints.standing:
            self._health.outage("; ".join(f"{of}: {why}" for of, why in complaints.standing.items()))
        else:
            self._health.outage_over()
        return act

    def _step(self) -> Act:
        seen = self._around.look()
        LAST_LOOK.set_to_current_time()
        act = decide(seen)
        self._say(act)
        self._deeds.do(act, seen)
        if not isinstance(act, Idle | Wait):
            ACTS.labels(_name(act)).inc()
        return act

    def run(self, stop: threading.Event, *, every_s: float) -> None:
        """Until ``stop`` is set. Where there is nothing to do, it looks again after ``every_s`` seconds."""
        before: Act | None = None
        while not stop.is_set():
            act = self.step()
            if isinstance(act, Idle | Wait) or act == before:
                stop.wait(every_s)
            before = act

    def settle(self, stop: threading.Event, *, every_s: float, within_s: float) -> Act:
        """Until nothing is under way, or the time is over; returns what was waited for last."""
        deadline = time.monotonic() + within_s
        before: Act | None = None
        while True:
            act = self.step()
            if isinstance(act, Idle) or stop.is_set() or time.monotonic() > deadline:
                return act
            if isinstance(act, Wait) or act == before:
                stop.wait(every_s)
            before = act

    def _say(self, act: Act) -> None:
        # Reports come twice a minute, and say what the catalogue shows.
        if act != self._said and not isinstance(act, Idle | Report):
            _log.info(_name(act), **asdict(act))
            self._said = act


def _name(act: Act) -> str:
    return type(act).__name__.lower()
