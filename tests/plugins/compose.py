"""The system of ``docker/compose.yaml`` as containers, under a name and on ports of its own.

The images of third parties are the stand-ins of ``docker/compose.local.yaml``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
import requests

from tests.plugins.compose_files import DOCKER, FILES, VERSION, compose_environment
from tests.plugins.ports import free_ports

OUR_IMAGES = ("catalogue", "worker", "training")
_BASE = "vitrine/base:bookworm"
_COMMAND_WITHIN_S = 300
_UP_WITHIN_S = 420


class ComposeSystem:
    """One system. Whatever it made goes with it, volumes included.

    Args:
        compose: path of ``docker-compose``.
        folder: an empty one, for the secrets.
        models: with a version below ``tagger``, which is served; nothing is built then.
    """

    def __init__(self, compose: str, folder: Path, *, models: Path) -> None:
        self.secrets = folder / "secrets"
        self._models = models
        self._tokens: dict[str, str] = {}
        self.name = f"vitrine-test-{uuid4().hex[:8]}"
        web, objects = free_ports(2)
        self.address = f"http://127.0.0.1:{web}"
        self._command = [compose, "--project-name", self.name, "--profile", "core"]
        for file in FILES:
            self._command += ["--file", str(file)]
        self._environment = compose_environment(
            VITRINE_SECRETS=str(self.secrets),
            # Under a name of ours: whoever builds images meanwhile changes none of those that run here.
            VITRINE_VERSION=self.name,
            VITRINE_PORT=str(web),
            VITRINE_S3_PORT=str(objects),
            VITRINE_S3_PUBLIC_ENDPOINT=f"http://127.0.0.1:{objects}",
            # A test waits for it.
            VITRINE_HEALTH_INTERVAL="3s",
        )

    def __enter__(self) -> Self:
        subprocess.run([DOCKER / "make-secrets", self.secrets], check=True, capture_output=True)
        try:
            for image in OUR_IMAGES:
                docker("tag", f"vitrine/{image}:{VERSION}", f"vitrine/{image}:{self.name}")
            self.compose("create", "models")
            self._fill_models()
            self.said_at_first = self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything, without waiting for a clean end."""
        self.compose("kill", check=False)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")
        docker("image", "rm", *(f"vitrine/{image}:{self.name}" for image in OUR_IMAGES))

    def _fill_models(self) -> None:
        """Copy the models to where the first start would build one, by the account that would."""
        mounts = ["--volume", f"{self._models}:/from:ro", "--volume", f"{self.name}_models:/var/lib/vitrine"]
        image = f"vitrine/training:{self.name}"
        copy = ["cp", "--recursive", "/from/tagger", "/var/lib/vitrine/"]
        docker("run", "--rm", "--network", "none", *mounts, image, *copy)

    # ------------------------------------------------------------------- commands

    def compose(self, *words: str, check: bool = True, within_s: float = _COMMAND_WITHIN_S) -> str:
        """``docker compose …``; returns what it said, on both streams.

        Raises:
            AssertionError: it failed, and that is not expected.
        """
        done = subprocess.run(
            [*self._command, *words],
            env=self._environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within_s,
        )
        said = done.stdout
        assert not check or done.returncode == 0, f"{' '.join(words)}: {said}\n{self.last_words()}"
        return said

    def up(self, *words: str) -> str:
        """The one command; returns when all that runs is healthy."""
        return self.compose("up", "--detach", "--wait", *words, within_s=_UP_WITHIN_S)

    def run_in(self, service: str, *words: str) -> str:
        """A command inside a container of the service; returns its standard output.

        Raises:
            AssertionError: it failed; says what it said.
        """
        done = subprocess.run(
            [*self._command, "exec", "--no-TTY", service, *words],
            env=self._environment,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    # -------------------------------------------------------------------- looking

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """What the engine says of each container, also of those that have ended."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return found

    def container(self, service: str) -> dict[str, Any]:
        """The only one of a service."""
        (found,) = self.containers(service)
        return found

    def last_words(self) -> str:
        """States, and the end of what each said, for who has to find out."""
        said = [
            subprocess.run(
                [*self._command, *words],
                env=self._environment,
                check=False,
                capture_output=True,
                text=True,
                timeout=_COMMAND_WITHIN_S,
            ).stdout
            for words in (("ps", "--all"), ("logs", "--tail", "8", "--no-color"))
        ]
        return "\n".join(said)

    def count(self, table: str, condition: str) -> int:
        """So many rows; asked of the database itself, which costs less than a command of ours."""
        query = f"SELECT count(*) FROM {table} WHERE {condition}"
        psql = ["psql", "--username=vitrine", "--no-align", "--tuples-only", "--command", query]
        return int(self.run_in("postgres", *psql))

    def ledger(self) -> dict[str, Any]:
        """``vitrine ledger --json``."""
        found: dict[str, Any] = json.loads(self.run_in("catalogue", "vitrine", "ledger", "--json"))
        return found

    def api(self, user: str = "admin") -> requests.Session:
        """A session of the REST interface with a token of that user."""
        if user not in self._tokens:
            said = self.run_in("catalogue", "vitrine", "create_token", user, "--create")
            self._tokens[user] = said.split()[-1]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._tokens[user]}"
        return session


def service_of(container: dict[str, Any]) -> str:
    """The service that the engine's description is of."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def docker(*words: str) -> str:
    """The engine's own command; returns its standard output.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [_client(), *words], check=False, capture_output=True, text=True, timeout=_COMMAND_WITHIN_S
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout


def _client() -> str:
    # Debian's first: it comes with BuildKit.
    return shutil.which("docker", path=f"/usr/bin{os.pathsep}{os.environ['PATH']}") or "docker"


@pytest.fixture(scope="session")
def container_engine(docker_compose: str) -> str:
    """Path of ``docker-compose``, with an engine that has our images; stand-ins are built if need be.

    Otherwise the test is skipped, or fails where REQUIRE_SERVICES asks for it.
    """
    if reason := _missing():
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    # Of what the engine has built already nothing is built again.
    subprocess.run(
        [DOCKER / "stand-ins" / "build", "postgres", "rabbitmq", "object-store"],
        env={**os.environ, "DOCKER": _client()},
        check=True,
        capture_output=True,
        timeout=900,
    )
    return docker_compose


def _missing() -> str:
    """What keeps containers from being run; empty if nothing does."""
    try:
        docker("version")
    except (AssertionError, FileNotFoundError):
        return "no Docker engine answers: install docker.io and start dockerd"
    there = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    wanted = {f"vitrine/{name}:{VERSION}" for name in OUR_IMAGES}
    if missing := sorted(wanted.difference(there)):
        return f"{', '.join(missing)} missing: make images ARGS=--short"
    # What the images of third parties are stood in for on.
    return "" if _BASE in there else f"{_BASE} missing: docker/base/make"
