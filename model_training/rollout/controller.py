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
from model_training.rollout.model_servers import ServersDownError
from model_training.rollout.models_config import ModelsConfigError
from pipeline.ports import DependencyDownError

_log = structlog.get_logger(__name__)

_DOWN = (
    RegistryDownError,
    CatalogueDownError,
    CatalogueRefusedError,
    ServersDownError,
    ModelsConfigError,
    DependencyDownError,
    OSError,
)
"""What is waited out: a neighbour that is down or says no, a full disk, a file that somebody is to repair."""


class Controller:
    """Brings what the registry and the catalogue ask for into service, and keeps no memory that it needs."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._deeds = Deeds(around)
        self._said: Act = Idle()

    def step(self) -> Act:
        """Look, decide, do; returns what was done, or what is waited for."""
        try:
            seen = self._around.look()
            act = decide(seen)
            self._say(act)
            self._deeds.do(act, seen)
        except _DOWN as error:
            self._around.complaints.tell("rollout", error)
            return Wait(str(error))
        self._around.complaints.over("rollout")
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
            _log.info(type(act).__name__.lower(), **asdict(act))
            self._said = act
