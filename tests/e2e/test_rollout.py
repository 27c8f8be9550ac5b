"""Versions come and go in the running system: by evidence, without a lost request, and with a way back."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.plugins.airflow_runs import Airflow, vitrine_program
from tests.plugins.colour_models import write_colour_version, write_run_of
from tests.plugins.system import System, wait_for
from tests.plugins.toy_pictures import LABELS, ToyPictures

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

_ROOT = Path(__file__).resolve().parents[2]
_WITHIN_S = 240


@dataclass
class Library:
    """The running system with a model that is right about every picture, and who works with it."""

    system: System
    pictures: ToyPictures
    work: Path
    imported: set[str] = field(default_factory=set)

    def api(self, method: str, path: str, **options: Any) -> Any:
        address = f"{self.system.address}/api/v1/{path}"
        answer = self.system.api().request(method, address, timeout=60, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @property
    def environment(self) -> dict[str, str]:
        """Of whoever uses registry and catalogue of this system."""
        return self.system.environment | {
            "VITRINE_CATALOGUE_URL": self.system.address,
            "VITRINE_CATALOGUE_TOKEN_FILE": str(self.system.home / "run" / "controller_token"),
        }

    def training(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of ``model_training`` beside the running system."""
        done = subprocess.run(
            [sys.executable, "-m", "model_training", *words],
            cwd=_ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def bring(self, names: list[str]) -> None:
        """Import pictures and wait for their tags."""
        self.system.cli("import", *(str(self.pictures.images / name) for name in names), "--wait")
        self.imported.update(names)

    def tags(self) -> dict[str, set[str]]:
        """What people see: file name → slugs of what is suggested or accepted."""
        seen: dict[str, set[str]] = {}
        path = "assets/?limit=100"
        page = self.api("GET", path)
        for asset in page["results"]:
            seen[asset["filename"]] = {tag["slug"] for tag in asset["tags"]}
        assert page["next"] is None
        return seen

    def review(self, names: list[str]) -> None:
        """A curator who knows what is drawn says yes or no to every suggestion."""
        for asset in self.api("GET", "assets/?limit=100")["results"]:
            if asset["filename"] not in names:
                continue
            drawn = self.pictures.labels[asset["filename"]]
            for tag in asset["tags"]:
                if tag["state"] == "suggested":
                    verdict = "accepted" if tag["slug"] in drawn else "rejected"
                    self.api(
                        "POST",
                        f"assets/{asset['id']}/decisions/",
                        json={"tag": tag["slug"], "verdict": verdict},
                    )

    def register(self, name: str, **changes: Any) -> Path:
        """Export a version, register it and make it the challenger."""
        version = write_colour_version(self.work / name / "tagger" / "1", name=name, **changes)
        self.register_folder(name, version)
        return version

    def register_folder(self, name: str, version: Path) -> None:
        run = write_run_of(self.work / name / "run", name)
        self.training("register", "--run", str(run), "--model", str(version), "--challenge")

    def rollout(self) -> dict[str, Any]:
        return dict(self.api("GET", "rollout/"))

    def champion(self) -> tuple[str, int]:
        """Its name and number."""
        champion = self.rollout()["champion"]
        return champion["name"], champion["version"]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        def told() -> str:
            log = (self.system.home / "logs" / "controller.log").read_text()[-4000:]
            return f"{what}: {json.dumps(self.rollout(), indent=1)}\n{log}"

        wait_for(condition, within_s=_WITHIN_S, what=told)

    def until_in_service(self, role: str, name: str) -> int:
        """Wait until a version of that name is champion or challenger; returns its number."""
        self.until(lambda: (self.rollout()[role] or {}).get("name") == name, f"{name} to be {role}")
        return int(self.rollout()[role]["version"])

    def answers_by(self) -> int:
        """The version that answers a person now."""
        with (self.pictures.images / "00.jpg").open("rb") as file:
            answer = self.api("POST", "predict/", files={"file": file}, data={"wait": "30"})
        return int(answer["model"]["version"])

    def agrees(self) -> bool:
        """The ledger, when nothing is under way."""
        return bool(self.system.ledger()["agrees"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, toy_pictures: ToyPictures) -> Iterator[Library]:
    work = tmp_path_factory.mktemp("rollout")
    write_colour_version(work / "models" / "tagger" / "1")
    system = System(work / "home", models=work / "models").start()
    try:
        library = Library(system, toy_pictures, work)
        library.until_in_service("champion", "colours")
        names = sorted(toy_pictures.labels)[:60]
        library.bring(names)
        library.review(names)
        yield library
    finally:
        system.close()


@contextmanager
def under_load(library: Library) -> Iterator[list[int]]:
    """People try pictures all the time; gives the statuses of the answers."""
    statuses: list[int] = []
    over = threading.Event()
    files = [path.read_bytes() for path in sorted(library.pictures.images.glob("*.jpg"))[:8]]
    session = library.system.api()

    def try_pictures() -> None:
        for data in itertools.cycle(files):
            # A person looks at an answer before the next picture: else nothing of less urgency had its turn.
            if over.wait(0.3):
                return
            try:
                answer = session.post(
                    f"{library.system.address}/api/v1/predict/",
                    files={"file": data},
                    data={"wait": "30"},
                    timeout=60,
                )
                statuses.append(answer.status_code)
            except requests.RequestException:
                statuses.append(0)

    people = [threading.Thread(target=try_pictures) for _ in range(2)]
    for person in people:
        person.start()
    try:
        yield statuses
    finally:
        over.set()
        for person in people:
            person.join()


def model_server_pid(library: Library) -> int:
    return int(library.system.state()["pids"]["model server"])


def test_a_version_is_promoted_under_load_without_a_restart_or_a_failed_request(library: Library) -> None:
    before = library.tags()
    server = model_server_pid(library)
    with under_load(library) as statuses:
        library.register("second", slope=500.0)
        number = library.until_in_service("challenger", "second")
        assert library.answers_by() != number
        # It has seen what people reviewed, and nobody has seen its answers.
        library.until(lambda: library.training("compare", check=False).returncode == 0, "the gate to pass")
        assert library.tags() == before
        library.training("promote", str(number), "--wait")
        assert library.until_in_service("champion", "second") == number
        answered = len(statuses)
        library.until(lambda: len(statuses) > answered + 5, "people to be answered after it")
        assert library.answers_by() == number
    assert set(statuses) == {200}
    assert model_server_pid(library) == server
    library.bring(["60.jpg"])
    assert library.tags()["60.jpg"] == library.pictures.labels["60.jpg"]
    assert library.agrees()


def test_a_version_that_fails_its_golden_request_is_never_seen(library: Library) -> None:
    champion = library.champion()
    version = write_colour_version(library.work / "broken" / "tagger" / "1", name="broken", slope=450.0)
    golden = version / "assets.extra" / "golden.npz"
    with np.load(golden) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["scores"] = 1 - changed["scores"]
    np.savez(golden, **changed)
    library.register_folder("broken", version)
    log = library.system.home / "logs" / "controller.log"
    library.until(lambda: "golden" in log.read_text(), "the golden request to be noticed")
    assert library.champion() == champion
    assert library.rollout()["challenger"] is None
    assert library.answers_by() == champion[1]


def test_a_bad_version_is_refused_and_if_forced_taken_back_by_what_people_say(library: Library) -> None:
    champion = library.champion()
    library.register("bad", wrong=True)
    number = library.until_in_service("challenger", "bad")

    def verdict() -> dict[str, Any]:
        return dict(json.loads(library.training("compare", "--json", check=False).stdout)["verdict"])

    # What people accepted it does not say; what it says instead nobody has judged yet.
    library.until(lambda: "recall" in " ".join(verdict()["reasons"]).lower(), "the comparison to see it")
    assert not verdict()["passes"]
    refused = library.training("promote", str(number), check=False)
    assert refused.returncode == 1
    assert "recall" in (refused.stdout + refused.stderr).lower()
    assert library.champion() == champion
    before = library.tags()

    library.training("promote", str(number), "--force", "--reason", "to see what happens", "--wait")
    library.until_in_service("champion", "bad")
    names = [f"{picture}.jpg" for picture in range(61, 80)]
    library.bring(names)
    harmed = library.tags()
    assert any(harmed[name] != library.pictures.labels[name] for name in names)
    library.review(names)

    began = time.monotonic()
    library.until_in_service("champion", champion[0])
    library.until(lambda: library.agrees() and library.system.ledger()["pending"] == 0, "all to be tagged")
    print(f"rolled back and tagged again within {time.monotonic() - began:.0f} s")
    after = library.tags()
    assert {name: after[name] for name in before} == before
    for name in names:
        assert after[name] == library.pictures.labels[name] & set(LABELS)
    steps = library.api("GET", "rollout/steps/")["results"]
    (step,) = [each for each in steps if each["kind"] == "roll-back"]
    assert step["source"] == "watch"
    assert step["state"] == "done"


def test_a_schedule_promotes_a_version_that_was_compared_on_enough(
    library: Library, airflow: Airflow, tmp_path: Path
) -> None:
    library.register("third", slope=550.0)
    number = library.until_in_service("challenger", "third")
    library.until(lambda: library.training("compare", check=False).returncode == 0, "the gate to pass")
    environment = library.environment | {
        "VITRINE_BIN": vitrine_program(tmp_path / "vitrine"),
        "VITRINE_PYTHON": sys.executable,
    }
    looked = airflow.run("nightly_quality", {"most_failed": 0}, **environment)
    assert looked.code == 0, looked.log
    promoted = airflow.run("promote_after_shadow", {"pictures": 50, "reviews": 30}, **environment)
    assert promoted.code == 0, promoted.log
    assert library.champion() == ("third", number)
