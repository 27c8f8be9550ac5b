"""The Docker engine as the scripts here use it: a client that can build, a base image, sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
OFFICIAL_BASE = "python:3.11-slim-bookworm"
STAND_IN_BASE = "vitrine/base:bookworm"

# The first whose client builds with BuildKit only by the plug-in buildx.
_NEEDS_BUILDX = 23
_PULL_WITHIN_S = 300.0


class EngineError(Exception):
    """No engine answers, no client can build, or a command failed."""


@dataclass(frozen=True)
class Engine:
    """An engine, by the client that reaches it."""

    client: str

    def run(
        self, *words: str, within_s: float | None = None, loud: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """``docker WORDS``; what it says goes to standard error if ``loud``, else it is kept.

        Raises:
            subprocess.TimeoutExpired: it took longer than ``within_s``.
        """
        return subprocess.run(
            [self.client, *words],
            check=False,
            text=True,
            stdout=sys.stderr if loud else subprocess.PIPE,
            stderr=None if loud else subprocess.STDOUT,
            timeout=within_s,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
        )

    def said(self, *words: str) -> str:
        """What ``docker WORDS`` printed, stripped.

        Raises:
            EngineError: it ended with another status than 0.
        """
        done = self.run(*words)
        if done.returncode != 0:
            raise EngineError(f"docker {' '.join(words)}: {done.stdout.strip()[-2000:]}")
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        """Whether the image is there, without asking any registry."""
        return self.run("image", "inspect", image).returncode == 0

    def size(self, image: str) -> int:
        """Bytes of all files of an image's layers, unpacked.

        ``docker image inspect`` says something else where containerd keeps the images.
        """
        layers = self.said("history", "--no-trunc", "--human=false", "--format", "{{.Size}}", image)
        return sum(int(size) for size in layers.split())

    def pulls(self, image: str) -> bool:
        """Whether the image could be pulled; it is there then."""
        try:
            return self.run("pull", "--quiet", image, within_s=_PULL_WITHIN_S).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def find_engine() -> Engine:
    """The first client on the PATH, or the one that ``DOCKER`` names, that reaches an engine and can build.

    Raises:
        EngineError: there is none; the message says why each was passed over.
    """
    reasons = []
    for client in _clients():
        reason = _unfit(Engine(client))
        if not reason:
            return Engine(client)
        reasons.append(f"  {client}: {reason}")
    if not reasons:
        raise EngineError("no Docker client on the PATH (Debian and Ubuntu: apt install docker.io)")
    raise EngineError("no Docker engine to build with:\n" + "\n".join(reasons))


def _clients() -> Iterator[str]:
    if os.environ.get("DOCKER"):
        yield os.environ["DOCKER"]
        return
    for folder in dict.fromkeys(os.get_exec_path()):
        path = Path(folder) / "docker"
        if path.is_file() and os.access(path, os.X_OK):
            yield str(path)


def _unfit(engine: Engine) -> str:
    """Why nothing can be built by that client; empty if it can."""
    try:
        done = engine.run("version", "--format", "{{.Client.Version}}", within_s=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != 0:
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "it says nothing"
    major = int(done.stdout.strip().partition(".")[0])
    if major >= _NEEDS_BUILDX and engine.run("buildx", "version").returncode != 0:
        return (
            "it has no buildx, without which it cannot build (Debian and Ubuntu: apt install docker-buildx)"
        )
    return ""


def find_base(engine: Engine, asked: str) -> str:
    """The base image: the one asked for, else the official one, else the stand-in, made if need be.

    Raises:
        EngineError: none can be had.
    """
    image = asked or OFFICIAL_BASE
    if engine.has(image) or engine.pulls(image):
        return image
    if asked:
        raise EngineError(f"{asked} is neither here nor can it be pulled")
    if not engine.has(STAND_IN_BASE):
        environment = {**os.environ, "DOCKER": engine.client}
        made = subprocess.run([str(_HERE / "base" / "make"), STAND_IN_BASE], check=False, env=environment)
        if made.returncode != 0:
            raise EngineError(f"{OFFICIAL_BASE} cannot be pulled, and no stand-in for it can be made")
    return STAND_IN_BASE
