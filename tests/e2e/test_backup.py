"""Everything is lost, and back from a backup: database, bytes, accounts, tokens, and what was under way."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg import sql

from dam.embedded.state import socket_url
from pipeline.ports import Message
from pipeline.topology import RESULTS
from pipeline.transports import transport_from_url
from tests.plugins.object_store import ObjectStore
from tests.plugins.photos import write_photos
from tests.plugins.plant import Plant
from tests.plugins.rabbitmq import require_rabbitmq
from tests.plugins.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

TAGGED = 16
# What a restore changes, and nothing else: jobs in the broker's hands, when orphans are swept, its report.
CHANGED = {"jobs_taggingjob", "jobs_round", "integrity_integrityrun"}


@dataclass
class Lost:
    """What a library was before it was thrown away."""

    rows: dict[str, list[str]]
    blobs: dict[str, bytes]
    tokens: dict[str, str]
    ledger: dict[str, Any]


def rows_of(plant: Plant) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = [name for (name,) in plant.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    query = sql.SQL("SELECT the_row::text FROM {} AS the_row")
    return {name: sorted(row for (row,) in plant.rows(query.format(sql.Identifier(name)))) for name in tables}


def blobs_of(plant: Plant) -> dict[str, bytes]:
    """All that the blob store holds."""
    bucket, _, prefix = plant.environment["VITRINE_BLOB_URL"].removeprefix("s3://").partition("/")
    client = plant.objects.client()
    keys = plant.stored_keys()
    return {key: client.get_object(Bucket=bucket, Key=f"{prefix}/{key}")["Body"].read() for key in keys}


def named_by(plant: Plant) -> set[str]:
    originals = plant.rows("SELECT key FROM assets_blob")
    renditions = plant.rows(
        "SELECT made.value ->> 'key' FROM assets_assetversion, jsonb_each(renditions) AS made"
    )
    return {key for (key,) in [*originals, *renditions]}


@pytest.fixture(scope="module")
def place(object_store: ObjectStore) -> tuple[str, dict[str, str]]:
    """A place for backups in a store that is not the library's, with an account of its own."""
    own = {
        name.replace("VITRINE_S3", "VITRINE_BACKUP_S3"): value
        for name, value in object_store.environment().items()
    }
    return f"s3://{object_store.make_bucket()}/backups/vitrine", own


@pytest.fixture(scope="module")
def lost(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, place: tuple[str, dict[str, str]]
) -> Lost:
    """A library in the midst of its work, backed up twice, and thrown away with its broker and its store."""
    require_rabbitmq()
    url, own = place
    folder = tmp_path_factory.mktemp("pictures")
    with Plant(tmp_path_factory.mktemp("lost"), models=model_dir, workers=1, web=True, **own) as plant:
        plant.vitrine("import", str(folder_of(folder / "tagged", TAGGED)), "--wait")
        work_of_people(plant)
        with uploads(plant, folder_of(folder / "coming", 8, seed=2)):
            wait_for(lambda: plant.ledger()["assets"] > TAGGED, within_s=120, what=plant.last_words)
            made = json.loads(plant.vitrine("backup", url, "--json").stdout)
            # And once more of a moment that we can look at: all stand still, jobs are in the broker's hands.
            plant.workers[0].pause()
            wait_for(lambda: published(plant) > 0, within_s=120, what=plant.last_words)
            plant.relay.stop()
            plant.writer.stop()
        ledger = plant.ledger()
        assert (made["whole"], made["originals"] > TAGGED) == (True, True)
        assert made["originals"] < ledger["assets"], "it was made in the midst of uploads"
        assert published(plant) > 0
        again = plant.vitrine("backup", url, "--json", "--keep", "2")
        found = Lost(rows_of(plant), blobs_of(plant), dict(plant._tokens), ledger)
        found.blobs = {key: found.blobs[key] for key in named_by(plant)}
        made = json.loads(again.stdout)
        assert made["copied"]["files"] < made["originals"] + made["renditions"], "only what was new travelled"
    return found


@contextmanager
def uploads(plant: Plant, folder: Path) -> Iterator[None]:
    """While the block runs, pictures come in one after another, each of bytes of its own."""
    pictures = [path.read_bytes() for path in sorted(folder.iterdir())]
    stop = threading.Event()

    def work() -> None:
        with plant.api() as api:
            for number in itertools.count():
                content = pictures[number % len(pictures)] + number.to_bytes(8)
                files = {"file": (f"coming-{number}.jpg", content, "image/jpeg")}
                answer = api.post(f"{plant.address}/api/v1/assets/", files=files, timeout=60)
                assert answer.status_code == 201, answer.text
                # No more than the worker keeps up with, so that little is left to be tagged in the end.
                if stop.wait(0.05):
                    return

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
        coming.result(timeout=120)


def folder_of(folder: Path, count: int, *, seed: int = 1) -> Path:
    write_photos(folder, count, seed=seed, long_side=320)
    return folder


def published(plant: Plant) -> int:
    return int(plant.rows("SELECT count(*) FROM jobs_taggingjob WHERE state = 'published'")[0][0])


