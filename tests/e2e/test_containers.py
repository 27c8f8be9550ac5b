"""The system of ``docker/compose.yaml`` as containers, looked at from outside."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.plugins.compose import ComposeSystem, docker, service_of
from tests.plugins.compose_files import ONE_SHOTS
from tests.plugins.photos import write_photos
from tests.plugins.processes import wait_for
from tests.plugins.toy_pictures import ToyPictures

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

_TAGGED_WITHIN_S = 180
_AT_ONCE = 8


@pytest.fixture(scope="module")
def system(
    container_engine: str, tmp_path_factory: pytest.TempPathFactory, model_dir: Path
) -> Iterator[ComposeSystem]:
    with ComposeSystem(container_engine, tmp_path_factory.mktemp("compose"), models=model_dir) as system:
        yield system


@pytest.fixture(scope="module")
def api(system: ComposeSystem) -> Iterator[requests.Session]:
    with system.api() as session:
        yield session


def send(system: ComposeSystem, api: requests.Session, path: Path) -> int:
    with path.open("rb") as file:
        url = f"{system.address}/api/v1/assets/"
        answer = api.post(url, files={"file": (path.name, file)}, timeout=60)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def send_all(system: ComposeSystem, api: requests.Session, paths: list[Path]) -> list[int]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda path: send(system, api, path), paths))


def asset(system: ComposeSystem, api: requests.Session, number: int) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{system.address}/api/v1/assets/{number}/", timeout=60).json()
    return found


def tagged(system: ComposeSystem) -> int:
    return system.count("assets_asset", "state = 'tagged'")


def wait_until_tagged(system: ComposeSystem, *, pictures: int) -> None:
    """So many are, and the ledger agrees."""
    try:
        wait_for(lambda: tagged(system) == pictures, _TAGGED_WITHIN_S, f"{pictures} tagged pictures")
    except AssertionError as error:
        raise AssertionError(f"{error}: {system.ledger()}\n{system.last_words()}") from error
    ledger = system.ledger()
    assert ledger["agrees"]
    assert (ledger["assets"], ledger["tagged"], ledger["failed"]) == (pictures, pictures, 0)
    assert ledger["jobs"]["queued"] == ledger["jobs"]["published"] == 0


def running(system: ComposeSystem) -> dict[str, dict[str, Any]]:
    """Container by service, of those that are to run on."""
    by_service = {service_of(found): found for found in system.containers()}
    return {name: found for name, found in by_service.items() if name not in ONE_SHOTS}


def test_one_command_brings_up_everything_and_a_second_one_leaves_it_alone(system: ComposeSystem) -> None:
    assert "warn" not in system.said_at_first.lower()
    first = running(system)
    assert set(first) == {
        *("postgres", "rabbitmq", "object-store", "model-server"),
        *("catalogue", "relay", "writer", "monitor", "worker"),
    }
    assert {found["State"]["Health"]["Status"] for found in first.values()} == {"healthy"}
    ended = [system.container(name)["State"] for name in ONE_SHOTS]
    assert [(state["Status"], state["ExitCode"]) for state in ended] == [("exited", 0)] * len(ONE_SHOTS)

    system.up()
    starts = {name: found["State"]["StartedAt"] for name, found in running(system).items()}
    assert starts == {name: found["State"]["StartedAt"] for name, found in first.items()}


def test_nobody_is_root_or_may_write_to_the_image_or_has_a_privilege(system: ComposeSystem) -> None:
    for name, found in running(system).items():
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        users = docker("top", found["Id"], "-eo", "pid,uid").split("\n")[1:-1]
        assert users, name
        assert "0" not in {line.split()[1] for line in users}, name
    with pytest.raises(AssertionError, match="Read-only file system"):
        system.run_in("worker", "touch", "/opt/vitrine/left-behind")


def test_no_secret_is_in_what_the_engine_tells_of_a_container(system: ComposeSystem) -> None:
    told = json.dumps(system.containers())
    secrets = {
        path.name: line.rpartition(" ")[2].strip()
        for path in system.secrets.iterdir()
        # The name of the key is no secret: it stands in every signed address.
        if path.name != "s3-access-key"
        for line in path.read_text().splitlines()
        if len(line) > 30
    }
    assert len(secrets) >= 9
    assert [name for name, secret in secrets.items() if secret in told] == []


def test_what_is_uploaded_is_tagged_and_found_and_comes_back_whole(
    system: ComposeSystem, api: requests.Session, photos: list[Path], toy_pictures: ToyPictures
) -> None:
    cat = next(path for path in photos if path.name == "chelsea.png")
    drawn = sorted(toy_pictures.images.iterdir())[:12]
    before = tagged(system)
    number, *others = send_all(system, api, [cat, *drawn])
    wait_until_tagged(system, pictures=before + 13)

    hits = api.get(f"{system.address}/api/v1/assets/", params={"q": "cat"}, timeout=60).json()["results"]
    assert number in [hit["id"] for hit in hits]
    for sent, path in zip([number, *others], [cat, *drawn], strict=True):
        described = asset(system, api, sent)
        assert described["state"] == "tagged"
        # The catalogue sends us on to the object store, which needs no token of ours.
        redirect = api.get(system.address + described["urls"]["file"], allow_redirects=False, timeout=60)
        assert redirect.status_code == 302
        assert requests.get(redirect.headers["Location"], timeout=60).content == path.read_bytes()
        for name in ("grid", "preview"):
            bytes_ = api.get(system.address + described["urls"][name], timeout=60).content
            with Image.open(io.BytesIO(bytes_)) as rendition:
                rendition.load()
                assert rendition.format == "JPEG"


def test_a_stranger_gets_nothing_out_of_the_object_store(
    system: ComposeSystem, api: requests.Session
) -> None:
    url = api.get(f"{system.address}/api/v1/assets/", timeout=60).json()["results"][0]["urls"]["file"]
    signed = api.get(system.address + url, allow_redirects=False, timeout=60).headers["Location"]
    bare = signed.partition("?")[0]
    assert requests.get(bare, timeout=60).status_code == 403
    bucket = bare.split("/pictures/")[0]
    assert requests.get(bucket, timeout=60).status_code == 403


def test_a_backup_is_made_by_one_command_while_everything_runs(system: ComposeSystem) -> None:
    run = ("run", "--rm", "--no-TTY")
    stored = system.count("assets_blob", "true")
    system.compose(*run, "backup")
    said = system.compose(*run, "--no-deps", "backup", "vitrine", "backups", "/backups", "--check", "--json")
    # Compose speaks first.
    told = json.loads(said.splitlines()[-1])
    (name,) = [one["name"] for one in told["backups"] if one["done"]]
    assert (told["checked"]["name"], told["checked"]["sound"]) == (name, True)
    # Renditions, too.
    assert told["checked"]["files"] > stored > 0


def test_a_broker_outage_restarts_nobody_and_loses_nothing(
    system: ComposeSystem, api: requests.Session, toy_pictures: ToyPictures
) -> None:
    before = tagged(system)
    starts = {name: found["State"]["StartedAt"] for name, found in running(system).items()}
    system.compose("stop", "rabbitmq")
    # The job table is the outbox: nobody has to wait for the broker.
    send_all(system, api, sorted(toy_pictures.images.iterdir())[12:24])
    wait_for(
        lambda: "dependency down" in system.compose("logs", "--no-color", "worker"),
        _TAGGED_WITHIN_S,
        "the worker to see the outage",
    )
    system.up("--no-recreate", "rabbitmq")
    wait_until_tagged(system, pictures=before + 12)

    now = running(system)
    assert [name for name, found in now.items() if found["RestartCount"]] == []
    del starts["rabbitmq"]
    assert {name: now[name]["State"]["StartedAt"] for name in starts} == starts


def test_workers_stop_in_the_middle_of_an_import_and_two_more_finish_it(
    system: ComposeSystem, api: requests.Session, tmp_path: Path
) -> None:
    before = tagged(system)
    pictures = write_photos(tmp_path, 90, seed=7, long_side=640)
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send_all, system, api, pictures)
        wait_for(
            lambda: tagged(system) > before or sending.done(),
            _TAGGED_WITHIN_S,
            "the first tags",
        )
        began = time.monotonic()
        system.compose("stop", "worker")
        took_s = time.monotonic() - began
        sending.result()
    worker = system.container("worker")
    # Not killed: it finished what it held, or on a machine that is too busy for that within the deadline gave
    # back the rest and said so (docs/workers.md, exit statuses); and no call hung beyond the deadline.
    said = system.compose("logs", "--no-color", "worker")
    assert worker["State"]["Status"] == "exited"
    assert worker["State"]["ExitCode"] in {os.EX_OK, os.EX_TEMPFAIL}, said
    assert took_s < worker["Config"]["StopTimeout"], said
    assert "ending the process by force" not in said, said
    assert tagged(system) < before + len(pictures), "the stop must come in the middle of the work"

    system.up("--scale", "worker=2", "worker")
    assert len([found for found in system.containers("worker") if found["State"]["Running"]]) == 2
    wait_until_tagged(system, pictures=before + len(pictures))
    listed = system.run_in("rabbitmq", "rabbitmqctl", "--quiet", "list_queues", "name", "consumers")
    consumers = dict(line.split() for line in listed.splitlines()[1:])
    assert consumers["tagging.interactive"] == "2"
