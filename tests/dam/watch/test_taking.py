"""Sources are watched: every complete file is taken once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dam.assets.models import Asset, SourceFile
from dam.assets.sources import is_meant, source_from
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.loops.watch import Watch
from tests.dam.watch.places import SOON, Place, look_twice, outcomes, picture

pytestmark = pytest.mark.django_db(transaction=True)


# ------------------------------------------------------------- what is taken


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


# ----------------------------------------------------------- complete or not


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
