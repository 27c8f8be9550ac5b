"""The mirror: what a model server's folder holds at every moment, whatever the source and the mirror do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from model_training.mirror.errors import NotYetError, SetupError
from model_training.mirror.mirror import Mirror
from model_training.mirror.naming import named
from model_training.rollout.config_place import config_place
from model_training.rollout.models_config import Labels, Serving, write_serving
from model_training.rollout.serving_path import NoVersionError, serving_path
from pipeline.blobs import BlobStoreDownError
from pipeline.telemetry.health import Health
from tests.plugins.model_server import REPOSITORY
from tests.plugins.object_store import ObjectStore
from tests.plugins.ports import free_ports
from tests.plugins.processes import asked, stopped, wait_for
from tests.plugins.tiny_models import model_config

WITHIN_S = 120
FILES = ("assets.extra/golden.npz", "saved_model.pb", "variables/variables.index")

# Loads the mirror's program where nothing can be imported that the image of the worker has not.
_BARE = """
import importlib.abc, runpy, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {refused}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
runpy.run_module("model_training.mirror", run_name="__main__", alter_sys=True)
"""
_NOT_IN_THE_WORKER = (
    *("boto3", "botocore", "django", "keras", "mlflow", "requests", "rich", "tensorflow"),
    *("tensorflow_serving", "yaml"),
)

# The same, and killed -9 at a moment: an event of the interpreter whose arguments hold a text.
_KILLED = """
import os, runpy, signal, sys
def watch(event, arguments):
    if event == {event!r} and {text!r} in " ".join(str(each) for each in arguments):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
