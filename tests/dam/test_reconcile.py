"""Reconciling puts right what crashes leave behind, races with no upload, and changes nothing twice."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from PIL import Image

from dam.assets import orphans, services
from dam.assets.models import Asset, Blob
from dam.assets.orphans import OrphansSwept, orphans_sweep
from dam.assets.services import asset_create
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging import services as tagging_services
from dam.tagging.services import tries_sweep, try_create
from pipeline.blobs import BlobStoreDownError, FolderBlobStore
from pipeline.ports import StoredBlob
from tests.dam.factories import AssetFactory, TaggingJobFactory, UserFactory, job_close
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 60.0
DAY = timedelta(days=1)


def nothing() -> None:
    return


class HookedStore(FolderBlobStore):
    """The real folder, with a place for the test at each step."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before_delete: Callable[[], None] = nothing
        self.after_put: Callable[[], None] = nothing
        self.after_exists: Callable[[], None] = nothing

    def put(self, stream: BinaryIO) -> StoredBlob:
        stored = super().put(stream)
        self._once("after_put")
        return stored

    def exists(self, key: str) -> bool:
        found = super().exists(key)
        self._once("after_exists")
        return found

    def delete(self, key: str) -> None:
        self._once("before_delete")
        super().delete(key)

    def _once(self, name: str) -> None:
        hook = getattr(self, name)
        setattr(self, name, nothing)
        hook()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HookedStore:
    hooked = HookedStore(tmp_path / "blobs")
    for module in (services, orphans, tagging_services):
        monkeypatch.setattr(module, "blob_store", lambda: hooked)
    return hooked


@pytest.fixture
def user() -> User:
    return UserFactory()


def picture(shade: int) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(stream, "PNG")
    stream.seek(0)
    return stream


def age(store: FolderBlobStore, key: str, *, by: timedelta = 2 * DAY) -> str:
    """Let an original have been written that long ago."""
    then = time.time() - by.total_seconds()
    os.utime(store._root / key, (then, then))
    return key


def orphan(store: FolderBlobStore, shade: int) -> str:
    """Bytes as a crash leaves them between storing and cataloguing, two days ago."""
    return age(store, store.put(picture(shade)).key)


# --------------------------------------------------------------------- jobs


def published(ago: timedelta) -> TaggingJob:
    asset = AssetFactory(state="pending")
    return TaggingJobFactory(asset=asset, state="published", attempts=1, published_at=timezone.now() - ago)


def run(*words: str) -> dict[str, object]:
    out = io.StringIO()
    call_command("reconcile", "--json", *words, stdout=out)
    return json.loads(out.getvalue())


DONE_NOTHING = {
    "published_again": 0,
    "requested": 0,
    "orphan_originals": 0,
    "orphan_rows": 0,
    "refusal": "",
    "dry_run": False,
}


def test_what_was_published_too_long_ago_is_queued_again_once(store: HookedStore) -> None:
    old, fresh = published(timedelta(hours=2)), published(timedelta(minutes=5))
    answered = published(timedelta(hours=2))
    job_close(answered)
    Asset.objects.filter(pk=answered.asset_id).update(state="failed", reason="corrupt")
    assert run("--dry-run")["published_again"] == 1
    assert run() == DONE_NOTHING | {"published_again": 1}
    assert run() == DONE_NOTHING
    for job in (old, fresh, answered):
        job.refresh_from_db()
    assert (old.state, old.generation, old.attempts) == ("queued", 1, 1)
    assert (fresh.state, answered.state) == ("published", "done")
    assert run("--published-before", "4m")["published_again"] == 1


def test_a_pending_asset_that_nobody_would_tag_gets_a_job_once(store: HookedStore) -> None:
    waiting = TaggingJobFactory().asset
    forgotten = AssetFactory(state="pending", generation=3)
    closed = AssetFactory(state="pending")
    job_close(TaggingJobFactory(asset=closed))
    AssetFactory(state="failed", reason="corrupt")
    assert ledger().forgotten == 2
    assert run("--dry-run")["requested"] == 2
    assert run() == DONE_NOTHING | {"requested": 2}
    assert run() == DONE_NOTHING
    assert ledger().forgotten == 0
    assert TaggingJob.objects.get(asset=forgotten).generation == 4
    assert TaggingJob.objects.filter(asset=waiting).count() == 1


