"""Bytes in the blob store that nothing names: left behind by a crash between storing and cataloguing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dam.assets.models import Blob
from dam.assets.services import blob_lock
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from pipeline.ports import BlobStore, StoredOriginal

_CHUNK = 1_000
# What crashes leave behind is little beside a library; so much without a name is the wrong library.
_MOST_UNNAMED = 100
_MOST_UNNAMED_SHARE = 0.1


class SweepRefusedError(Exception):
    """So much has no name that database and store look like a wrong pair; nothing is deleted."""


@dataclass(frozen=True)
class OrphansSwept:
    """What was removed: originals that nothing names, and rows of blobs that no picture uses any more.

    ``refusal``: of a dry run, why a sweep would be refused; empty if it would not.
    """

    originals: int
    rows: int
    refusal: str = ""


@dataclass
class _Seen:
    """Originals of that age in the store, and how many of them have no name."""

    originals: int = 0
    unnamed: int = 0

    @property
    def refusal(self) -> str:
        """Why nothing may be deleted, for people; empty if it may."""
        too_many = self.unnamed > max(_MOST_UNNAMED, _MOST_UNNAMED_SHARE * self.originals)
        if not self.unnamed or not (too_many or self.unnamed == self.originals):
            return ""
        return (
            f"{self.unnamed:,} of the {self.originals:,} originals that are old enough have no name in this "
            "database, as if it were an empty, an older or another one than the store's. Check DATABASE_URL "
            "and VITRINE_BLOB_URL; after a restore read docs/operations.md. If they have to go nevertheless: "
            "`vitrine reconcile --force-orphans`"
        )


def orphans_sweep(
    *,
    older_than: timedelta,
    dry_run: bool = False,
    force: bool = False,
    store: BlobStore | None = None,
    should_stop: Callable[[], bool] = bool,
) -> OrphansSwept:
    """Remove what lies in the store for so long and is named by no picture and no try.

    All is counted before anything is removed. Where more than a tenth of the originals, and more than 100,
    have no name, or none has one, a database that is not the store's is likelier than so many crashes.

    An upload of the same bytes at the same moment loses nothing: it holds the lock of their content while
    it names them, and puts them back if they are gone (:func:`dam.assets.services.blob_keep`); here they
    are looked for, and deleted, under the same lock.

    Args:
        older_than: age of the bytes, and of the rows.
        dry_run: only count.
        force: remove however much it is.
        store: another one than the catalogue's.
        should_stop: asked now and then; what is left is for the next sweep.

    Raises:
        SweepRefusedError: it looks like that; nothing was removed. Not of a dry run, which says so.
        DependencyDownError: the blob store does not answer; what was removed until then stays removed.
    """
    store = store or blob_store()
    seen = _look(store, older_than, should_stop)
    refusal = "" if force else seen.refusal
    if dry_run:
        rows = _rows_without_version(older_than).count()
        return OrphansSwept(originals=seen.unnamed, rows=rows, refusal=refusal)
    if refusal:
        raise SweepRefusedError(refusal)
    removed_rows = removed_originals = 0
    # Rows first: their bytes go with them, and are not listed any more.
    for blob in _unused_rows(older_than):
        if should_stop():
            break
        removed_rows += _row_remove(blob, older_than, store)
    if seen.unnamed:
        for original in _unnamed_originals(store, older_than, should_stop):
            removed_originals += _original_remove(original, store)
    return OrphansSwept(originals=removed_originals, rows=removed_rows)


def _look(store: BlobStore, older_than: timedelta, should_stop: Callable[[], bool]) -> _Seen:
    seen = _Seen()
    for chunk, named in _originals(store, older_than):
        if should_stop():
            # A part says nothing of the whole, so nothing is known.
            return _Seen()
        seen.originals += len(chunk)
        seen.unnamed += sum(original.sha256 not in named for original in chunk)
    return seen


def _rows_without_version(older_than: timedelta) -> QuerySet[Blob]:
    return Blob.objects.filter(versions__isnull=True, created_at__lt=timezone.now() - older_than)


def _unused_rows(older_than: timedelta) -> Iterator[Blob]:
    last = 0
    while chunk := list(_rows_without_version(older_than).filter(pk__gt=last).order_by("pk")[:_CHUNK]):
        yield from chunk
        last = chunk[-1].pk


def _row_remove(blob: Blob, older_than: timedelta, store: BlobStore) -> bool:
    with transaction.atomic():
        blob_lock(blob.sha256)
        deleted, _ = _rows_without_version(older_than).filter(pk=blob.pk).delete()
        if deleted and not _named([blob.sha256]):
            store.delete(blob.key)
    return deleted > 0


def _originals(store: BlobStore, older_than: timedelta) -> Iterator[tuple[list[StoredOriginal], set[str]]]:
    """Chunk by chunk, with the contents that are named: neither store nor catalogue is held in memory."""
    listed = store.originals(older_than_s=older_than.total_seconds())
    while chunk := list(islice(listed, _CHUNK)):
        yield chunk, _named([original.sha256 for original in chunk])


def _unnamed_originals(
    store: BlobStore, older_than: timedelta, should_stop: Callable[[], bool]
) -> Iterator[StoredOriginal]:
    for chunk, named in _originals(store, older_than):
        for original in chunk:
            if should_stop():
                return
            if original.sha256 not in named:
                yield original


def _original_remove(original: StoredOriginal, store: BlobStore) -> bool:
    with transaction.atomic():
        blob_lock(original.sha256)
        # A statement of its own, after the lock: it sees what an upload has committed meanwhile.
        if _named([original.sha256]):
            return False
        store.delete(original.key)
    return True


def _named(hashes: Collection[str]) -> set[str]:
    """Those contents that a picture's file or a try relies on."""
    blobs = Blob.objects.filter(sha256__in=hashes).values_list("sha256", flat=True)
    tries = TaggingJob.objects.filter(purpose=TaggingJob.Purpose.TRY, sha256__in=hashes)
    return {*blobs, *tries.values_list("sha256", flat=True)}