def work_of_people(plant: Plant) -> None:
    """Decisions of two people, and a message that nobody can read."""
    (asset,) = plant.rows("SELECT min(id) FROM assets_asset")[0]
    for user, tag in (("admin", "holiday"), ("curator", "people")):
        with plant.api(user) as api:
            url = f"{plant.address}/api/v1/assets/{asset}/decisions/"
            answer = api.post(url, json={"tag": tag, "verdict": "added"}, timeout=60)
            # A picture is its uploader's: the other person may look.
            assert answer.status_code == {"admin": 200, "curator": 403}[user], answer.text
    with transport_from_url(plant.node.url) as transport, transport.publisher() as publisher:
        publisher.publish([Message(RESULTS, b"\x00 no message of ours", "odd")])
    wait_for(
        lambda: plant.rows("SELECT count(*) FROM jobs_deadletter") == [(1,)],
        within_s=120,
        what=plant.last_words,
    )


def test_everything_is_back_after_everything_was_lost(
    lost: Lost, place: tuple[str, dict[str, str]], tmp_path: Path, model_dir: Path
) -> None:
    url, own = place
    with Plant(tmp_path / "new", models=model_dir, workers=1, web=True, **own) as plant:
        refused = plant.vitrine("restore", url, check=False)
        assert refused.returncode == 1
        assert "others are connected" in refused.stderr
        for process in (plant.web, plant.relay, plant.writer):
            process.stop()

        listed = json.loads(plant.vitrine("backups", url, "--check", "--json").stdout)
        assert [each["whole"] for each in listed["backups"]] == [True, True]
        assert listed["checked"]["sound"]
        told = json.loads(plant.vitrine("restore", url, "--json").stdout)
        assert told["integrity"]["is_sound"]

        rows = rows_of(plant)
        assert rows.keys() == lost.rows.keys()
        assert {name for name in rows if rows[name] != lost.rows[name]} == CHANGED
        jobs, then = (dict.fromkeys(each["jobs_taggingjob"]) for each in (rows, lost.rows))
        assert len(jobs) == len(then)
        assert plant.rows("SELECT count(*) FROM jobs_taggingjob WHERE state = 'published'") == [(0,)]
        assert len(jobs.keys() - then.keys()) == told["queued_again"] == lost.ledger["jobs"]["published"] > 0
        assert blobs_of(plant) == lost.blobs

        second = plant.vitrine("restore", url, check=False)
        assert second.returncode == 1
        assert "in use" in second.stderr

        for process in (plant.web, plant.relay, plant.writer):
            process.start()
        assets = lost.ledger["assets"]
        wait_for(lambda: plant.ledger()["tagged"] == assets, within_s=240, what=plant.last_words)
        ledger = plant.ledger()
        assert (ledger["agrees"], ledger["assets"], ledger["pending"]) == (True, assets, 0)
        assert plant.vitrine("integrity", "--checksums", "all").returncode == 0

        for user, token in lost.tokens.items():
            answer = requests.get(
                f"{plant.address}/api/v1/assets/", headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
            assert answer.status_code == 200, user
        link = plant.vitrine("sign_in_link", "curator").stdout.strip()
        with requests.Session() as browser:
            page = browser.get(f"{plant.address}{link}", timeout=60)
            assert page.status_code == 200

        # The one that was made while everything moved, into a database and a store of its own.
        with psycopg.connect(plant.postgres.url, autocommit=True) as session:
            session.execute("CREATE DATABASE earlier")
        earlier = socket_url(plant.postgres.sockets, database="earlier")
        plant.environment |= {"DATABASE_URL": earlier, "VITRINE_BLOB_URL": str(tmp_path / "earlier")}
        name = listed["backups"][0]["name"]
        told = json.loads(plant.vitrine("restore", url, "--name", name, "--json").stdout)
        assert (told["name"], told["missing"], told["integrity"]["is_sound"]) == (name, 0, True)
        assert plant.ledger()["agrees"]


def test_a_laptop_gets_its_library_from_a_folder(own_system: System, tmp_path: Path, model_dir: Path) -> None:
    place = str(tmp_path / "disk")
    own_system.start()
    pictures = folder_of(tmp_path / "pictures", 4)
    own_system.cli("import", str(pictures), "--wait")
    token = own_system.api("person").headers["Authorization"]
    refused = own_system.cli("restore", place, check=False)
    assert (refused.returncode, "already runs" in refused.stderr) == (1, True)
    own_system.cli("backup", place)
    own_system.stop()
    # Of a system that is stopped, too.
    made = json.loads(own_system.cli("backup", place, "--json").stdout)
    assert (made["assets"], made["copied"]["files"]) == (4, 0)

    new = System(tmp_path / "new" / "home", models=model_dir)
    told = json.loads(new.cli("restore", place, "--json").stdout)
    assert (told["assets"], told["missing"]) == (4, 0)
    try:
        new.start()
        ledger = new.ledger()
        assert (ledger["agrees"], ledger["tagged"]) == (True, 4)
        found = requests.get(f"{new.address}/api/v1/assets/", headers={"Authorization": token}, timeout=60)
        assert found.status_code == 200
    finally:
        new.close()
