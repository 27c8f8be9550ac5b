"""A watch that runs takes files as they come, whatever ends and begins meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from psycopg.conninfo import make_conninfo

from dam.assets.models import Asset, SourceFile
from dam.assets.sources import BucketSource, source_from
from dam.jobs.models import TaggingJob
from dam.loops import watch as loop
from dam.loops.watch import Watch, paths_of_event
from pipeline.blobs import BlobStoreDownError
from tests.dam.watch.places import SOON, Place, once, outcomes, picture
from tests.dam.watch.running import running
from tests.plugins.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


# ------------------------------------------------------------------- outages


def test_an_outage_of_the_blob_store_or_the_database_loses_no_file(
    place: Place, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shade in range(3):
        place.put(f"{shade}.png", picture(shade))
    real, failures = (
        loop.source_file_take,
        iter([BlobStoreDownError("down"), OperationalError("the connection is lost")]),
    )

    def take(**words):
        for failure in failures:
            raise failure
        return real(**words)

    monkeypatch.setattr(loop, "source_file_take", take)
    with running(watch):
        wait_for(lambda: len(outcomes()) == 3, SOON, "all files")

    assert watch.counts == {"taken": 3}


def test_a_folder_that_is_unmounted_is_waited_for(folder: Place, user: User) -> None:
    watch = Watch(source_from(folder.address), user, interval_s=1, settle_s=0)
    folder.put("a.png", picture(1))
    root = Path(folder.address)
    with running(watch):
        wait_for(lambda: "a.png" in outcomes(), SOON, "the first file")
        root.rename(root.with_name("unmounted"))
        (root.with_name("unmounted") / "b.png").write_bytes(picture(2))
        root.with_name("unmounted").rename(root)
        wait_for(lambda: "b.png" in outcomes(), SOON, "the file that came meanwhile")

    assert watch.counts == {"taken": 2}


# ------------------------------------------------------------- as it happens


def test_a_new_file_of_a_folder_is_taken_long_before_the_next_scan(folder: Place, user: User) -> None:
    watch = Watch(source_from(folder.address), user, interval_s=3600, settle_s=0.2)
    with running(watch):
        folder.put("a.png", picture(1))
        wait_for(lambda: "a.png" in outcomes(), SOON, "the first file")
        elsewhere = Path(folder.address).parent / "trip"
        elsewhere.mkdir()
        (elsewhere / "b.png").write_bytes(picture(2))
        elsewhere.rename(Path(folder.address) / "trip")
        wait_for(lambda: "trip/b.png" in outcomes(), SOON, "a file of a folder that was moved here")
        folder.put("trip/c.png", picture(3))
        wait_for(lambda: "trip/c.png" in outcomes(), SOON, "a file of the new folder")

    assert watch.counts == {"taken": 3}


def test_a_new_object_is_found_by_listing(bucket: Place, user: User) -> None:
    watch = Watch(source_from(bucket.address), user, interval_s=0.5)
    with running(watch):
        bucket.put("a.png", picture(1))
        wait_for(lambda: "a.png" in outcomes(), SOON, "the object")


def event(place: Place, path: str, name: str = "s3:ObjectCreated:Put") -> str:
    _, _, bucket, prefix = place.address.split("/", 3)
    key = f"{prefix}/{path}".replace(" ", "+").replace("ü", "%C3%BC")
    record = {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
    return json.dumps({"Records": [record]}) + "\n"


def test_a_new_object_is_taken_when_its_event_comes(bucket: Place, user: User) -> None:
    watch = Watch(source_from(bucket.address), user, interval_s=3600)
    reading, writing = os.pipe()
    with os.fdopen(reading) as events, os.fdopen(writing, "w") as out, running(watch, events=events):
        wait_for(lambda: watch.has_caught_up, SOON, "the first scan")
        bucket.put("a ü.png", picture(1))
        out.write("nonsense\n")
        out.write(event(bucket, "a ü.png"))
        out.flush()
        wait_for(lambda: "a ü.png" in outcomes(), SOON, "the object")
        out.close()


def test_an_event_of_something_else_names_nothing(bucket: Place) -> None:
    source = source_from(bucket.address)
    assert isinstance(source, BucketSource)
    assert paths_of_event(source, event(bucket, "a b.png")) == {"a b.png"}
    assert paths_of_event(source, event(bucket, "a.png", "s3:ObjectRemoved:Delete")) == set()
    elsewhere = Place(bucket.address.replace("drop/", "other/"), bucket.put, bucket.remove, bucket.names)
    assert paths_of_event(source, event(elsewhere, "a.png")) == set()
    for line in ("", "[]", "3", '{"Records": [{}]}', '{"Event": "s3:TestEvent"}'):
        assert paths_of_event(source, line) == set()


# --------------------------------------------------------- ends of processes


@pytest.fixture
def environment(database_url: str, settings) -> dict[str, str]:
    name = connection.settings_dict["NAME"]
    return {
        **os.environ,
        "DATABASE_URL": make_conninfo(database_url, dbname=name),
        "VITRINE_BLOB_URL": str(settings.BLOB_URL),
        "PYTHONPATH": str(Path.cwd()),
    }


@pytest.mark.slow
def test_a_watch_that_is_killed_and_begun_again_takes_every_file_once(
    folder: Place, user: User, environment: dict[str, str]
) -> None:
    for shade in range(300):
        folder.put(f"{shade:03}.png", picture(shade))
    command = [sys.executable, "-m", "dam.cli", "watch", folder.address, "--settle", "0"]

    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for(SourceFile.objects.exists, SOON, "the first files")
        process.kill()
    taken = SourceFile.objects.count()
    assert 0 < taken < 300
    assert Asset.objects.count() == taken

    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: SourceFile.objects.count() > taken + 20, SOON, "some more")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SOON) == 0
    assert Asset.objects.count() == SourceFile.objects.count()
    once(folder)

    assert set(outcomes().values()) == {"taken"}
    assert len(outcomes()) == Asset.objects.count() == TaggingJob.objects.count() == 300
