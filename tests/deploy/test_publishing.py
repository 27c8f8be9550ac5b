"""Images of a few bytes, pushed to a registry as Vitrine's are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.monitoring_files import ROOT
from tests.plugins.container_registry import manifest
from tests.plugins.ports import free_ports

_WITHIN_S = 240


@dataclass(frozen=True)
class Shipper:
    """Builds images of a few bytes that call themselves Vitrine's, and publishes them."""

    client: str
    registry: str
    work: Path

    def docker(self, *words: str, given: str = "") -> str:
        command = [self.client, *words]
        done = subprocess.run(
            command, check=False, text=True, capture_output=True, input=given, timeout=_WITHIN_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def build(self, words: str, *, base: str = "scratch:1", version: str = "") -> str:
        labels = {"version": version or self.version, "revision": "abc", "base.name": base}
        told = " ".join(f'org.opencontainers.image.{key}="{value}"' for key, value in labels.items())
        (self.work / "words").write_text(words)
        (self.work / "Dockerfile").write_text(f"FROM scratch\nCOPY words /words\nLABEL {told}\n")
        return self.docker("build", "--quiet", "--tag", self.built, str(self.work))

    @property
    def built(self) -> str:
        return f"{self.registry}/built/vitrine/worker:{self.version}"

    @property
    def version(self) -> str:
        return str(re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1])

    def publish(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                str(ROOT / "docker" / "publish.py"),
                "worker",
                "--to",
                str(self.work / "told"),
                *words,
            ],
            check=False,
            text=True,
            capture_output=True,
            env={**os.environ, "VITRINE_REGISTRY": f"{self.registry}/built/", "DOCKER": self.client},
            timeout=_WITHIN_S,
        )


@pytest.fixture
def shipper(container_registry: str, tmp_path: Path) -> Iterator[Shipper]:
    """An engine and a registry of its own. Skipped without an engine, or failed, as REQUIRE_SERVICES asks."""
    program = (
        "import engine\n"
        "try: print(engine.find_engine().client)\n"
        "except engine.EngineError as error: raise SystemExit(f'no engine: {error}')"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "docker")},
        timeout=_WITHIN_S,
    )
    if "no engine:" in found.stderr and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(found.stderr[-500:])
    assert found.returncode == 0, found.stdout + found.stderr
    work = tmp_path / "image"
    work.mkdir()
    shipper = Shipper(found.stdout.strip(), container_registry, work)
    yield shipper
    mine = f"reference={container_registry}/*/*/*"
    # By identity: the tag of an image that another one took over is gone.
    known = shipper.docker("image", "ls", "--no-trunc", "--quiet", "--filter", mine)
    if known:
        shipper.docker("image", "rm", "--force", *sorted(set(known.split())))


def test_an_image_lies_in_the_registry_by_the_digest_that_is_told(shipper: Shipper) -> None:
    identity = shipper.build("one")
    output = shipper.work / "output"
    done = shipper.publish("--registry", f"{shipper.registry}/Team/", "--output", str(output))
    assert done.returncode == 0, done.stderr
    told = json.loads((shipper.work / "told" / "worker.json").read_text())
    name = f"{shipper.registry}/team/vitrine/worker"
    assert (told["registry"], told["version"], told["revision"]) == (
        f"{shipper.registry}/team",
        shipper.version,
        "abc",
    )
    assert done.stdout.strip() == f"{name}@{told['digest']}"
    assert output.read_text() == f"name={name}\ndigest={told['digest']}\n"
    lies = manifest(shipper.registry, "team/vitrine/worker", told["digest"])
    assert identity in {told["digest"], lies["config"]["digest"]}
    assert manifest(shipper.registry, "team/vitrine/worker", shipper.version) == lies


def test_a_version_that_was_published_never_moves(shipper: Shipper) -> None:
    shipper.build("one")
    first, again = (shipper.publish("--registry", f"{shipper.registry}/team") for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert again.stdout == first.stdout
    shipper.build("another")
    other = shipper.publish("--registry", f"{shipper.registry}/team")
    assert other.returncode == 1
    assert "is published already and is another image: a tag never moves" in other.stderr
    for words in (("--tag", "commit-def"), ("--under", "vitrine-staging")):
        elsewhere = shipper.publish("--registry", f"{shipper.registry}/team", *words)
        assert elsewhere.returncode == 0, elsewhere.stderr
        assert elsewhere.stdout != first.stdout


def test_an_image_goes_by_a_file_from_who_builds_to_who_pushes(shipper: Shipper) -> None:
    identity = shipper.build("one")
    file = shipper.work / "files" / "worker.tar"
    assert shipper.publish("--save", str(file)).returncode == 0
    shipper.docker("image", "rm", "--force", identity)
    done = shipper.publish("--registry", f"{shipper.registry}/team", "--archive", str(file))
    assert done.returncode == 0, done.stderr
    assert shipper.docker("image", "inspect", "--format", "{{.Id}}", shipper.built) == identity


def test_what_is_not_for_publishing_is_refused_before_anything_is_sent(shipper: Shipper) -> None:
    shipper.build("one", base="vitrine/base:bookworm")
    done = shipper.publish("--registry", "registry.invalid/team")
    assert done.returncode == 1
    assert "not for publishing" in done.stderr
    shipper.build("one", version="0.0.1")
    done = shipper.publish("--registry", f"{shipper.registry}/team")
    assert done.returncode == 1
    assert "says it is version 0.0.1" in done.stderr


def test_a_registry_that_is_away_is_told_and_not_taken_for_empty(shipper: Shipper) -> None:
    shipper.build("one")
    done = shipper.publish("--registry", f"127.0.0.1:{free_ports(1)[0]}/team")
    assert done.returncode == 1
    assert "refused" in done.stderr
