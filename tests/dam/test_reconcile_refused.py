"""A store whose originals the catalogue does not know is left alone: it is likelier to be another one's."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from dam.assets import orphans
from dam.assets.models import Blob
from dam.jobs.models import Round
from dam.loops import housekeeping
from pipeline.blobs import BlobStoreDownError, FolderBlobStore
from tests.dam.factories import AssetFactory, BlobFactory

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = "have no name in this database"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderBlobStore:
    store = FolderBlobStore(tmp_path / "blobs")
    monkeypatch.setattr(orphans, "blob_store", lambda: store)
    return store


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten originals without a name are many."""
    monkeypatch.setattr(orphans, "_MOST_UNNAMED", 10)


def fill(store: FolderBlobStore, *, named: int, unnamed: int) -> None:
    """Originals of two days ago."""
    then = time.time() - 2 * 86_400
    for number in range(named + unnamed):
        data = f"{number} of {time.monotonic_ns()}".encode()
        key = store.put(io.BytesIO(data)).key
        os.utime(store._root / key, (then, then))
        if number < named:
            named_by = AssetFactory(state="failed", reason="corrupt").current_version.blob_id
            Blob.objects.filter(pk=named_by).update(sha256=hashlib.sha256(data).hexdigest(), key=key)


def stored(store: FolderBlobStore) -> int:
    return sum(1 for _ in store.originals(older_than_s=0))


def run(*words: str) -> dict[str, object]:
    out = io.StringIO()
    call_command("reconcile", "--json", *words, stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize(("named", "unnamed"), [(0, 1), (0, 12), (20, 11)])
def test_a_store_of_which_the_catalogue_knows_too_little_is_left_alone(
    store: FolderBlobStore, few: None, named: int, unnamed: int
) -> None:
    fill(store, named=named, unnamed=unnamed)
    unused = BlobFactory()
    Blob.objects.filter(pk=unused.pk).update(created_at=timezone.now() - timedelta(days=2))
    told = f"^the jobs are done, the bytes are not: {unnamed} of the {named + unnamed} .* {REFUSED}"
    with pytest.raises(CommandError, match=told):
        run()
    assert stored(store) == named + unnamed
    assert Blob.objects.count() == named + 1


@pytest.mark.parametrize(("named", "unnamed"), [(1, 10), (120, 12)])
def test_few_or_a_small_part_without_a_name_are_what_crashes_leave_behind(
    store: FolderBlobStore, few: None, named: int, unnamed: int
) -> None:
    fill(store, named=named, unnamed=unnamed)
    assert run()["orphan_originals"] == unnamed
    assert stored(store) == named


def test_a_dry_run_says_that_it_would_refuse_and_force_deletes_all_the_same(store: FolderBlobStore) -> None:
    fill(store, named=0, unnamed=3)
    said = run("--dry-run")
    assert (said["orphan_originals"], said["dry_run"]) == (3, True)
    assert "--force-orphans" in str(said["refusal"])
    out = io.StringIO()
    call_command("reconcile", "--dry-run", stdout=out)
    told = f"the bytes would be left alone: 3 of the 3 originals that are old enough {REFUSED}"
    assert told in out.getvalue()
    forced = run("--dry-run", "--force-orphans")
    assert (forced["orphan_originals"], forced["refusal"]) == (3, "")
    assert stored(store) == 3
    assert run("--force-orphans")["orphan_originals"] == 3
    assert stored(store) == 0


# ---------------------------------------------------------------- the round


def look(*, after: timedelta = timedelta(0)) -> None:
    """The relay looks what is due, so long after the last time."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_round SET begun_at = begun_at - %s", [after])
    housekeeping.do_rounds(lambda: False)


@pytest.fixture
def _only_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "ROUNDS", [one for one in housekeeping.ROUNDS if one.name == "orphans"])


@pytest.mark.usefixtures("_only_orphans")
def test_a_database_that_knows_of_no_sweep_waits_a_day_for_the_first(store: FolderBlobStore) -> None:
    fill(store, named=1, unnamed=1)
    look()
    look(after=timedelta(hours=23))
    assert stored(store) == 2
    look(after=timedelta(hours=1))
    assert stored(store) == 1


@pytest.mark.usefixtures("_only_orphans")
def test_a_round_that_refuses_says_what_to_do_and_asks_again_a_day_later(store: FolderBlobStore) -> None:
    fill(store, named=0, unnamed=2)
    refused = {"round": "orphans", "result": "refused"}
    before = REGISTRY.get_sample_value("vitrine_round_runs_total", refused) or 0
    look()
    with capture_logs() as said:
        look(after=timedelta(days=1))
        look()
    (line,) = said
    assert (line["event"], line["log_level"], line["round"]) == ("round refused", "error", "orphans")
    for word in ("DATABASE_URL", "VITRINE_BLOB_URL", "docs/operations.md", "--force-orphans"):
        assert word in line["reason"]
    assert stored(store) == 2
    assert REGISTRY.get_sample_value("vitrine_round_runs_total", refused) == before + 1
    at = REGISTRY.get_sample_value("vitrine_round_last_refusal_timestamp_seconds", {"round": "orphans"})
    assert at == pytest.approx(time.time(), abs=60)


@pytest.mark.usefixtures("_only_orphans")
def test_a_sweep_that_finds_the_store_away_does_not_wait_another_day(
    store: FolderBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, named=1, unnamed=1)

    def away(**_age: float) -> None:
        raise BlobStoreDownError("unmounted")

    look()
    with monkeypatch.context() as patch:
        patch.setattr(store, "originals", away)
        look(after=timedelta(days=1))
    assert Round.objects.filter(name="orphans").exists()
    look()
    assert stored(store) == 1
