"""Sources are watched: every complete file is taken once, whatever ends and begins meanwhile."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from PIL import Image
from psycopg.conninfo import make_conninfo

from dam.assets.models import Asset, Collection, SourceFile
from dam.assets.sources import BucketSource, is_meant, lie_in_each_other, source_from
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.loops import watch as loop
from dam.loops.watch import Watch, paths_of_event
from pipeline.blobs import BlobStoreDownError
from tests.dam.factories import CollectionFactory
from tests.plugins.object_store import ObjectStore
from tests.plugins.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 60.0


def picture(shade: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 7)).save(data, "PNG")
    return data.getvalue()


@dataclass
class Place:
    """Where somebody puts files."""

    address: str
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    names: Callable[[], set[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    root = tmp_path / "drop"
    root.mkdir()

    def put(name: str, data: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return Place(
        str(root),
        put,
        lambda name: (root / name).unlink(),
        lambda: {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()},
    )


@pytest.fixture(scope="module")
def drop_bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture
def bucket(object_store: ObjectStore, drop_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    client, prefix = object_store.client(), f"drop/{uuid4().hex}"

    def names() -> set[str]:
        listed = client.list_objects_v2(Bucket=drop_bucket, Prefix=f"{prefix}/").get("Contents", [])
        return {one["Key"].removeprefix(f"{prefix}/") for one in listed}

    return Place(
        f"s3://{drop_bucket}/{prefix}",
        lambda name, data: client.put_object(Bucket=drop_bucket, Key=f"{prefix}/{name}", Body=data),
        lambda name: client.delete_object(Bucket=drop_bucket, Key=f"{prefix}/{name}"),
        names,
    )


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def user() -> User:
    return User.objects.create_superuser("ada")


@pytest.fixture
def watch(place: Place, user: User) -> Watch:
    return Watch(source_from(place.address), user, interval_s=0, settle_s=0)


def outcomes() -> dict[str, str]:
    return dict(SourceFile.objects.values_list("path", "outcome"))


def look_twice(watch: Watch) -> None:
    """The second look finds what the first one found unchanged."""
    watch.look()
    watch.look()


def once(place: Place, *words: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) if code else nullcontext() as ended:
        call_command("watch", place.address, "--once", "--settle", "0", *words)
    assert ended is None or ended.value.code == code


# ---------------------------------------------------------------- what is taken


def test_every_file_is_taken_once_with_a_row_that_says_what_became_of_it(place: Place, watch: Watch) -> None:
    place.put("a.png", picture(1))
    place.put("trip/day 1/b ü.png", picture(2))
    place.put("trip/copy.png", picture(1))
    place.put("notes.txt", b"no picture")
    before = place.names()

    look_twice(watch)
    look_twice(watch)

    assert outcomes() == {
        "a.png": "taken",
        "trip/day 1/b ü.png": "taken",
        "trip/copy.png": "same-bytes",
        "notes.txt": "refused",
    }
    assert SourceFile.objects.get(outcome="refused").reason == "not-a-picture"
    assert set(Asset.objects.values_list("filename", flat=True)) == {"a.png", "b ü.png"}
    assert {row.asset for row in SourceFile.objects.exclude(outcome="refused")} == set(Asset.objects.all())
    assert set(TaggingJob.objects.values_list("bulk", flat=True)) == {True}
    assert watch.counts == {"taken": 2, "same-bytes": 1, "refused": 1}
    assert place.names() == before


def test_a_later_watch_of_the_same_source_takes_only_what_is_new(
    place: Place, watch: Watch, user: User
) -> None:
    place.put("a.png", picture(1))
    look_twice(watch)

    place.put("b.png", picture(2))
    later = Watch(source_from(place.address), user, settle_s=0)
    look_twice(later)

    assert later.counts == {"taken": 1}
    assert Asset.objects.count() == 2


def test_a_file_that_changed_becomes_a_new_asset(place: Place, watch: Watch) -> None:
    place.put("a.png", picture(1))
    look_twice(watch)
    first = Asset.objects.get()

    place.put("a.png", picture(70_000))
    look_twice(watch)

    row = SourceFile.objects.get()
    assert (row.outcome, row.asset) == ("taken", Asset.objects.exclude(pk=first.pk).get())


def test_a_refused_file_that_is_mended_is_taken(place: Place, watch: Watch) -> None:
    place.put("a.png", b"")
    look_twice(watch)
    assert outcomes() == {"a.png": "refused"}

    place.put("a.png", picture(1))
    look_twice(watch)
    assert outcomes() == {"a.png": "taken"}
    assert SourceFile.objects.get().reason == ""


def test_the_same_name_in_two_sources_is_two_files(place: Place, watch: Watch, user: User) -> None:
    place.put("a.png", picture(1))
    place.put("inner/a.png", picture(2))
    look_twice(watch)
    inner = Watch(source_from(f"{place.address}/inner"), user, settle_s=0)
    look_twice(inner)

    rows = SourceFile.objects.filter(path="a.png").order_by("source")
    assert [row.outcome for row in rows] == ["taken", "same-bytes"]
    assert Asset.objects.count() == 2


def test_two_watches_of_one_source_take_nothing_twice(place: Place, watch: Watch, user: User) -> None:
    for shade in range(6):
        place.put(f"{shade}.png", picture(shade))
    other = Watch(source_from(place.address), user, settle_s=0)

    def look() -> None:
        try:
            look_twice(other)
        finally:
            connection.close()

    beside = threading.Thread(target=look)
    beside.start()
    look_twice(watch)
    beside.join(SOON)
    look_twice(watch)

    assert Asset.objects.count() == 6
    assert set(outcomes().values()) == {"taken"}


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("a.jpg", True),
        ("trip/A.JPEG", True),
        (".hidden.jpg", False),
        (".trash/a.jpg", False),
        (".DS_Store", False),
        ("trip/Thumbs.db", False),
        ("a.jpg.part", False),
        ("a.jpg.crdownload", False),
        ("a.JPG.PART", False),
        ("a.jpg~", False),
        ("~$a.jpg", False),
        ("part.jpg", True),
    ],
)
def test_names_of_hidden_and_unfinished_files_are_not_meant(path: str, meant: bool) -> None:
    assert is_meant(path) is meant


def test_hidden_and_unfinished_files_are_left_alone(place: Place, watch: Watch) -> None:
    place.put(".hidden/a.png", picture(1))
    place.put("a.png.part", picture(2))

    look_twice(watch)

    assert outcomes() == {}
    assert watch.has_caught_up


# -------------------------------------------------------------- complete or not


def test_a_file_that_is_being_written_is_taken_when_it_rests(folder: Place, user: User) -> None:
    # The first look finds it by scanning, the others because it waits.
    watch = Watch(source_from(folder.address), user, interval_s=3600, settle_s=0)
    whole = picture(3)
    for end in (10, 20, 30):
        folder.put("a.png", whole[:end])
        watch.look()
        assert outcomes() == {}
    folder.put("a.png", whole)
    watch.look()
    assert outcomes() == {}

    watch.look()

    assert outcomes() == {"a.png": "taken"}


def test_a_file_rests_for_as_long_as_it_was_asked(folder: Place, user: User) -> None:
    watch = Watch(source_from(folder.address), user, interval_s=0, settle_s=3600)
    folder.put("a.png", picture(1))

    look_twice(watch)

    assert outcomes() == {}
    assert not watch.has_caught_up


def test_a_file_that_is_written_to_while_it_is_taken_is_not_catalogued_by_half(
    place: Place, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.png", picture(1))
    real, changes = type(blob_store()).put, iter([picture(70_000)])

    def put(store, stream):
        stored = real(store, stream)
        for change in changes:
            place.put("a.png", change)
        return stored

    monkeypatch.setattr(type(blob_store()), "put", put)
    look_twice(watch)
    assert Asset.objects.count() <= 1
    look_twice(watch)

    assert outcomes() == {"a.png": "taken"}
    (asset,) = Asset.objects.all()
    assert blob_store().read(asset.current_version.blob.key) == picture(70_000)


def test_a_file_that_goes_away_before_it_is_taken_is_forgotten(folder: Place, user: User) -> None:
    watch = Watch(source_from(folder.address), user, settle_s=0)
    folder.put("a.png", picture(1))
    watch.look()
    folder.remove("a.png")

    watch.look()

    assert (outcomes(), watch.has_caught_up) == ({}, True)


def test_a_name_that_is_no_utf_8_is_taken_once(folder: Place, user: User) -> None:
    (Path(folder.address) / os.fsdecode(b"caf\xe9.png")).write_bytes(picture(1))
    watch = Watch(source_from(folder.address), user, interval_s=0, settle_s=0)

    look_twice(watch)
    look_twice(watch)

    assert outcomes() == {"caf\\udce9.png": "taken"}
    assert watch.counts == {"taken": 1}


def test_a_link_that_leads_nowhere_is_refused_and_taken_once_it_leads_somewhere(
    folder: Place, user: User
) -> None:
    target = Path(folder.address).parent / "elsewhere.png"
    target.write_bytes(picture(1))
    (Path(folder.address) / "a.png").symlink_to(target)
    target.chmod(0)
    watch = Watch(source_from(folder.address), user, interval_s=0, settle_s=0)

    look_twice(watch)

    # Permissions do not bind the administrator of a machine.
    assert outcomes() == {"a.png": "taken" if os.geteuid() == 0 else "refused"}
    target.chmod(0o600)
    look_twice(watch)
    assert outcomes() == {"a.png": "taken"}


# ----------------------------------------------------------------------- outages


@contextmanager
def running(watch: Watch, **options: object) -> Iterator[threading.Event]:
    """The loop in a thread."""
    stop, failures = threading.Event(), []
    watch.should_stop = stop.is_set

    def work() -> None:
        try:
            loop.run(watch, stop, **options)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(SOON)
        assert not thread.is_alive()
        assert failures == []


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


# ------------------------------------------------------------------ as it happens


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


# --------------------------------------------------------------------- the command


def test_once_takes_what_is_there_and_ends(place: Place, user: User) -> None:
    place.put("a.png", picture(1))
    once(place)
    assert outcomes() == {"a.png": "taken"}
    assert Asset.objects.get().uploaded_by == user

    place.put("bad.png", b"bad")
    once(place, code=1)
    once(place)


def test_the_files_go_to_the_collection_and_the_user_that_are_named(folder: Place, user: User) -> None:
    other = User.objects.create_user("grace")
    Collection.objects.add_child(CollectionFactory(name="Travel"), create_kwargs={"name": "2026"})
    folder.put("a.png", picture(1))

    once(folder, "--user", "grace", "--collection", "Travel/2026")

    asset = Asset.objects.get()
    assert (asset.uploaded_by, asset.collection.name) == (other, "2026")


def test_what_cannot_be_watched_is_told_before_anything_is_taken(
    folder: Place, bucket: Place, user: User, settings, tmp_path: Path
) -> None:
    settings.BLOB_URL = str(tmp_path / "drop" / "blobs")
    with pytest.raises(CommandError, match="keeps its own files"):
        once(folder)
    settings.BLOB_URL = str(tmp_path / "blobs")
    for words, says in [
        (["--collection", "Nowhere"], "no collection “Nowhere” in “Library”"),
        (["--user", "eve"], "no active user"),
        (["--events"], "those of a bucket"),
    ]:
        with pytest.raises(CommandError, match=says):
            once(folder, *words)
    for address, says in [("ftp://host/x", "not a folder"), ("s3://", "s3://BUCKET/PREFIX")]:
        with pytest.raises(CommandError, match=says):
            call_command("watch", address, "--once")
    with pytest.raises(CommandError, match="name a folder"):
        call_command("watch")


@pytest.mark.parametrize(
    ("first", "second", "lie"),
    [
        ("s3://b/drop", "s3://b/pictures", False),
        ("s3://b/drop", "s3://b/dropped", False),
        ("s3://b/drop", "s3://b/drop/", True),
        ("s3://b", "s3://b/pictures", True),
        ("s3://b/a", "s3://c/a", False),
        ("/drop", "file:///drop/blobs", True),
        ("/drop", "s3://b/drop", False),
    ],
)
def test_places_that_lie_in_each_other_are_told_from_neighbours(first: str, second: str, lie: bool) -> None:
    assert lie_in_each_other(first, second) is lie
    assert lie_in_each_other(second, first) is lie


def test_the_list_gives_the_sums_of_every_source_and_what_was_refused_of_one(
    folder: Place, user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.put("a.png", picture(1))
    folder.put("b.png", picture(1))
    folder.put("[red] bad.png", b"bad")
    once(folder, code=1)
    capsys.readouterr()

    call_command("watch", "--list", "--json")
    (sums,) = json.loads(capsys.readouterr().out)["sources"]
    assert (sums["source"], sums["taken"], sums["same_bytes"], sums["refused"]) == (folder.address, 1, 1, 1)
    call_command("watch", "--list", folder.address, "--json")
    (refused,) = json.loads(capsys.readouterr().out)["refused"]
    assert (refused["path"], refused["reason"]) == ("[red] bad.png", "not-a-picture")

    call_command("watch", "--list")
    assert "Watched sources" in capsys.readouterr().out
    call_command("watch", "--list", folder.address)
    assert "[red] bad.png" in capsys.readouterr().out


# ------------------------------------------------------------- ends of processes


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
