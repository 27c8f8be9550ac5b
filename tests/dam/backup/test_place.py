"""A place of backups: one at a time, older ones removed, every byte proved, apart from the blob store."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dam.backup import turn
from dam.backup.checking import Checked, backup_check, backups_list
from dam.backup.console import Teller
from dam.backup.errors import BackupError, WrongUseError
from dam.backup.place import Place, place_from_url, place_settings
from dam.backup.programs import child_environment
from pipeline.trees import FolderTree
from tests.dam.backup_scene import PICTURES, Library


def names(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "backups").iterdir())


def check(place: Path, name: str = "latest") -> Checked:
    return backup_check(place=Place(FolderTree(place)), name=name, teller=Teller(quiet=True))


def stored(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in (place / "blobs").rglob("*") if path.is_file()}


# ---------------------------------------------------------------- one at a time


def mark_of_another(place: Path, *, age_s: float) -> Path:
    mark = place / "backups" / "20200101T000000Z" / "running.json"
    mark.parent.mkdir(parents=True)
    mark.write_text('{"machine": "elsewhere", "process": 7, "begun": "2020-01-01T00:00:00+00:00"}')
    os.utime(mark, (time.time() - age_s,) * 2)
    return mark


def test_while_another_backup_runs_there_none_is_begun(filled: Library, place: Path, django_db_blocker):
    mark_of_another(place, age_s=30)
    with django_db_blocker.unblock(), pytest.raises(BackupError, match="process 7 on elsewhere, begun 2020"):
        filled.backup(place)
    assert names(place) == ["20200101T000000Z"], "our own mark is gone again"


def test_the_mark_of_one_that_was_killed_grows_old(library: Library, place: Path):
    mark_of_another(place, age_s=turn.SILENT.total_seconds() + 30)
    assert library.backup(place).is_fine


def test_a_mark_is_renewed_while_its_backup_runs(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turn, "RENEW_EVERY_S", 0.02)
    tree = FolderTree(place)
    with turn.turn_taken(Place(tree), datetime.now(UTC)) as (name, held):
        path = f"backups/{name}/running.json"
        os.utime(place / path, (0, 0))
        deadline = time.monotonic() + 60
        while tree.head(path).modified.year == 1970:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        held.check()
    assert tree.head(path) is None


# ---------------------------------------------------------------- older ones


def test_what_is_older_than_the_kept_goes_with_its_bytes(library: Library, backed_up: Path):
    (oldest,) = names(backed_up)
    foreign = backed_up / "blobs" / "README"
    foreign.write_text("somebody's")
    (key,) = library.rows("SELECT key FROM assets_blob ORDER BY id LIMIT 1")[0]
    library.rows("ALTER TABLE assets_assetversion DISABLE TRIGGER USER")
    library.rows("UPDATE assets_blob SET key = replace(key, '/original', '/other') WHERE key = %s", key)
    # As if that picture had been another one: what it was is named by the older backup alone.
    gone = f"blobs/{key}"
    (library.blobs / key).with_name("other").write_bytes((library.blobs / key).read_bytes())

    second = library.backup(backed_up, keep=2)
    assert (second.pruned.backups, second.pruned.files) == ((), 0)
    assert gone in stored(backed_up)
    broken_off = backed_up / "backups" / "20200101T000000Z" / "database.dump"
    broken_off.parent.mkdir()
    broken_off.write_bytes(b"half")

    third = library.backup(backed_up, keep=2)
    assert third.pruned.backups == ("20200101T000000Z", oldest)
    assert third.pruned.files == 1
    assert names(backed_up) == [second.document.name, third.document.name]
    assert gone not in stored(backed_up)
    assert foreign.exists()
    assert check(backed_up, second.document.name).is_sound
    assert check(backed_up).is_sound


def test_nothing_is_removed_where_a_manifest_that_stays_cannot_be_read(library: Library, backed_up: Path):
    second = library.backup(backed_up).document
    (backed_up / "backups" / second.name / "blobs.jsonl.gz").write_bytes(b"")
    before = stored(backed_up)
    made = library.backup(backed_up, keep=2)
    assert (made.is_fine, "not what was written" in made.not_pruned) == (False, True)
    assert stored(backed_up) == before
    assert len(names(backed_up)) == 3


# ---------------------------------------------------------------- proved


def test_every_byte_of_a_backup_is_proved(backed_up: Path):
    checked = check(backed_up)
    assert checked.is_sound
    assert checked.files == 2 * PICTURES + 2
    first, second, *_ = sorted((backed_up / "blobs").rglob("original"))
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    second.unlink()
    checked = check(backed_up)
    assert (checked.is_sound, checked.lacking) == (False, 2)
    assert [fault.kind for fault in checked.faults] == ["damaged", "missing"]


def test_a_damaged_dump_is_told(backed_up: Path):
    (dump,) = backed_up.glob("backups/*/database.dump")
    dump.write_bytes(dump.read_bytes()[:-1])
    with pytest.raises(BackupError, match=r"database\.dump is not what was written"):
        check(backed_up)


def test_an_older_backup_whose_renditions_were_made_anew_is_sound(library: Library, backed_up: Path):
    (older,) = names(backed_up)
    grid = next(library.blobs.rglob("grid.jpg"))
    grid.write_bytes(b"made anew")
    library.backup(backed_up)
    assert check(backed_up, older).is_sound


def test_what_is_not_done_and_what_cannot_be_read_is_listed_too(backed_up: Path):
    (name,) = names(backed_up)
    (backed_up / "backups" / "20200101T000000Z").mkdir()
    (backed_up / "backups" / "20200101T000000Z" / "database.dump").write_bytes(b"")
    shutil.copytree(backed_up / "backups" / name, backed_up / "backups" / "20210101T000000Z")
    listed = {each.name: each for each in backups_list(Place(FolderTree(backed_up)))}
    assert listed["20200101T000000Z"].document is None
    assert "another backup" in listed["20210101T000000Z"].trouble
    assert listed[name].document is not None


# ---------------------------------------------------------------- where it is


@pytest.mark.parametrize(
    ("place", "store"),
    [
        ("{}/blobs", "{}/blobs"),
        ("{}/blobs/backup", "{}/blobs"),
        ("{}", "{}/blobs"),
        ("file://{}/blobs/x", "{}/blobs"),
        ("{}/link", "{}/blobs"),
        ("s3://bucket/pictures", "s3://bucket/pictures/"),
        ("s3://bucket/pictures/backups", "s3://bucket/pictures"),
        ("s3://bucket", "s3://bucket/pictures"),
    ],
)
def test_a_place_in_the_blob_store_or_around_it_is_refused(tmp_path: Path, place: str, store: str):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "blobs")
    with pytest.raises(WrongUseError, match="one inside the other"):
        place_from_url(place.format(tmp_path), blob_url=store.format(tmp_path))


@pytest.mark.parametrize(
    ("place", "store"),
    [
        ("{}/backup", "{}/blobs"),
        ("{}/blobs-2", "{}/blobs"),
        ("s3://other/pictures", "s3://bucket/pictures"),
        ("s3://bucket/pictures-2", "s3://bucket/pictures"),
        ("{}/backup", "s3://bucket/pictures"),
        ("s3://bucket/backup", "{}/blobs"),
    ],
)
def test_a_place_beside_the_blob_store_is_taken(tmp_path: Path, place: str, store: str):
    place_from_url(place.format(tmp_path), blob_url=store.format(tmp_path))


def test_the_same_bucket_of_another_store_is_another_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VITRINE_S3_ENDPOINT", "https://one.example")
    monkeypatch.setenv("VITRINE_BACKUP_S3_ENDPOINT", "https://other.example")
    place_from_url("s3://bucket/pictures", blob_url="s3://bucket/pictures")


def test_settings_of_the_place_come_before_those_of_the_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for name, value in {
        "ENDPOINT": "https://one",
        "ACCESS_KEY": "a",
        "SECRET_KEY": "b",
        "SSE": "aws:kms",
    }.items():
        monkeypatch.setenv(f"VITRINE_S3_{name}", value)
    monkeypatch.setenv("VITRINE_S3_SSE_KMS_KEY_ID", "key")
    settings = place_settings()
    assert (settings.endpoint, settings.keys(), settings.sse_kms_key_id) == ("https://one", ("a", "b"), "key")

    secret = tmp_path / "secret"
    secret.write_text("d\n")
    monkeypatch.setenv("VITRINE_BACKUP_S3_ACCESS_KEY", "c")
    monkeypatch.setenv("VITRINE_BACKUP_S3_SECRET_KEY_FILE", str(secret))
    monkeypatch.setenv("VITRINE_BACKUP_S3_SSE", "AES256")
    settings = place_settings()
    assert (settings.endpoint, settings.keys()) == ("https://one", ("c", "d"))
    assert (settings.sse, settings.sse_kms_key_id) == ("AES256", None)

    monkeypatch.delenv("VITRINE_BACKUP_S3_SECRET_KEY_FILE")
    with pytest.raises(WrongUseError, match="VITRINE_BACKUP_S3_ACCESS_KEY and VITRINE_BACKUP_S3_SECRET_KEY"):
        place_from_url("s3://bucket", blob_url="/blobs")


# ---------------------------------------------------------------- who sees what


def test_a_password_stands_on_no_command_line(monkeypatch: pytest.MonkeyPatch):
    environment, shown = child_environment(
        {
            "dbname": "vitrine",
            "user": "me",
            "password": "hush '=\\",
            "host": "/run/pg",
            "sslmode": "verify-full",
            "connect_timeout": 10,
            "keepalives_idle": 5,
        }
    )
    assert "hush" not in shown
    assert environment["PGPASSWORD"] == "hush '=\\"
    assert (environment["PGHOST"], environment["PGSSLMODE"]) == ("/run/pg", "verify-full")
    assert environment["PGCONNECT_TIMEOUT"] == "10"
    assert "keepalives_idle=5" in shown
    with pytest.raises(BackupError, match="sslpassword"):
        child_environment({"dbname": "vitrine", "sslpassword": "hush"})
