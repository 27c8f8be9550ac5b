"""Looking again at what looked wrong, while nobody can upload or sweep the same content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from dam.assets.services import blob_lock
from dam.integrity.named import Named, assets_of, named_now, tried_now
from dam.integrity.report import Finding, Kind, NamedAsset, Subject
from pipeline.blobs import ORIGINAL, key_parts
from pipeline.trees import Tree, TreeObject

YOUNGEST_ORPHAN = timedelta(days=1)
"""What is younger may belong to an upload that is under way."""


class Again:
    """The second look.

    Args:
        tree: where the files lie.
        pool: threads that ask for single files.
    """

    def __init__(self, tree: Tree, pool: ThreadPoolExecutor) -> None:
        self._tree = tree
        self._pool = pool

    @staticmethod
    def is_old(lying: TreeObject) -> bool:
        """Whether no upload under way can have made it."""
        return lying.modified < timezone.now() - YOUNGEST_ORPHAN

    def heads(self, files: Sequence[Named]) -> list[TreeObject | None]:
        """What lies under the path of each.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        return list(self._pool.map(self._head, [file.path for file in files]))

    def doubtful(
        self, files: Sequence[Named], *, trouble: str = ""
    ) -> Iterator[tuple[Named, Finding | None]]:
        """Files as they are named now, each with what is wrong with it, or None if all is well.

        What nothing names any more, and what no picture uses, is left out.

        Args:
            files: of which it is not known.
            trouble: what their bytes were found to be, if they were read.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        with transaction.atomic():
            now = named_now(_locked(file.sha256 for file in files))
            files = [now[file.path] for file in files if file.path in now]
            assets = assets_of({file.blob_id for file in files})
            files = [file for file in files if file.blob_id in assets]
            there = self.heads(files)
        for file, lying in zip(files, there, strict=True):
            yield file, _judged(file, lying, assets[file.blob_id], trouble)

    def unnamed(self, objects: Sequence[TreeObject]) -> list[Finding]:
        """Those objects that nothing names and that have been there for long.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        keys = {lying.path: parts for lying in objects if (parts := key_parts(lying.path)) is not None}
        with transaction.atomic():
            hashes = _locked(sha256 for sha256, _ in keys.values())
            now, tried = named_now(hashes), tried_now(hashes)
            orphans = [path for path, (sha256, _) in keys.items() if path not in now and sha256 not in tried]
            there = [lying for lying in self._pool.map(self._head, orphans) if lying is not None]
        found = [
            _orphan(lying, Subject.ORIGINAL if keys[lying.path][1] == ORIGINAL else Subject.RENDITION)
            for lying in there
            if self.is_old(lying)
        ]
        # Nobody of ours makes such files, or takes them away.
        return found + [_orphan(lying, Subject.FOREIGN) for lying in objects if lying.path not in keys]

    def _head(self, path: str) -> TreeObject | None:
        try:
            return self._tree.head(path)
        except ValueError:
            # No path of any store, so nothing lies there.
            return None


def _locked(hashes: Iterator[str]) -> set[str]:
    """The hashes, locked until the transaction ends; in one order, so that nobody waits in a circle."""
    once = set(hashes)
    for sha256 in sorted(once):
        blob_lock(sha256)
    return once


def _judged(
    file: Named, lying: TreeObject | None, assets: tuple[NamedAsset, ...], trouble: str
) -> Finding | None:
    subject = Subject.ORIGINAL if file.is_original else Subject.RENDITION
    if lying is None:
        return Finding(Kind.MISSING, subject, file.path, file.size or 0, "", assets)
    if file.size is not None and lying.size != file.size:
        trouble = f"{lying.size:,} bytes instead of {file.size:,}"
    elif not lying.size:
        trouble = "it is empty"
    if not trouble:
        return None
    return Finding(Kind.MISMATCHED, subject, file.path, file.size or 0, trouble, assets)


def _orphan(lying: TreeObject, subject: Subject) -> Finding:
    return Finding(
        Kind.ORPHANED, subject, lying.path, lying.size, f"written {lying.modified:%Y-%m-%d %H:%M} UTC"
    )