runpy.run_module("model_training.mirror", run_name="__main__", alter_sys=True)
"""


class Source:
    """Where models are published."""

    def __init__(self, place: str, work: Path) -> None:
        self.place = place
        self._work = work

    def publish(self, number: int) -> None:
        folder = self._work / f"version-{number}"
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(f"{name} of {number}".encode())
        serving_path(f"{self.place}/tagger").publish(folder, number)

    def name(self, *numbers: int) -> None:
        """In ``models.config``."""
        config = config_place(f"{self.place}/models.config")
        serving = Serving(frozenset(numbers), Labels.of(numbers[0]))
        write_serving(config, "tagger", serving, base_path="/models/tagger")

    @property
    def config(self) -> bytes | None:
        return config_place(f"{self.place}/models.config").read()


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store.make_bucket()


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "folder":
        return Source(str(tmp_path / "source"), tmp_path)
    return Source(f"s3://{request.getfixturevalue('bucket')}/some/models", tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Source:
    return Source(str(tmp_path / "source"), tmp_path)


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "models"


@contextmanager
def mirror(source: Source, to: Path, *, keep_s: float = 3600) -> Iterator[Mirror]:
    with closing(Mirror(source.place, to, Health(max_silence_s=WITHIN_S), keep_s=keep_s)) as made:
        yield made


def contents(to: Path) -> dict[str, bytes]:
    """Everything that lies there, by path, but for the file that keeps a second mirror away."""
    found = {path.relative_to(to).as_posix(): path for path in to.rglob("*") if path.is_file()}
    found.pop(".mirror.lock", None)
    return {name: path.read_bytes() for name, path in found.items()}


def expected(source: Source, *numbers: int) -> dict[str, bytes]:
    found = {
        f"tagger/{number}/{name}": f"{name} of {number}".encode() for number in numbers for name in FILES
    }
    assert source.config is not None
    return {"models.config": source.config, **found}


# ------------------------------------------------------------------ what is brought


def test_what_models_config_names_is_brought_and_nothing_else(source: Source, to: Path) -> None:
    for number in (1, 2, 30):
        source.publish(number)
    source.name(30, 1)
    with mirror(source, to) as running:
        running.round()
        assert contents(to) == expected(source, 30, 1)
        source.name(30, 2)
        running.round()
        assert contents(to) == expected(source, 30, 2, 1)


def test_until_a_version_is_complete_what_is_in_force_stays(source: Source, to: Path) -> None:
    with mirror(source, to) as running:
        with pytest.raises(NotYetError, match=r"there is no .*models\.config yet"):
            running.round()
        source.publish(1)
        source.name(1)
        running.round()
        before = contents(to)
        source.name(1, 2)
        with pytest.raises(NoVersionError, match="2"):
            running.round()
        assert contents(to) == before
        assert running.is_complete()
        source.publish(2)
        running.round()
        assert contents(to) == expected(source, 1, 2)


def test_a_version_goes_when_it_was_not_named_for_long(folder: Source, to: Path) -> None:
    for number in (1, 2):
        folder.publish(number)
    folder.name(1, 2)
    with mirror(folder, to) as patient, mirror(folder, to, keep_s=0) as hasty:
        patient.round()
        folder.name(2)
        patient.round()
        patient.round()
        assert contents(to) == expected(folder, 1, 2)
        patient.close()
        hasty.round()
        hasty.round()
        assert contents(to) == expected(folder, 2)
        assert not list((to / "tagger").glob(".*"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"model_config_list { this is not a config",
        *(
            f"model_config_list {{ {config} }}".encode()
            for config in (
                "",
                model_config("tagger", Path("/models/tagger")),
                model_config("tagger", Path("/models/tagger"), "all {}"),
                model_config("tagger", Path("/models/.."), "specific { versions: 1 }"),
                model_config("tagger", Path("/models/tagger"), "specific { versions: -1 }"),
                model_config("tagger", Path("/models/tagger"), "specific { versions: 1 }").replace(
                    "/models", "s3://bucket"
                ),
            )
        ),
    ],
)
def test_a_models_config_that_does_not_say_what_to_bring_is_waited_out(content: bytes) -> None:
    with pytest.raises(NotYetError, match=r"models\.config"):
        named(content)


def test_several_models_and_what_only_the_server_understands_do_not_disturb() -> None:
    policy = "specific { versions: 1 versions: 4 }"
    models = [model_config(name, Path("/models") / name, policy, champion=4) for name in ("tagger", "other")]
    text = f"model_config_list {{ {' '.join(models)} }}".replace("name:", "logging_config {} name:")
    assert named(text.encode()) == {"tagger": {1, 4}, "other": {1, 4}}


def test_one_mirror_at_a_time_writes_to_a_folder(folder: Source, to: Path) -> None:
    folder.publish(1)
    folder.name(1)
    with mirror(folder, to) as first, mirror(folder, to) as second:
        first.round()
        with pytest.raises(NotYetError, match="another mirror"):
            second.round()
        first.close()
        second.round()


def test_a_place_is_not_brought_to_itself(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="itself"):
        Mirror(f"{tmp_path}/", tmp_path, Health(max_silence_s=1))
    with pytest.raises(SetupError, match="neither a folder nor s3"):
        Mirror("ftp://host/models", tmp_path, Health(max_silence_s=1))


@pytest.mark.slow
def test_an_outage_leaves_everything_as_it_is(
    bucket: str, object_store: ObjectStore, tmp_path: Path, to: Path
) -> None:
    source = Source(f"s3://{bucket}", tmp_path)
    source.publish(1)
    source.name(1)
    with mirror(source, to, keep_s=0) as running:
        running.round()
        before = contents(to)
        keys = [each["Key"] for each in object_store.client().list_objects_v2(Bucket=bucket)["Contents"]]
        for key in keys:
            object_store.client().delete_object(Bucket=bucket, Key=key)
        object_store.client().delete_bucket(Bucket=bucket)
        for _ in range(2):
            with pytest.raises(BlobStoreDownError):
                running.round()
        assert contents(to) == before


# ------------------------------------------------------------------ the process


def command(source: str, to: Path, *options: str, code: str | None = None) -> list[str]:
    program = ("-m", "model_training.mirror") if code is None else ("-c", code)
    return [sys.executable, *program, "--from", source, "--to", str(to), "--every", "0.05", *options]


@pytest.mark.parametrize(
    ("event", "text", "complete"),
    [
        pytest.param("open", "/model/variables/variables.index", (), id="while it copies"),
        pytest.param("os.rename", "/model", (), id="before a version appears"),
        pytest.param("open", ".models.config.partial", FILES, id="before it writes models.config"),
        pytest.param("os.rename", ".models.config.partial", FILES, id="before models.config appears"),
    ],
)
def test_a_mirror_that_is_killed_leaves_nothing_half_and_the_next_one_sweeps(
    folder: Source, to: Path, event: str, text: str, complete: tuple[str, ...]
) -> None:
    folder.publish(1)
    folder.name(1)
    code = _KILLED.format(event=event, text=text)
    killed = subprocess.run(command(folder.place, to, code=code), cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    # What begins with a dot is passed over by a model server.
    seen = {name for name in contents(to) if not name.startswith((".", "tagger/."))}
    assert seen == {f"tagger/1/{name}" for name in complete}
    with mirror(folder, to) as running:
        running.round()
    assert contents(to) == expected(folder, 1)


@pytest.mark.slow
def test_once_brings_everything_with_what_the_image_of_the_worker_has(
    bucket: str, tmp_path: Path, to: Path
) -> None:
    source = Source(f"s3://{bucket}/models", tmp_path)
    for number in (1, 2):
        source.publish(number)
    source.name(1, 2)
    code = _BARE.format(refused=set(_NOT_IN_THE_WORKER))
    done = subprocess.run(
        command(source.place, to, "--once", code=code),
        cwd=REPOSITORY,
        env=os.environ | {"VITRINE_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"event": "models.config is in force"' in done.stderr
    assert contents(to) == expected(source, 1, 2)


def test_once_goes_on_with_what_was_brought_earlier_where_the_source_is_gone(
    folder: Source, to: Path
) -> None:
    folder.publish(1)
    folder.name(1)
    subprocess.run(command(folder.place, to, "--once"), cwd=REPOSITORY, check=True)
    before = contents(to)
    Path(folder.place, "models.config").unlink()
    subprocess.run(command(folder.place, to, "--once"), cwd=REPOSITORY, check=True)
    assert contents(to) == before


@pytest.mark.slow
def test_it_tells_how_it_is_and_outlives_an_outage(
    bucket: str, object_store: ObjectStore, tmp_path: Path, to: Path
) -> None:
    """The bucket is not there; then it is, with a version; then it is gone."""
    late = f"{bucket}-late"
    source = Source(f"s3://{late}", tmp_path)
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"VITRINE_HEALTH_PORT": str(port)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command(source.place, to), cwd=REPOSITORY, env=environment, stderr=output)

    def ready() -> tuple[int, str]:
        assert process.poll() is None, log.read_text()
        answer = asked(f"{address}/readyz")
        return (0, "") if answer is None else (answer.status_code, answer.text)

    def samples() -> dict[str, float]:
        lines = requests.get(f"{address}/metrics", timeout=WITHIN_S).text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    with stopped(process):
        wait_for(lambda: "no bucket" in ready()[1], WITHIN_S, "it waits for the bucket")
        assert requests.get(f"{address}/healthz", timeout=WITHIN_S).status_code == 200
        object_store.client().create_bucket(Bucket=late)
        source.publish(1)
        source.name(1)
        wait_for(lambda: ready()[0] == 200, WITHIN_S, "it is ready")
        assert contents(to) == expected(source, 1)
        told = samples()
        assert told["vitrine_mirror_copied_versions_total"] == 1
        assert told["vitrine_mirror_last_success_timestamp_seconds"] > 0
        failures = told['vitrine_dependency_failures_total{stage="mirror"}']
        assert failures >= 1
        object_store.client().delete_object(Bucket=late, Key="models.config")
        name = 'vitrine_dependency_failures_total{stage="mirror"}'
        wait_for(lambda: samples()[name] > failures, WITHIN_S, "it misses its source")
        assert ready()[0] == 200
        process.terminate()
        assert process.wait(WITHIN_S) == 0


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--once",), 143)])
def test_it_ends_at_once_while_the_store_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: int
) -> None:
    monkeypatch.setenv("VITRINE_S3_ACCESS_KEY", "somebody")
    monkeypatch.setenv("VITRINE_S3_SECRET_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        process = subprocess.Popen(command("s3://bucket/models", tmp_path / "to", *options), cwd=REPOSITORY)
        with stopped(process):
            silent.settimeout(WITHIN_S)
            asking, _ = silent.accept()
            with asking:
                process.terminate()
                # A request that nobody answers is given up after three quarters of a minute only.
                assert process.wait(30) == status


def test_places_that_are_not_given_are_an_error_of_the_command_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [sys.executable, "-m", "model_training.mirror"]
    assert subprocess.run(words, cwd=REPOSITORY, check=False).returncode == 2
    assert "VITRINE_MIRROR_FROM" in capfd.readouterr().err
