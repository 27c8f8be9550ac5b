"""What the database names in the blob store, in the order in which a store lists it.

Every path is ``ab/cd/<sha256>/<name>``, so the order of paths is that of hashes, then of names. Hashes are
equally long and in lower case, which every collation of use sorts as their bytes: the unique index of
``Blob.sha256`` gives them page by page.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db.models import Count

from dam.assets.models import AssetVersion, Blob
from dam.integrity.report import MOST_ASSETS, NamedAsset
from dam.jobs.models import TaggingJob
from dam.tagging.bulk_sql import rows_read

_PAGE = 2_000
_SAMPLE = 100
_SAMPLE_RUN = 5


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the database names. ``size`` in bytes; None of a rendition, whose size nobody keeps."""

    path: str
    sha256: str
    blob_id: int
    size: int | None

    @property
    def is_original(self) -> bool:
        """Whether it is what somebody uploaded."""
        return self.size is not None


@dataclass(frozen=True, slots=True)
class Arc:
    """Originals whose sha256 comes after ``after``, up to ``until``; empty: to the end."""

    after: str
    until: str

    def __contains__(self, sha256: str) -> bool:
        return sha256 > self.after and (not self.until or sha256 <= self.until)


def originals_count() -> int:
    """How many originals the database names."""
    return Blob.objects.count()


def named_files() -> Iterator[Named]:
    """All of them in the order of their paths. A page is in memory, as it was when it was asked for."""
    last = ""
    while page := rows_read(_PAGE_OF_BLOBS, last, _PAGE):
        yield from _files_of(page)
        last = page[-1][1]


def named_now(hashes: Collection[str]) -> dict[str, Named]:
    """What is named now under these hashes, by path."""
    page = rows_read(_BLOBS_OF, sorted(hashes))
    return {file.path: file for file in _files_of(page)}


def tried_now(hashes: Collection[str]) -> set[str]:
    """Those hashes whose bytes somebody tries, without making a picture of them."""
    tries = TaggingJob.objects.filter(purpose=TaggingJob.Purpose.TRY, sha256__in=hashes)
    return set(tries.values_list("sha256", flat=True))


def assets_of(blob_ids: Collection[int]) -> dict[int, tuple[NamedAsset, ...]]:
    """The pictures that these blobs are a file of, by blob, the first :data:`MOST_ASSETS` of each."""
    versions = AssetVersion.objects.filter(blob_id__in=blob_ids).order_by("blob_id", "asset_id", "number")
    found: dict[int, dict[int, NamedAsset]] = {}
    for blob_id, asset_id, filename in versions.values_list("blob_id", "asset_id", "asset__filename"):
        of_blob = found.setdefault(blob_id, {})
        if len(of_blob) < MOST_ASSETS:
            of_blob[asset_id] = NamedAsset(asset_id, filename)
    return {blob_id: tuple(assets.values()) for blob_id, assets in found.items()}


def some_originals(expected: int) -> list[Named]:
    """All originals that pictures use if they are few, else about a hundred from all over the library."""
    rows = (
        rows_read(_PAGE_OF_BLOBS, "", _SAMPLE)
        if expected <= _SAMPLE
        else [
            row
            for _ in range(_SAMPLE // _SAMPLE_RUN)
            for row in rows_read(_PAGE_OF_BLOBS, secrets.token_hex(32), _SAMPLE_RUN)
        ]
    )
    by_id = {row[0]: row for row in rows}
    used = Blob.objects.filter(pk__in=by_id).annotate(uses=Count("versions")).filter(uses__gt=0)
    return [
        Named(key, sha256, pk, size)
        for pk, sha256, size, key in map(by_id.__getitem__, used.values_list("pk", flat=True))
    ]


def next_arc(*, after: str, share: float, expected: int) -> Arc:
    """The next part of the originals in the order of their hashes, which lie in no order that means a thing.

    Args:
        after: where the last part ended.
        share: of all originals, from 0 to 1; the last part before the end may be smaller.
        expected: originals that there are.
    """
    number = max(1, math.ceil(share * expected))
    for start in (after, ""):
        ends = rows_read(_END_OF_ARC, start, number - 1)
        if len(ends) == 2:
            return Arc(start, ends[0][0])
        if ends or rows_read(_PAGE_OF_BLOBS, start, 1):
            return Arc(start, "")
    return Arc("", "")


def _files_of(page: list[tuple[int, str, int, str]]) -> Iterator[Named]:
    renditions: dict[int, list[str]] = {}
    for blob_id, path in rows_read(_RENDITIONS, [row[0] for row in page]):
        renditions.setdefault(blob_id, []).append(path)
    for blob_id, sha256, size, key in page:
        files = [Named(path, sha256, blob_id, None) for path in renditions.get(blob_id, ())]
        yield from sorted([*files, Named(key, sha256, blob_id, size)], key=lambda file: file.path)


_PAGE_OF_BLOBS = "SELECT id, sha256, size, key FROM assets_blob WHERE sha256 > %s ORDER BY sha256 LIMIT %s"
_BLOBS_OF = "SELECT id, sha256, size, key FROM assets_blob WHERE sha256 = ANY(%s) ORDER BY sha256"
_RENDITIONS = """
SELECT DISTINCT version.blob_id, rendition.value ->> 'key'
FROM assets_assetversion AS version CROSS JOIN LATERAL jsonb_each(version.renditions) AS rendition
WHERE version.blob_id = ANY(%s) AND rendition.value ->> 'key' IS NOT NULL
"""
_END_OF_ARC = "SELECT sha256 FROM assets_blob WHERE sha256 > %s ORDER BY sha256 OFFSET %s LIMIT 2"
