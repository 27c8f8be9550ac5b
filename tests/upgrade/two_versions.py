"""A system in the shape of production that goes over from an earlier version's code to this one's."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from dam.embedded.state import ROOT
from tests.plugins.kept import Keeper, KeptProcess
from tests.plugins.plant import Plant
from tests.plugins.ports import free_ports
from tests.plugins.processes import is_ready, wait_for
from tests.upgrade.ingress import Ingress

_READY_WITHIN_S = 240
_COMMAND_WITHIN_S = 300
_GRACE_S = 30
"""``terminationGracePeriodSeconds`` of relay, writer and workers."""
_EARLIER_GRACE_S = 8
"""An impatient orchestrator is the harder case, and the earlier consumers may take their whole time."""


class Web:
    """One process of the pages, as a pod has it."""

    def __init__(self, kept: KeptProcess, port: int) -> None:
        self.kept, self.port = kept, port
        self.address = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        """As the cluster asks."""
        return is_ready(f"{self.address}/readyz")

    def was_told_to_go(self) -> bool:
        """Whether it has heard its SIGTERM, as gunicorn says."""
        return "Handling signal: term" in self.kept.said()


class TwoVersions(Plant):
    """Two workers, relay and writer of the earlier version, and two processes of its pages behind an ingress.

    Args:
        home: an empty folder, for the state of everything.
        tree: the earlier version's code.
        models: folder with the served model's versions below ``tagger``.
    """

    def __init__(self, home: Path, *, tree: Path, models: Path) -> None:
        super().__init__(home, models=models, workers=2)
        self._tree = tree
        self._code = tree
        self._webs = 0
        self.ingress = Ingress()

    def __enter__(self) -> Self:
        super().__enter__()
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._stack.enter_context(self.ingress)
            self.webs = [self.new_web(earlier=True), self.new_web(earlier=True)]
            for web in self.webs:
                self.admit(web)
            undo.pop_all()
        return self

    def _add_processes(self, keeper: Keeper) -> None:
        super()._add_processes(keeper)
        for kept in (self.relay, self.writer, *self.workers):
            _runs(kept, self._tree)

    # ------------------------------------------------------------------ pages

    def new_web(self, *, earlier: bool = False) -> Web:
        """One more process of the pages, started; nobody is sent to it yet."""
        port, health = free_ports(2)
        tree = self._tree if earlier else ROOT
        words = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
        if (tree / "dam" / "gunicorn_conf.py").exists():
            words += ["--config", "python:dam.gunicorn_conf"]
        else:
            # What `make run` of then gave it.
            words += ["--worker-class", "gthread", "--threads", "8", "--no-control-socket"]
        self._webs += 1
        kept = self.keeper.add(
            f"web {self._webs}",
            [*words, "dam.wsgi:application"],
            death_signal=signal.SIGQUIT,
            VITRINE_HEALTH_PORT=str(health),
        )
        _runs(kept, tree)
        kept.start()
        return Web(kept, port)

    def admit(self, web: Web) -> None:
        """Send requests to it, once it is ready."""
        wait_for(web.is_ready, _READY_WITHIN_S, f"{web.kept.name} to be ready")
        self.ingress.admit(web.port)

    def retire(self, web: Web, *, under_way: Callable[[], None] | None = None) -> int:
        """As a pod that is told to go: nothing more is sent to it, then SIGTERM; its exit code.

        Args:
            web: which.
            under_way: what goes on there when it is told, and is to be finished before it ends.
        """
        self.ingress.withdraw(web.port)
        with ThreadPoolExecutor(1) as threads:
            stopping = threads.submit(web.kept.stop)
            if under_way is not None:
                wait_for(web.was_told_to_go, _READY_WITHIN_S, f"SIGTERM in {web.kept.name}")
                under_way()
            return stopping.result()

    # --------------------------------------------------------------- versions

    def vitrine(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A ``vitrine`` command of the version that the database belongs to."""
        done = subprocess.run(
            [sys.executable, "-m", "dam.cli", *words],
            cwd=self._code,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
        )
        assert not check or done.returncode == 0, f"vitrine {' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def commands_of_this_version(self) -> None:
        """Let :meth:`vitrine` run this version's from now on."""
        self._code = ROOT

    def change(self, kept: KeptProcess, *, to_earlier: bool = False) -> None:
        """Stop it as a pod is stopped, and start it with the other version's code."""
        earlier = self.runs_earlier(kept)
        code = self._stop(kept, _EARLIER_GRACE_S if earlier else _GRACE_S)
        # Where work never ceases to come, the earlier version's consumers end late, and leave work to others.
        assert earlier or code == 0, kept.tail()
        _runs(kept, self._tree if to_earlier else ROOT)
        kept.start()

    def _stop(self, kept: KeptProcess, grace_s: float) -> int:
        """SIGTERM, and SIGKILL after the time that pods have; the exit code."""
        with ThreadPoolExecutor(1) as threads:
            stopping = threads.submit(kept.stop)
            try:
                return stopping.result(grace_s)
            except TimeoutError:
                kept.kill(again=False)
                return stopping.result()

    def everything(self) -> list[KeptProcess]:
        """All that runs Vitrine's code, but for the model server."""
        return [self.relay, self.writer, *self.workers, *(web.kept for web in self.webs)]

    def runs_earlier(self, kept: KeptProcess) -> bool:
        """Whether that process runs the earlier version, as the system says."""
        return Path(f"/proc/{kept.pid}/cwd").resolve() == self._tree.resolve()


def _runs(kept: KeptProcess, tree: Path) -> None:
    # `python -m` finds in the working folder first.
    kept.program = replace(kept.program, cwd=tree)
