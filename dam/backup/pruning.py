"""What is older than the newest so many backups goes, with the bytes that none of those which stay names."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dam.backup.document import DOCUMENT, MANIFEST
from dam.backup.manifest import listed, merged, read_manifest
from dam.backup.place import BACKUPS, Place


@dataclass(frozen=True)
class Pruned:
    """What was removed. ``backups``: by name; ``files`` and ``bytes`` of pictures and renditions."""

    backups: tuple[str, ...]
    files: int
    bytes: int


def prune(place: Place, *, keep: int) -> Pruned:
    """Remove what is older than the newest ``keep`` whole backups. Only for who holds the place's turn.

    Manifests of all that stay are read first: where one cannot be, nothing is removed.

    Raises:
        BackupError: a document or a manifest that stays cannot be understood.
    """
    documents = place.documents()
    whole = [document for document in documents if document.is_whole]
    if len(whole) < keep:
        return Pruned((), 0, 0)
    oldest = whole[-keep].name
    stays = [document for document in documents if document.name >= oldest]
    goes = [name for name in place.names() if name < oldest]
    with tempfile.TemporaryDirectory(prefix="vitrine-backup-") as temporary:
        manifests = [
            place.fetch(each.name, MANIFEST, each.manifest, Path(temporary) / each.name) for each in stays
        ]
        # What cannot be read to its end is told of before anything is gone.
        for manifest in manifests:
            deque(read_manifest(manifest), maxlen=0)
        for name in goes:
            _remove_backup(place, name)
        keys = (key for key, _ in merged(map(read_manifest, manifests)))
        files, size = _remove_unnamed(place, keys)
    return Pruned(tuple(goes), files, size)


def _remove_backup(place: Place, name: str) -> None:
    """Its document first: without one it does not count, whatever is left of it."""
    place.tree.remove(place.path(name, DOCUMENT))
    for found in list(place.tree.objects(f"{BACKUPS}/{name}")):
        place.tree.remove(found.path)


def _remove_unnamed(place: Place, named: Iterator[str]) -> tuple[int, int]:
    """Remove files under keys that are not among the named; how many, and their bytes."""
    files = size = 0
    head = next(named, None)
    for key, found in listed(place.blobs(), place.url):
        while head is not None and head < key:
            head = next(named, None)
        if key != head:
            place.tree.remove(place.blob_path(key))
            files += 1
            size += found.size
    return files, size
