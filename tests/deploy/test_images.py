"""The images themselves, in containers: who they run as, what is in them and what is not, how they end."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from dam.embedded.state import ROOT
from pipeline.ports import PreprocessSpec
from pipeline.preprocess import prepare
from tests.pipeline import pictures
from tests.plugins.images import BUILT_WITHIN_S, READ_ONLY, Images

# The first test of the session builds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILT_WITHIN_S)]

NAMES = ("catalogue", "worker", "training")
WITHIN_S = 120.0
PROGRAMS = Path(__file__).with_name("inside_images")


def run(images: Images, name: str, program: str, given: str = "") -> str:
    """What a program of the folder beside this file prints in a container of an image."""
    text = (PROGRAMS / program).read_text()
    done = images.run(getattr(images, name), "python", "-W", "ignore", "-c", text, given=given)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


@pytest.fixture(scope="module")
def looks(images: Images) -> dict[str, dict[str, Any]]:
    """What a process sees from inside of each image, with the root file system read-only."""
    return {name: json.loads(run(images, name, "look.py")) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_nobody_in_particular_and_writes_only_its_state(
    looks: dict[str, dict[str, Any]], name: str
) -> None:
    look = looks[name]
    assert look["ids"] == [10001, 10001, [10001]]
    assert look["home"] == "/var/lib/vitrine"
    assert look["writable"] == ["/tmp", "/var/lib/vitrine"]


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_compiled_and_never_compared_with_its_source(
    looks: dict[str, dict[str, Any]], name: str
) -> None:
    look = looks[name]
    assert look["prefix"] == "/opt/vitrine"
    assert look["sources"] > 1000
    assert look["to be compiled"] == []
    assert look["of the library to be compiled"] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_inside_can_build_or_install(looks: dict[str, dict[str, Any]], name: str) -> None:
    look = looks[name]
    # TensorFlow names setuptools as what it needs.
    assert set(look["installers"]) <= ({"setuptools"} if name == "training" else set())
    assert look["programs"] == []
    assert look["tests"] == []


def test_each_holds_our_packages_and_of_the_heavy_ones_its_own(looks: dict[str, dict[str, Any]]) -> None:
    ours = {name: set(look["ours"]) for name, look in looks.items()}
    everything = {"dam", "model_training", "pipeline", "workers"}
    assert ours == {"catalogue": everything, "worker": everything - {"dam"}, "training": everything}
    heavy = {name: look["heavy"] for name, look in looks.items()}
    assert heavy == {
        "catalogue": ["django"],
        "worker": ["cv2"],
        "training": ["tensorflow", "mlflow", "cv2", "IPython"],
    }


@pytest.mark.parametrize("name", ["catalogue", "worker"])
def test_what_it_adds_to_its_base_is_within_its_limit(images: Images, name: str) -> None:
    limit = images.limit_mb[name]
    assert limit is not None
    assert 100 < images.over_base[name] / 1e6 <= limit


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_of_which_commit(images: Images, name: str) -> None:
    config = images.config(getattr(images, name))
    labels = {key.removeprefix("org.opencontainers.image."): text for key, text in config["Labels"].items()}
    assert labels["title"] == f"Vitrine {name}"
    assert labels["description"].endswith(".")
    assert getattr(images, name).endswith(f":{labels['version']}")
    assert re.fullmatch(r"[0-9a-f]{40}", labels["revision"]) or not (ROOT / ".git").exists()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", labels["created"])
    assert labels["licenses"] == "Apache-2.0"
    assert labels["base.name"] == images.base


@pytest.mark.parametrize("name", NAMES)
def test_it_is_set_up_for_a_container(images: Images, name: str) -> None:
    config = images.config(getattr(images, name))
    environment = dict(line.split("=", 1) for line in config["Env"])
    assert config["User"] == "10001:10001"
    assert config["WorkingDir"] == environment["VITRINE_HOME"] == "/var/lib/vitrine"
    assert environment["PATH"].startswith("/opt/vitrine/bin:")
    assert environment["PYTHONUNBUFFERED"] == environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert (environment["VITRINE_HEALTH_HOST"], environment["VITRINE_HEALTH_PORT"]) == ("0.0.0.0", "9464")
    assert environment["VITRINE_LOG_FORMAT"] == "json"
    ports = {"9464/tcp", "8000/tcp"} if name == "catalogue" else {"9464/tcp"}
    assert set(config["ExposedPorts"]) == ports
    if name == "training":
        assert environment["TF_ENABLE_ONEDNN_OPTS"] == "1"
    else:
        assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "pipeline.telemetry.probe"]


def test_the_worker_without_settings_says_which_are_missing(images: Images) -> None:
    done = images.run(images.worker)
    assert done.returncode == 64
    assert "The worker's settings (VITRINE_…) are wrong" in done.stdout


def test_the_worker_also_mirrors_models(images: Images) -> None:
    done = images.run(images.worker, "python", "-m", "model_training.mirror", "--help")
    assert done.returncode == 0, done.stdout
    assert "--from" in done.stdout


def test_the_catalogue_lists_its_commands(images: Images) -> None:
    done = images.run(images.catalogue, "vitrine", "help")
    assert done.returncode == 0, done.stdout
    assert {"relay", "write_results", "monitor", "migrate", "service_account"} <= set(done.stdout.split())


def test_the_catalogue_has_programs_for_backups_which_speak_tls(images: Images) -> None:
    folder = dict(line.split("=", 1) for line in images.config(images.catalogue)["Env"])[
        "VITRINE_PG_PROGRAMS"
    ]
    for program in ("pg_dump", "pg_restore"):
        done = images.run(images.catalogue, f"{folder}/{program}", "--version")
        assert (done.returncode, done.stdout.partition(" 18.")[0]) == (0, f"{program} (PostgreSQL)")
    # One that cannot says so before it asks anybody.
    address = "postgresql://vitrine@127.0.0.1:9/vitrine?sslmode=verify-full&sslrootcert=system"
    done = images.run(images.catalogue, f"{folder}/pg_dump", address)
    assert done.returncode == 1
    assert "Connection refused" in done.stdout, done.stdout


def test_training_lists_its_commands(images: Images) -> None:
    done = images.run(images.training)
    assert done.returncode == 0, done.stdout
    assert {"publish-default", "controller", "serve"} <= set(done.stdout.split())


def test_the_worker_sees_of_every_format_the_pixels_that_the_tests_see(images: Images) -> None:
    given = {name: encoded() for name, encoded in pictures.EVERY_FORMAT.items()}
    text = json.dumps({name: base64.b64encode(data).decode() for name, data in given.items()})
    seen = json.loads(run(images, "worker", "read_pictures.py", text))
    spec = PreprocessSpec(id="any", width=70, height=50)
    assert seen == {
        name: hashlib.sha256(prepare(data, spec).pixels.tobytes()).hexdigest() for name, data in given.items()
    }


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("catalogue", "ask_amazon.py"),
        ("training", "ask_amazon.py"),
        ("training", "train.py"),
    ],
)
def test_what_was_left_out_is_not_missed(images: Images, name: str, program: str) -> None:
    assert run(images, name, program)


@pytest.mark.parametrize(
    ("name", "command"),
    [("catalogue", ()), ("catalogue", ("vitrine", "relay")), ("worker", ())],
    ids=["catalogue", "relay", "worker"],
)
def test_without_its_services_it_lives_is_not_ready_and_ends_when_told(
    images: Images, name: str, command: tuple[str, ...]
) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://vitrine@127.0.0.1:9/vitrine",
        "VITRINE_BLOB_URL": "/var/lib/vitrine",
        "VITRINE_MODEL_SERVERS": "127.0.0.1:9",
        "VITRINE_QUEUE_URL": "amqp://127.0.0.1:9/",
        "VITRINE_SECRET_KEY": "only to be started and stopped again, nothing is signed with it",
    }
    environment = [word for key, value in nowhere.items() for word in ("--env", f"{key}={value}")]
    words = (
        "run",
        "--detach",
        "--network",
        "none",
        *READ_ONLY,
        *environment,
        getattr(images, name),
        *command,
    )
    container = images.docker(*words).stdout.strip()
    try:
        probe = ("exec", container, "python", "-m", "pipeline.telemetry.probe")
        deadline = time.monotonic() + WITHIN_S
        while images.docker(*probe, "/healthz").returncode != 0:
            assert time.monotonic() < deadline, images.docker("logs", container).stdout
        unready = images.docker(*probe)
        assert unready.returncode == 1, "so the engine's own health check says"
        assert "refused" in unready.stdout or "starting" in unready.stdout, unready.stdout
        images.docker("stop", "--time", "60", container)
        assert images.docker("wait", container).stdout.strip() == "0"
    finally:
        images.docker("rm", "--force", container)


def test_the_engine_is_given_nothing_but_what_an_image_is_made_of(images: Images, tmp_path: Path) -> None:
    done = subprocess.run(
        [images.client, "build", "--file", "-", "--output", f"type=local,dest={tmp_path}", str(ROOT)],
        input="FROM scratch\nCOPY . /\n",
        check=False,
        capture_output=True,
        text=True,
        env={"DOCKER_BUILDKIT": "1", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    sent = {path.name for path in tmp_path.iterdir()}
    files = {"LICENSE", "NOTICE", "README.md", "pyproject.toml"}
    assert sent == {*files, "dam", "model_training", "pipeline", "requirements", "workers"}
    assert not [path for path in tmp_path.rglob("*") if path.name in {"__pycache__", ".env"}]
