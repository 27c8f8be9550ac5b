"""The commands as they are typed: what they print, and how they end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from dam.assets.storage import blob_store
from tests.dam.backup_scene import PICTURES, Library, django_on

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(library: Library, *words: str) -> tuple[int, str]:
        monkeypatch.setattr(settings, "BLOB_URL", str(library.blobs))
        blob_store.cache_clear()
        said = io.StringIO()
        with django_on(library.url):
            try:
                call_command(*words, stdout=said)
            except SystemExit as end:
                return int(str(end.code)), said.getvalue()
            except CommandError as error:
                return error.returncode, str(error)
            finally:
                blob_store.cache_clear()
        return 0, said.getvalue()

    return run


def test_there_and_back_by_commands(library: Library, empty: Library, place: Path, run: Run):
    code, said = run(library, "backup", str(place))
    assert (code, f"{PICTURES} assets" in said, f"{PICTURES} originals" in said) == (0, True, True)
    assert {oct(path.stat().st_mode & 0o077) for path in place.rglob("*")} == {"0o0"}, "passwords are in it"
    code, said = run(library, "backup", str(place), "--keep", "1", "--json")
    facts = json.loads(said)
    assert (code, facts["whole"], len(facts["removed"]["backups"])) == (0, True, 1)
    code, said = run(library, "backups", str(place), "--check")
    assert (code, "is sound" in said) == (0, True)
    code, said = run(library, "backups", str(place), "--json")
    (listed,) = json.loads(said)["backups"]
    assert (code, listed["name"], listed["done"]) == (0, facts["name"], True)
    code, said = run(empty, "restore", str(place))
    assert (code, "is restored" in said, "Integrity" in said) == (0, True, True)
    assert empty.rows("SELECT count(*) FROM integrity_integrityrun") == [(1,)]


def test_what_is_missing_ends_with_one_and_is_named(library: Library, empty: Library, place: Path, run: Run):
    (key,) = library.rows("SELECT key FROM assets_blob ORDER BY id LIMIT 1")[0]
    (library.blobs / key).unlink()
    code, said = run(library, "backup", str(place))
    assert (code, f"missing    {key}" in said) == (1, True)
    code, said = run(library, "backups", str(place), "--check")
    assert (code, "not sound" in said, "without 1 files" in said) == (1, True, True)
    code, said = run(empty, "restore", str(place), "--json")
    told = json.loads(said)
    assert (code, told["missing"], told["faults"][0]["key"]) == (1, 1, key)
    assert not told["integrity"]["is_sound"]


def test_wrong_use_ends_with_two(empty: Library, place: Path, run: Run):
    for words in (
        ("backup", str(empty.blobs / "inside")),
        ("backup", "ftp://somewhere/else"),
        ("restore", str(place)),
        ("restore", str(place), "--name", "yesterday"),
        ("backups", str(place), "--check"),
    ):
        assert run(empty, *words)[0] == 2, words


def test_a_place_without_a_backup_ends_with_one(empty: Library, place: Path, run: Run):
    assert run(empty, "backups", str(place))[0] == 1
