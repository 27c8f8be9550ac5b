"""The mirror as a process: looks again and again, tells how it is, and ends at once when it is told to."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import structlog

from model_training.mirror.errors import NotYetError
from model_training.mirror.mirror import Mirror
from model_training.rollout.complaints import Complaints
from model_training.rollout.serving_path import NoVersionError
from pipeline.ports import DependencyDownError
from pipeline.telemetry.health import Health, serve_health
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.settings import ProcessSettings
from pipeline.telemetry.stopping import call_on_signals

# To bring one version may take minutes, in which nothing else is looked at.
_LONGEST_STEP_S = 900.0
_ENDED_EARLY = 128 + signal.SIGTERM
_WAITED_OUT = (NotYetError, NoVersionError, DependencyDownError, OSError)

_log = structlog.get_logger(__name__)


class _Following:
    """The loop, in a thread of its own: a request for bytes cannot be interrupted, but a process can end."""

    def __init__(self, mirror: Mirror, health: Health, *, once: bool, every_s: float) -> None:
        self._mirror = mirror
        self._health = health
        self._once = once
        self._every_s = every_s
        self._complaints = Complaints()
        self.over = threading.Event()
        """Told to end, or done, or failed."""
        self.error: BaseException | None = None
        self.done = False

    def run(self) -> None:
        try:
            self._follow()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.error = error
        finally:
            self.over.set()

    def _follow(self) -> None:
        if self._mirror.is_complete():
            # The model server can go on with what it has, whether the source answers or not.
            self._health.started()
        while not self.over.is_set():
            came_through = self._round()
            if self._once and (came_through or self._mirror.is_complete()):
                if not came_through:
                    _log.warning("the model server begins with what was brought earlier")
                self.done = True
                return
            self.over.wait(self._every_s)

    def _round(self) -> bool:
        try:
            self._mirror.round()
        except _WAITED_OUT as error:
            self._complaints.tell("mirror", error)
            if not self._mirror.is_complete():
                self._health.outage(str(error))
            return False
        self._complaints.over("mirror")
        self._health.started()
        self._health.outage_over()
        return True


def run(source: str, to: Path, settings: ProcessSettings, *, once: bool, every_s: float) -> int:
    """Follow the source until SIGTERM or SIGINT, or until everything is there.

    Args:
        source: a folder, or ``s3://BUCKET/PREFIX``.
        to: a folder.
        settings: where to answer about health, and how to log.
        once: end when everything is there.
        every_s: between looks.

    Returns:
        The exit status: 0; 143 where ``once`` was ended before everything was there.

    Raises:
        SetupError: not such places.
        CannotListenError: for questions about health.
    """
    configure_logs("mirror", settings.log_format)
    health = Health(max_silence_s=_LONGEST_STEP_S + 2 * every_s)
    mirror = Mirror(source, to, health)
    following = _Following(mirror, health, once=once, every_s=every_s)
    call_on_signals(following.over.set)
    with serve_health(health, settings):
        thread = threading.Thread(target=following.run, name="mirror", daemon=True)
        thread.start()
        following.over.wait()
    if following.error is not None:
        raise following.error
    status = _ENDED_EARLY if once and not following.done else 0
    if thread.is_alive():
        # What it does now may take a minute and is made up for by the next one, as after a crash. An ordinary
        # end would let the interpreter go while the thread is in foreign code, which that does not survive.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    mirror.close()
    return status
