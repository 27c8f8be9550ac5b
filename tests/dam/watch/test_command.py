"""The command ``watch``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from dam.assets.models import Asset, Collection
from dam.assets.sources import lie_in_each_other
from tests.dam.factories import CollectionFactory
from tests.dam.watch.places import Place, once, outcomes, picture

pytestmark = pytest.mark.django_db(transaction=True)


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
