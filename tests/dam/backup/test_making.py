"""What a new backup holds, what it leaves alone, and what it says of a library that is not whole."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dam.api.management.commands import migrate
from dam.assets.models import Asset, Blob
from dam.backup import database
from dam.backup.copying import THREADS, Copy, copied, in_order
from dam.backup.document import Fault
from dam.backup.errors import BackupError
from pipeline.trees import FolderTree
from tests.dam.backup_scene import PICTURES, Library, django_on


def manifest(place: Path, name: str) -> dict[str, dict[str, Any]]:
    with gzip.open(place / "backups" / name / "blobs.jsonl.gz", "rt") as lines:
        entries = [json.loads(line) for line in lines]
    assert [entry["key"] for entry in entries] == sorted(entry["key"] for entry in entries)
    return {entry["key"]: entry for entry in entries}


def stored(place: Path) -> set[str]:
    found = (path for path in (place / "blobs").rglob("*") if path.is_file())
    return {path.relative_to(place / "blobs").as_posix() for path in found}


def originals(library: Library) -> list[Path]:
    return [library.blobs / key for (key,) in library.rows("SELECT key FROM assets_blob ORDER BY id")]


def test_a_backup_holds_what_the_database_names_and_says_what_it_holds(library: Library, place: Path):
    made = library.backup(place)
    document = made.document
    assert made.is_fine
    said = json.loads((place / "backups" / document.name / "backup.json").read_text())
    assert said["format"] == 1
    named = {key for (key,) in library.rows("SELECT key FROM assets_blob")}
    grids = {key.replace("original", "grid.jpg") for key in named}
    assert stored(place) == named | grids, "neither tries nor what nothing names"
    entries = manifest(place, document.name)
    assert entries.keys() == named | grids
    for key, entry in entries.items():
        data = (library.blobs / key).read_bytes()
        assert (place / "blobs" / key).read_bytes() == data
        assert (entry["size"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    for file, facts in (("database.dump", said["database"]), ("blobs.jsonl.gz", said["manifest"])):
        data = (place / "backups" / document.name / file).read_bytes()
        assert (facts["size"], facts["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert document.rows("assets_asset") == PICTURES
    assert document.tables["jobs_deadletter"].rows == 1
    assert sorted(path.name for path in (place / "backups" / document.name).iterdir()) == [
        "backup.json",
        "blobs.jsonl.gz",
        "database.dump",
    ]


def test_a_second_backup_copies_what_is_new(library: Library, place: Path):
    first = library.backup(place).document
    assert first.copied.files == 2 * PICTURES
    second = library.backup(place).document
    assert (second.copied.files, second.manifest.originals, second.name > first.name) == (0, PICTURES, True)
    assert manifest(place, second.name) == manifest(place, first.name)
    (original, *_) = originals(library)
    original.with_name("grid.jpg").write_bytes(b"another grid")
    third = library.backup(place).document
    assert third.copied.files == 1
    key = original.with_name("grid.jpg").relative_to(library.blobs)
    assert (place / "blobs" / key).read_bytes() == b"another grid"


def test_renditions_can_be_left_out(library: Library, place: Path):
    document = library.backup(place, renditions=False).document
    assert (document.manifest.originals, document.manifest.renditions) == (PICTURES, 0)
    assert {Path(key).name for key in stored(place)} == {"original"}


def test_a_missing_original_is_said_and_the_rest_is_backed_up(library: Library, place: Path):
    (lost, *_) = originals(library)
    lost.unlink()
    made = library.backup(place, keep=1)
    assert not made.is_fine
    assert "not whole" in made.not_pruned
    (fault,) = made.document.faults.first
    assert (fault.key, fault.kind) == (lost.relative_to(library.blobs).as_posix(), "missing")
    assert fault.key not in manifest(place, made.document.name)
    assert made.document.manifest.originals == PICTURES - 1


def test_wrong_bytes_are_not_put_where_good_ones_belong(library: Library, place: Path):
    rotten, short, *_ = originals(library)
    good = rotten.read_bytes()
    size = rotten.stat().st_size
    rotten.write_bytes(b"\0" * size)
    damaged = library.backup(place).document
    assert (damaged.faults.damaged, damaged.is_whole) == (1, False)
    assert "sha256" in damaged.faults.first[0].detail
    assert not (place / "blobs" / rotten.relative_to(library.blobs)).exists()

    rotten.write_bytes(good)
    assert library.backup(place).document.is_whole
    kept = short.read_bytes()
    short.write_bytes(b"short")
    later = library.backup(place).document
    assert (later.is_whole, later.faults.only_here) == (True, 1)
    assert (place / "blobs" / short.relative_to(library.blobs)).read_bytes() == kept


def test_who_deletes_a_picture_meanwhile_has_lost_nothing(
    library: Library, place: Path, monkeypatch: pytest.MonkeyPatch
):
    (gone, *_) = originals(library)
    put = FolderTree.write

    def delete_then_write(tree: FolderTree, path: str, stream: Any) -> Any:
        if path.endswith("database.dump"):
            with django_on(library.url):
                asset = Asset.objects.get(current_version__blob__sha256=gone.parent.name)
                Asset.objects.filter(pk=asset.pk).update(current_version=None)
                asset.delete()
                Blob.objects.get(sha256=gone.parent.name).delete()
            shutil.rmtree(gone.parent)
        return put(tree, path, stream)

    monkeypatch.setattr(FolderTree, "write", delete_then_write)
    made = library.backup(place)
    assert made.is_fine
    assert made.document.manifest.originals == PICTURES - 1


def test_an_empty_store_before_a_full_database_is_no_library_to_back_up(library: Library, place: Path):
    for path in library.blobs.glob("??"):
        path.rename(library.blobs.with_name(f"away-{path.name}"))
    with pytest.raises(BackupError, match=f"names {PICTURES} originals.*is empty"):
        library.backup(place)
    assert not list(place.glob("backups/*")), "nothing of it is left"


def test_a_database_without_our_tables_is_none_to_back_up(empty: Library, place: Path):
    with pytest.raises(BackupError, match="no tables of Vitrine"):
        empty.backup(place)


def test_rows_and_digests_are_those_of_the_dump_while_everybody_writes_on(
    library: Library, place: Path, monkeypatch
):
    facts = database.table_facts

    def write_between(session: psycopg.Connection[Any], table: str) -> Any:
        library.rows("UPDATE assets_asset SET title = %s", table)
        library.rows("INSERT INTO jobs_round (name, begun_at) VALUES (%s, now())", table)
        library.rows("SELECT nextval('jobs_taggingjob_id_seq')")
        return facts(session, table)

    monkeypatch.setattr(database, "table_facts", write_between)
    document = library.backup(place).document
    monkeypatch.undo()
    assert document.tables["jobs_round"].rows == 0
    with database.connected(library.parameters) as session:
        assert facts(session, "assets_asset") != document.tables["assets_asset"]
        assert facts(session, "assets_blob") == document.tables["assets_blob"]
    span = document.sequences["jobs_taggingjob_id_seq"]
    assert span.most > span.least


def test_a_digest_hangs_on_no_setting_of_the_database(library: Library):
    def digests() -> list[Any]:
        with database.connected(library.parameters) as session:
            return [database.table_facts(session, table) for table in database.tables(session)]

    before = digests()
    settings = (
        "timezone = 'Asia/Tokyo'",
        "extra_float_digits = -5",
        "datestyle = 'German'",
        "bytea_output = 'escape'",
    )
    for setting in settings:
        library.rows(f'ALTER DATABASE "{library.parameters["dbname"]}" SET {setting}')
    assert digests() == before


def test_a_digest_sees_each_change_and_no_order(library: Library):
    with database.connected(library.parameters) as session:
        before = database.table_facts(session, "assets_asset")
        library.rows("UPDATE assets_asset SET title = title WHERE filename = '1.png'")
        assert database.table_facts(session, "assets_asset") == before
        library.rows("UPDATE assets_asset SET title = 'x' WHERE filename = '1.png'")
        assert database.table_facts(session, "assets_asset") != before


def test_no_migration_runs_while_the_database_is_dumped(library: Library):
    assert migrate._LOCK == database.MIGRATION_LOCK
    free = "SELECT pg_try_advisory_lock(%s), pg_advisory_unlock_all() IS NULL"
    with database.connected(library.parameters) as session, database.no_migration(session, print):
        assert library.rows(free, database.MIGRATION_LOCK)[0][0] is False
    assert library.rows(free, database.MIGRATION_LOCK)[0][0] is True


def test_a_failing_dump_says_all_that_pg_dump_said(
    library: Library, place: Path, tmp_path: Path, monkeypatch
):
    program = tmp_path / "pg_dump"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit\n'
        'echo "it is broken" >&2\nexit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("VITRINE_PG_PROGRAMS", str(tmp_path))
    with pytest.raises(BackupError, match=r"(?s)exit code 3.*it is broken"):
        library.backup(place)
    assert not list(place.glob("backups/*"))


def test_an_older_pg_dump_than_the_server_is_refused_with_both_versions(
    library: Library, place: Path, tmp_path: Path, monkeypatch
):
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n')
    program.chmod(0o755)
    monkeypatch.setenv("VITRINE_PG_PROGRAMS", str(tmp_path))
    with pytest.raises(BackupError, match=r"or later is needed.*9\.6"):
        library.backup(place)


def test_results_come_in_order_and_few_wait():
    seen: list[int] = []

    def items():
        for number in range(500):
            seen.append(number)
            yield number

    results = in_order(lambda number: number * 2, items())
    assert next(results) == 0
    assert len(seen) <= 8 * THREADS
    assert list(results) == [number * 2 for number in range(1, 500)]


def test_what_fails_ends_the_copying():
    def fails(number: int) -> int:
        if number == 7:
            raise BackupError("the seventh")
        return number

    with pytest.raises(BackupError, match="the seventh"):
        list(in_order(fails, range(10_000)))


def test_a_file_that_cannot_be_read_is_damaged_and_no_outage(tmp_path: Path):
    # One of the kernel's: it can be opened, and the first byte of it cannot be read.
    done = copied(Copy("key", "mem", "copy"), FolderTree(Path("/proc/self")), FolderTree(tmp_path))
    assert isinstance(done, Fault)
    assert (done.kind, "cannot be read" in done.detail) == ("damaged", True)
    assert list(tmp_path.iterdir()) == []
