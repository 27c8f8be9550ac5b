"""Pictures that are uploaded, swept and named while a run goes on are nobody's finding."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from dam.assets.models import Asset, AssetVersion, Blob
from dam.assets.orphans import orphans_sweep
from dam.assets.services import blob_lock
from dam.assets.storage import blob_store
from dam.integrity.check import check
from dam.integrity.models import IntegrityRun
from dam.integrity.report import Report
from pipeline.trees import FolderTree, TreeObject
from tests.dam.integrity.harm import Library, aged, picture
from tests.plugins.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 60.0


class Listed(FolderTree):
    """The real folder, with something that happens before it is listed, or right afterwards."""

    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None

    def objects(self, under: str = "") -> Iterator[TreeObject]:
        if self.before:
            self.before()
        found = list(super().objects(under))
        if self.after:
            self.after()
        yield from found


@pytest.fixture
def tree(place: Path) -> Listed:
    return Listed(place)


def forget(asset: Asset) -> None:
    """The picture goes, as if somebody deleted it; its bytes wait for the sweep."""
    Asset.objects.filter(pk=asset.pk).update(current_version=None)
    AssetVersion.objects.filter(asset=asset).delete()
    asset.jobs.all().delete()
    asset.delete()


def sweep() -> None:
    orphans_sweep(older_than=timedelta(0), force=True)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    def do() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=do)
    thread.start()
    return thread


def test_a_picture_that_was_uploaded_after_the_listing_is_not_missing(library: Library, tree: Listed) -> None:
    library.add(1)
    tree.after = lambda: library.add(2)

    report = check(store=tree)

    assert (report.findings, report.originals.count) == ([], 2)


def test_a_picture_that_was_swept_before_the_listing_is_not_missing(library: Library, tree: Listed) -> None:
    gone, _ = library.add(1), library.add(2)
    forget(gone)
    tree.before = sweep

    report = check(store=tree)

    assert (report.findings, report.originals.count) == ([], 2)


def test_an_orphan_that_was_swept_after_the_listing_is_none(
    library: Library, place: Path, tree: Listed
) -> None:
    library.add(1)
    aged(place / blob_store().put(io.BytesIO(b"nobody's")).key)
    tree.after = sweep

    assert check(store=tree).findings == []


def test_an_orphan_that_was_named_after_the_listing_is_none(
    library: Library, place: Path, tree: Listed
) -> None:
    library.add(1)
    stored = blob_store().put(picture(9))
    aged(place / stored.key)
    tree.after = lambda: Blob.objects.create(
        sha256=stored.sha256, key=stored.key, size=stored.size, media_type="image/png"
    )

    assert check(store=tree).findings == []


def test_a_sweep_in_the_midst_of_its_transaction_is_waited_for(library: Library, tree: Listed) -> None:
    gone, _ = library.add(1), library.add(2)
    blob = gone.current_version.blob
    bytes_are_gone, go_on, waited = threading.Event(), threading.Event(), threading.Event()

    def remove() -> None:
        with transaction.atomic():
            blob_lock(blob.sha256)
            forget(gone)
            blob.delete()
            blob_store().delete(blob.key)
            bytes_are_gone.set()
            assert go_on.wait(SOON)

    def let_go_when_it_waits() -> None:
        def waits() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                return bool(cursor.fetchone()[0])

        try:
            wait_for(waits, SOON, "the run to wait for the sweep")
            waited.set()
        finally:
            go_on.set()

    removing = in_thread(remove)
    assert bytes_are_gone.wait(SOON)
    letting_go = in_thread(let_go_when_it_waits)
    report = check(store=tree)
    removing.join(SOON)
    letting_go.join(SOON)

    assert waited.is_set()
    assert report.findings == []


def test_runs_beside_uploads_and_sweeps_find_nothing(library: Library) -> None:
    library.add(0)
    done = threading.Event()

    def come_and_go() -> None:
        try:
            for shade in range(1, 9):
                asset = library.add(shade)
                if shade % 2:
                    forget(asset)
                    sweep()
        finally:
            done.set()

    def look(reports: list[Report]) -> None:
        while not done.is_set():
            reports.append(check(checksums="all"))

    coming = in_thread(come_and_go)
    ours: list[Report] = []
    theirs: list[Report] = []
    other = in_thread(lambda: look(theirs))
    look(ours)
    coming.join(SOON)
    other.join(SOON)

    assert ours
    assert theirs
    assert [one.path for report in ours + theirs for one in report.findings] == []
    assert {run.outcome for run in IntegrityRun.objects.all()} == {"done"}
    assert check(checksums="all").originals.count == 5