def test_two_at_once_issue_a_missing_job_once(store: HookedStore) -> None:
    AssetFactory.create_batch(20, state="pending")
    with in_threads(*[lambda: call_command("reconcile", "--json", stdout=io.StringIO())] * 2):
        pass
    assert TaggingJob.objects.count() == 20


# ------------------------------------------------------------------ orphans


def test_bytes_that_nothing_names_go_after_a_day(store: HookedStore, user: User) -> None:
    kept = [
        age(
            store, asset_create(stream=picture(1), filename="a.png", user=user).asset.current_version.blob.key
        ),
        age(store, try_create(stream=picture(2), user=user).blob_key),
        age(store, store.put(picture(3)).key, by=timedelta(hours=23)),
    ]
    gone = [orphan(store, shade) for shade in (4, 5)]
    assert run("--dry-run")["orphan_originals"] == 2
    assert all(map(store.exists, kept + gone))
    assert run() == DONE_NOTHING | {"orphan_originals": 2}
    assert run() == DONE_NOTHING
    assert all(map(store.exists, kept))
    assert not any(map(store.exists, gone))
    assert run("--orphans-before", "22h")["orphan_originals"] == 1


def test_bytes_of_a_deleted_picture_go_with_their_row(store: HookedStore, user: User) -> None:
    asset = asset_create(stream=picture(1), filename="a.png", user=user).asset
    key = asset.current_version.blob.key
    Asset.objects.update(current_version=None)
    asset.delete()
    assert run() == DONE_NOTHING  # the row is young
    Blob.objects.update(created_at=timezone.now() - 2 * DAY)
    assert run() == DONE_NOTHING | {"orphan_rows": 1}
    assert not Blob.objects.exists()
    assert not store.exists(key)


def test_a_try_keeps_the_bytes_of_a_deleted_picture_until_it_is_swept(store: HookedStore, user: User) -> None:
    asset = asset_create(stream=picture(1), filename="a.png", user=user).asset
    key = try_create(stream=picture(1), user=user).blob_key
    Asset.objects.update(current_version=None)
    asset.delete()
    Blob.objects.update(created_at=timezone.now() - 2 * DAY)
    assert run()["orphan_rows"] == 1
    assert store.exists(age(store, key))
    assert run() == DONE_NOTHING
    TaggingJob.objects.update(created_at=timezone.now() - DAY)
    assert tries_sweep() == 1
    assert not store.exists(key)


def test_a_long_list_is_compared_chunk_by_chunk(store: HookedStore, user: User, monkeypatch) -> None:
    monkeypatch.setattr(orphans, "_CHUNK", 3)
    for shade in range(10):
        asset = asset_create(stream=picture(shade), filename="a.png", user=user).asset
        age(store, asset.current_version.blob.key)
    gone = [orphan(store, shade) for shade in range(100, 107)]
    assert orphans_sweep(older_than=DAY) == OrphansSwept(originals=7, rows=0)
    assert not any(map(store.exists, gone))
    assert all(map(store.exists, Blob.objects.values_list("key", flat=True)))


def test_a_sweep_ends_early_when_it_is_asked_to(store: HookedStore) -> None:
    for shade in range(5):
        orphan(store, shade)
    assert orphans_sweep(older_than=DAY, force=True, should_stop=lambda: True) == OrphansSwept(0, 0)
    answers = iter([False, False, False])
    swept = orphans_sweep(older_than=DAY, force=True, should_stop=lambda: next(answers, True))
    assert 1 <= swept.originals <= 3


def test_a_store_that_is_down_is_told_after_the_jobs_are_done(store: HookedStore) -> None:
    old = published(timedelta(hours=2))
    store.put(picture(1))
    (store._root / "incoming").rename(store._root / "elsewhere")
    store._root.rename(store._root.with_name("unmounted"))
    with pytest.raises(CommandError, match=r"^the jobs are done, the bytes are not: "):
        run()
    old.refresh_from_db()
    assert old.state == "queued"
    with pytest.raises(BlobStoreDownError):
        orphans_sweep(older_than=DAY)


# --------------------------------------- an upload of the same bytes meanwhile


