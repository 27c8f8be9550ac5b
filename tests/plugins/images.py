"""Vitrine's images, built once a session by ``docker/images.py``, and what containers of them say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "images.py"
# With nothing in the cache: the base and half a gigabyte of TensorFlow.
BUILT_WITHIN_S = 1800
_SAYS_WITHIN_S = 240
# As they are meant to run: nothing may be written but here.
READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/lib/vitrine")


@dataclass(frozen=True)
class Images:
    """Full references of the images, and the client of the engine that has them."""

    client: str
    base: str
    catalogue: str
    worker: str
    training: str
    over_base: dict[str, int]
    """Bytes that each image adds to its base, by its short name."""
    limit_mb: dict[str, int | None]

    def docker(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """``docker WORDS``; standard error is a part of the output."""
        return subprocess.run(
            [self.client, *words],
            check=False,
            text=True,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SAYS_WITHIN_S,
        )

    def run(self, image: str, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A command in a container of an image, as it is meant to run, without any network."""
        words = ("run", "--rm", "--interactive", "--network", "none", *READ_ONLY, image, *command)
        return self.docker(*words, given=given)

    def config(self, image: str) -> dict[str, Any]:
        """What the image says of itself."""
        found: dict[str, Any] = json.loads(self.docker("image", "inspect", image).stdout)[0]["Config"]
        return found


@pytest.fixture(scope="session")
def images() -> Images:
    """The images. Without an engine the test is skipped, or fails where REQUIRE_SERVICES asks for it."""
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), "--short", "--json"],
        check=False,
        text=True,
        capture_output=True,
        timeout=BUILT_WITHIN_S,
    )
    if done.returncode == os.EX_UNAVAILABLE and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(done.stderr[-500:])
    if not done.stdout:
        pytest.fail(f"docker/images.py ended with {done.returncode}: {done.stderr[-3000:]}")
    built = json.loads(done.stdout)
    return Images(
        client=built["client"],
        base=built["base"],
        **{name: image["reference"] for name, image in built["images"].items()},
        over_base={name: image["over_base"] for name, image in built["images"].items()},
        limit_mb={name: image["limit_mb"] for name, image in built["images"].items()},
    )
