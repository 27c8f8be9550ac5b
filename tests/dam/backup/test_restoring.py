"""Back from a backup: all as it was; refusals before anything is touched; interruptions gone on from."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate

from dam.backup import filling, restoring
from dam.backup.database import connected, table_facts, tables
from dam.backup.document import TableFacts, read_document
from dam.backup.errors import BackupError, WrongUseError
from dam.jobs.ledger import ledger
from tests.dam.backup_scene import PICTURES, Library, django_on

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def digests(library: Library) -> dict[str, TableFacts]:
    with connected(library.parameters) as session:
        return {table: table_facts(session, table) for table in tables(session)}


def files(library: Library) -> dict[str, bytes]:
    found = (path for path in library.blobs.glob("??/??/*/*"))
    return {path.relative_to(library.blobs).as_posix(): path.read_bytes() for path in found}


def document_of(place: Path) -> Path:
    (path,) = place.glob("backups/*/backup.json")
    return path


def change_document(place: Path, **fields: Any) -> None:
    path = document_of(place)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def is_untouched(library: Library) -> bool:
    return library.rows(TABLES) == [(0,)] and not library.blobs.exists()


def test_a_restored_library_is_the_one_that_was_backed_up(library: Library, empty: Library, place: Path):
    library.backup(place)
    restored = empty.restore(place)
    assert restored.is_fine
    assert (restored.copied_files, restored.kept_files) == (2 * PICTURES, 0)
    (tried,) = library.rows("SELECT blob_key FROM jobs_taggingjob WHERE purpose = 'try'")
    assert files(empty) == {key: data for key, data in files(library).items() if key != tried[0]}
    before, after = digests(library), digests(empty)
    # Jobs: those in a broker's hands, and the try. Its dead letter names it no more. Rounds: the sweep's.
    changed = {table for table in before if before[table] != after[table]}
    assert changed == {"jobs_taggingjob", "jobs_deadletter", "jobs_round"}
    assert before.keys() == after.keys()
    job = "SELECT id, asset_id, attempts, state FROM jobs_taggingjob WHERE purpose <> 'try' ORDER BY id"
    assert empty.rows(job) == [
        (*row, "queued" if state == "published" else state) for *row, state in library.rows(job)
    ]
    assert empty.rows("SELECT body, job_id FROM jobs_deadletter") == [(b"\\x00 odd bytes \x00\xff", None)]
    assert (restored.queued_again, restored.tries_forgotten) == (3, 1)


def test_a_restored_library_goes_on(library: Library, empty: Library, place: Path):
    library.backup(place)
    empty.restore(place)
    with django_on(empty.url):
        assert authenticate(username="person", password="well-kept secret") is not None
        found = ledger()
        assert (found.assets, found.pending) == (PICTURES, PICTURES)
    (most,) = library.rows("SELECT max(id) FROM jobs_taggingjob")[0]
    assert empty.rows("SELECT nextval('jobs_taggingjob_id_seq')")[0][0] >= most + 1_000_000
    held = "SELECT begun_at > now() + interval '5 days' FROM jobs_round WHERE name = 'orphans'"
    assert empty.rows(held) == [(True,)]


def test_what_lies_in_the_blob_store_stays(library: Library, empty: Library, place: Path):
    library.backup(place)
    newer = empty.blobs / "ab" / "cd" / ("abcd" + "0" * 60) / "original"
    newer.parent.mkdir(parents=True)
    newer.write_bytes(b"came after the backup")
    (key,) = library.rows("SELECT key FROM assets_blob ORDER BY id LIMIT 1")[0]
    (empty.blobs / key).parent.mkdir(parents=True)
    (empty.blobs / key).write_bytes(b"x")
    restored = empty.restore(place)
    assert (restored.copied_files, restored.kept_files) == (2 * PICTURES, 0), (
        "one of another size was put right"
    )
    assert newer.exists()
    assert (empty.blobs / key).read_bytes() == (library.blobs / key).read_bytes()


def test_an_older_backup_is_restored_with_a_rendition_that_was_made_anew(
    library: Library, empty: Library, place: Path
):
    first = library.backup(place).document
    (key,) = library.rows("SELECT renditions -> 'grid' ->> 'key' FROM assets_assetversion LIMIT 1")[0]
    (library.blobs / key).write_bytes(b"made anew, and larger")
    library.rows("UPDATE assets_asset SET title = 'later'")
    library.backup(place)
    assert empty.restore(place, first.name).is_fine
    assert empty.rows("SELECT DISTINCT title FROM assets_asset") == [("",)]
    assert (empty.blobs / key).read_bytes() == b"made anew, and larger"


def test_without_renditions_the_pictures_name_none(library: Library, empty: Library, place: Path):
    library.backup(place, renditions=False)
    restored = empty.restore(place)
    assert (restored.is_fine, restored.renditions_forgotten) == (True, PICTURES)
    assert empty.rows("SELECT DISTINCT renditions FROM assets_assetversion") == [({},)]


# ---------------------------------------------------------------- refusals


def test_a_database_in_use_is_refused_and_stays_as_it_is(library: Library, place: Path):
    library.backup(place)
    before = digests(library)
    with pytest.raises(BackupError, match=r"in use.*CREATE DATABASE"):
        library.restore(place)
    assert digests(library) == before


def test_a_second_restore_is_refused(empty: Library, backed_up: Path):
    empty.restore(backed_up)
    with pytest.raises(BackupError, match="in use"):
        empty.restore(backed_up)


def test_a_database_that_nobody_has_used_counts_as_empty(library: Library, place: Path):
    library.backup(place)
    # As migrations and a first start leave it.
    library.rows("TRUNCATE assets_asset, assets_blob, jobs_taggingjob, tagging_decision, auth_user CASCADE")
    columns = (
        "username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined"
    )
    made = "'admin', '!x', TRUE, TRUE, TRUE, '', '', '', now()"
    library.rows(f"INSERT INTO auth_user ({columns}) VALUES ({made})")
    assert library.restore(place).is_fine
    assert library.rows("SELECT username FROM auth_user") == [("person",)]


def test_a_backup_of_newer_code_is_refused(empty: Library, backed_up: Path):
    document = read_document(document_of(backed_up).read_bytes(), "")
    later = {app: list(names) for app, names in document.migrations.items()}
    later["assets"].append("0099_from_the_future")
    change_document(backed_up, migrations=later, vitrine="9.9.9")
    with pytest.raises(BackupError, match=r"older than the backup.*9\.9\.9.*assets\.0099_from_the_future"):
        empty.restore(backed_up)
    assert is_untouched(empty)


def test_an_older_server_than_the_dumps_is_refused(empty: Library, backed_up: Path):
    change_document(backed_up, server="99.1")
    with pytest.raises(BackupError, match=r"PostgreSQL 99\.1, and this server is"):
        empty.restore(backed_up)
    assert is_untouched(empty)


def test_a_later_format_is_refused(empty: Library, backed_up: Path):
    change_document(backed_up, format=2)
    with pytest.raises(BackupError, match="of format 2"):
        empty.restore(backed_up)
    assert is_untouched(empty)


def test_a_damaged_file_of_the_backup_is_refused_before_anything_is_touched(empty: Library, backed_up: Path):
    for file in ("database.dump", "blobs.jsonl.gz"):
        path = document_of(backed_up).with_name(file)
        data = path.read_bytes()
        for damage in (data[: len(data) // 2], data[:-20] + bytes([data[-20] ^ 1]) + data[-19:], data + b"x"):
            path.write_bytes(damage)
            with pytest.raises(BackupError, match=f"{file} is not what was written"):
                empty.restore(backed_up)
        path.unlink()
        with pytest.raises(BackupError, match=f"{file} is missing"):
            empty.restore(backed_up)
        path.write_bytes(data)
    assert is_untouched(empty)


def test_a_document_that_is_cut_off_is_told(empty: Library, backed_up: Path):
    path = document_of(backed_up)
    path.write_text(path.read_text()[:200])
    with pytest.raises(BackupError, match="no document of a backup"):
        empty.restore(backed_up)


@pytest.mark.parametrize("name", ["latest", "20200101T000000Z", "../../etc"])
def test_a_backup_that_is_not_there_is_told_with_those_that_are(empty: Library, place: Path, name: str):
    with pytest.raises(WrongUseError, match="there are: none"):
        empty.restore(place, name)


def test_while_others_are_connected_nothing_is_restored(empty: Library, backed_up: Path):
    with (
        connected({**empty.parameters}),
        pytest.raises(BackupError, match=r"others are connected.*vitrine backup"),
    ):
        empty.restore(backed_up)
    assert is_untouched(empty)


def test_rows_that_differ_from_the_document_end_the_restore(empty: Library, backed_up: Path):
    document = read_document(document_of(backed_up).read_bytes(), "")
    facts = {name: facts.model_dump() for name, facts in document.tables.items()}
    facts["assets_asset"]["digest"] = "1"
    facts["auth_user"]["rows"] += 1
    del facts["knox_authtoken"]
    change_document(backed_up, tables=facts)
    with pytest.raises(BackupError, match="not that of the backup") as told:
        empty.restore(backed_up)
    for said in (
        "assets_asset has 5 rows, and not all",
        "auth_user has 1 rows in place of 2",
        "knox_authtoken is not",
    ):
        assert said in str(told.value)
    assert empty.rows("SELECT count(*) FROM jobs_taggingjob WHERE state = 'published'") == [(3,)], (
        "not made ready"
    )


# ------------------------------------------------- missing bytes, interruptions


def test_a_few_missing_originals_are_told_and_the_rest_is_restored(empty: Library, backed_up: Path):
    lost, changed, *_ = sorted((backed_up / "blobs").rglob("original"))
    lost.unlink()
    changed.write_bytes(b"\0" * changed.stat().st_size)
    restored = empty.restore(backed_up)
    assert (restored.is_fine, restored.missing) == (False, 2)
    assert {fault.kind for fault in restored.faults} == {"missing", "damaged"}
    assert not (empty.blobs / changed.relative_to(backed_up / "blobs")).exists()
    assert empty.rows("SELECT count(*) FROM assets_asset") == [(PICTURES,)]


def test_where_many_originals_are_missing_the_place_may_be_the_wrong_one(
    empty: Library, backed_up: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(restoring, "_MOST_LACKING", 1)
    for path in list((backed_up / "blobs").rglob("original"))[:3]:
        path.unlink()
    with pytest.raises(BackupError, match=r"3 of 5 originals.*--incomplete"):
        empty.restore(backed_up)
    assert empty.rows(TABLES) == [(0,)]
    assert empty.restore(backed_up, incomplete=True).missing == 3


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_restore_goes_on_wherever_it_was_interrupted(
    empty: Library, backed_up: Path, monkeypatch: pytest.MonkeyPatch
):
    for step in ("begin", "fill", "differences", "prepare", "pending_migrations", "end"):
        with monkeypatch.context() as patch:
            patch.setattr(filling, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                empty.restore(backed_up)
    restored = empty.restore(backed_up)
    assert (restored.is_fine, restored.kept_files) == (True, 2 * PICTURES)
    assert empty.rows("SELECT to_regclass('vitrine_restore')") == [(None,)]
    jobs = "SELECT state, count(*) FROM jobs_taggingjob GROUP BY 1 ORDER BY 1"
    assert empty.rows(jobs) == [("done", 1), ("queued", 4)]
    with pytest.raises(BackupError, match="in use"):
        empty.restore(backed_up)


def test_another_backup_than_the_one_begun_is_refused(
    library: Library, empty: Library, place: Path, monkeypatch: pytest.MonkeyPatch
):
    first = library.backup(place).document
    library.backup(place)

    with monkeypatch.context() as patch:
        patch.setattr(filling, "fill", interrupt)
        with pytest.raises(KeyboardInterrupt):
            empty.restore(place, first.name)
    with pytest.raises(BackupError, match=f"restore of backup {first.name} was begun"):
        empty.restore(place)
    assert empty.restore(place, first.name).is_fine


def test_a_dump_that_pg_restore_refuses_leaves_the_database_empty(empty: Library, backed_up: Path):
    # Somebody's function stands where one of the dump's tables will.
    empty.rows("CREATE VIEW tagging_tag AS SELECT 1")
    with pytest.raises(BackupError, match=r"(?s)pg_restore failed.*tagging_tag"):
        empty.restore(backed_up)
    assert empty.rows(TABLES) == [(1,)], "the mark alone"
    empty.rows("DROP VIEW tagging_tag")
    assert empty.restore(backed_up).is_fine


def test_a_backup_of_older_code_is_brought_up_to_date(library: Library, empty: Library, place: Path):
    library.rows("DROP INDEX job_failed")
    library.rows("DELETE FROM django_migrations WHERE app = 'jobs' AND name = '0005_failed_jobs'")
    library.backup(place)
    restored = empty.restore(place)
    assert restored.migrated == ["jobs.0005_failed_jobs"]
    assert empty.rows("SELECT to_regclass('job_failed') IS NOT NULL") == [(True,)]


def test_a_manifest_in_disorder_is_no_manifest(empty: Library, backed_up: Path):
    path = document_of(backed_up).with_name("blobs.jsonl.gz")
    with gzip.open(path, "wt") as file:
        file.write("no line of JSON\n")
    facts = json.loads(document_of(backed_up).read_text())["manifest"]
    data = path.read_bytes()
    change_document(
        backed_up, manifest=facts | {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    with pytest.raises(BackupError, match="cannot be read"):
        empty.restore(backed_up)
    assert is_untouched(empty)