@contextmanager
def in_threads(*works: Callable[[], object]) -> Iterator[None]:
    ended: list[bool] = []

    def run_one(work: Callable[[], object]) -> None:
        try:
            work()
            ended.append(True)
        finally:
            connection.close()

    threads = [threading.Thread(target=run_one, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(SOON)
    assert len(ended) == len(works)


class Beside:
    """Starts work in a thread from within a hook; ``wait_until_blocked``: on the lock of a content."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._stack = in_threads(work)

    def start(self) -> None:
        self._stack.__enter__()

    def finish(self) -> None:
        self._stack.__exit__(None, None, None)

    def start_and_block(self) -> None:
        self.start()
        wait_for(_somebody_waits_for_a_lock, within_s=SOON, what=lambda: "a wait for the lock")

    def start_and_finish(self) -> None:
        self.start()
        self.finish()


def _somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return cursor.rowcount > 0


def uploaded(user: User) -> Asset:
    return asset_create(stream=picture(1), filename="a.png", user=user).asset


def sweep() -> OrphansSwept:
    # The one original that there is has no name.
    return orphans_sweep(older_than=DAY, force=True)


def assert_nothing_is_missing(store: HookedStore) -> None:
    blob = Blob.objects.get()
    assert store.read(blob.key) == picture(1).getvalue()
    assert ledger().assets == 1


def test_swept_after_the_upload_stored_the_bytes_and_before_it_names_them(
    store: HookedStore, user: User
) -> None:
    orphan(store, 1)

    def sweep_old_listing() -> None:
        # As if the sweep had listed the bytes before the upload wrote them once more.
        age(store, next(iter(store._root.glob("*/*/*/original"))).relative_to(store._root).as_posix())
        Beside(sweep).start_and_finish()

    store.after_put = sweep_old_listing
    uploaded(user)
    assert_nothing_is_missing(store)


def test_swept_while_the_upload_names_the_bytes(store: HookedStore, user: User) -> None:
    key = orphan(store, 1)
    sweeping = Beside(sweep)

    def sweep_and_wait() -> None:
        age(store, key)
        sweeping.start_and_block()

    # In blob_keep, under the lock, after the bytes were found.
    store.after_exists = sweep_and_wait
    uploaded(user)
    sweeping.finish()
    assert_nothing_is_missing(store)


def test_uploaded_after_the_sweep_decided_and_before_it_deletes(store: HookedStore, user: User) -> None:
    orphan(store, 1)
    uploading = Beside(lambda: uploaded(user))
    # The upload has stored its bytes and waits for the lock that the sweep holds.
    store.before_delete = uploading.start_and_block
    assert sweep() == OrphansSwept(originals=1, rows=0)
    uploading.finish()
    assert_nothing_is_missing(store)


def test_uploaded_after_the_sweep_listed_and_before_it_decides(
    store: HookedStore, user: User, monkeypatch
) -> None:
    orphan(store, 1)
    lock = orphans.blob_lock

    def upload_then_lock(sha256: str) -> None:
        monkeypatch.setattr(orphans, "blob_lock", lock)
        Beside(lambda: uploaded(user)).start_and_finish()
        lock(sha256)

    monkeypatch.setattr(orphans, "blob_lock", upload_then_lock)
    assert sweep() == OrphansSwept(originals=0, rows=0)
    assert_nothing_is_missing(store)


def test_uploaded_while_the_row_of_a_deleted_picture_goes(store: HookedStore, user: User) -> None:
    asset = uploaded(user)
    Asset.objects.update(current_version=None)
    asset.delete()
    Blob.objects.update(created_at=timezone.now() - 2 * DAY)
    uploading = Beside(lambda: uploaded(user))
    store.before_delete = uploading.start_and_block
    assert sweep() == OrphansSwept(originals=0, rows=1)
    uploading.finish()
    assert_nothing_is_missing(store)


# -------------------------------------------------------------- the command


def test_the_report_is_for_people(store: HookedStore) -> None:
    published(timedelta(hours=2))
    out = io.StringIO()
    call_command("reconcile", "--dry-run", stdout=out)
    assert "nothing was changed" in out.getvalue()
    assert re.search(r"jobs queued again +1\n", out.getvalue())


@pytest.mark.parametrize("age_given", ["1", "h", "1w", "-1h", "1.5h"])
def test_an_age_without_a_known_unit_is_refused(age_given: str) -> None:
    with pytest.raises(CommandError, match="such as 90m"):
        call_command("reconcile", f"--published-before={age_given}")
