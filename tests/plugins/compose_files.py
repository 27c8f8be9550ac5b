"""``docker/compose.yaml`` as compose reads it; no engine is needed for that."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dam.embedded.state import ROOT

DOCKER = ROOT / "docker"
FILES = (DOCKER / "compose.yaml", DOCKER / "compose.local.yaml")
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
ONE_SHOTS = ("bucket", "migrate", "models", "vocabulary")
"""Services that run to their end at every ``up``."""
BY_HAND = ("backup",)
"""Services that run to their end when they are asked to, by ``run``."""

Config = dict[str, Any]
Configured = Callable[..., Config]


def compose_environment(**more: str) -> dict[str, str]:
    """Of the command: nothing that this machine or the tests say to Vitrine or to compose."""
    foreign = ("VITRINE_", "COMPOSE_", "POSTGRES_", "RABBITMQ_", "DATABASE_URL", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


@pytest.fixture(scope="session")
def docker_compose(deploy_tool: Callable[[str], str]) -> str:
    """Path of ``docker-compose``, which checks files without an engine."""
    return deploy_tool("docker-compose")


@pytest.fixture(scope="session")
def configured(docker_compose: str) -> Configured:
    """What compose makes of its files: checked against its schema, variables put in.

    Takes names of profiles, ``files``, and variables.
    """

    def config(*profiles: str, files: tuple[Path, ...] = FILES[:1], **variables: str) -> Config:
        words = [*(f"--file={file}" for file in files), *(f"--profile={name}" for name in profiles)]
        done = subprocess.run(
            [docker_compose, *words, "config", "--format", "json"],
            env=compose_environment(**variables),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        found: Config = json.loads(done.stdout)
        return found

    return config


@pytest.fixture(scope="session")
def every_service(configured: Configured) -> dict[str, Config]:
    """Services of all profiles, by name."""
    found: dict[str, Config] = configured("core", "training", "monitoring", "backup")["services"]
    return found
