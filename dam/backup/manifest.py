"""``blobs.jsonl.gz``: each file that a backup's database names, with its size and the sha256 of its bytes.

Lines are in the order of the keys' bytes, as places list what lies in them, so manifests and places are
compared in one pass without holding any of them in memory.
"""

from __future__ import annotations

import gzip
import heapq
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from dam.backup.document import MANIFEST, Document, ManifestFacts
from dam.backup.errors import BackupError
from dam.backup.place import Place
from pipeline.blobs import BlobStoreDownError, key_parts, original_sha256
from pipeline.trees import TreeObject


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``modified``: of a rendition, when the blob store had it last changed, as it told it."""

    key: str
    size: int
    sha256: str
    modified: str = ""

    @property
    def is_original(self) -> bool:
        """Whether it is what somebody uploaded."""
        return original_sha256(self.key) is not None


class ManifestWriter:
    """Writes a manifest into a local file."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wt", encoding="utf-8", compresslevel=3)  # noqa: SIM115  # closed with us
        self._originals = self._renditions = self._bytes = 0

    def add(self, entry: Entry) -> None:
        """One more line; in the order of the keys."""
        fields = {"key": entry.key, "size": entry.size, "sha256": entry.sha256}
        if entry.modified:
            fields["modified"] = entry.modified
        self._file.write(json.dumps(fields) + "\n")
        if entry.is_original:
            self._originals += 1
        else:
            self._renditions += 1
        self._bytes += entry.size

    def facts(self, size: int, sha256: str) -> ManifestFacts:
        """What it names; ``size`` and ``sha256`` are those of the file."""
        return ManifestFacts(
            size=size,
            sha256=sha256,
            originals=self._originals,
            renditions=self._renditions,
            bytes=self._bytes,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_manifest(path: Path) -> Iterator[Entry]:
    """Its lines.

    Raises:
        BackupError: a line is none of a manifest.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                fields = json.loads(line)
                yield Entry(fields["key"], fields["size"], fields["sha256"], fields.get("modified", ""))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"this manifest cannot be read: {type(error).__name__}: {error}") from error


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


_One = TypeVar("_One", bound=_Keyed)
_Other = TypeVar("_Other")


def beside(
    entries: Iterable[_One], *others: Iterable[tuple[str, _Other]]
) -> Iterator[tuple[_One, tuple[_Other | None, ...]]]:
    """Each entry with what each of the others has under its key; all of them in the order of their keys."""
    running = [iter(other) for other in others]
    heads = [next(other, None) for other in running]
    for entry in entries:
        key = entry.key
        for place, other in enumerate(running):
            while (head := heads[place]) is not None and head[0] < key:
                heads[place] = next(other, None)
        yield entry, tuple(head[1] if head is not None and head[0] == key else None for head in heads)


def listed(objects: Iterable[TreeObject], where: str) -> Iterator[tuple[str, TreeObject]]:
    """What lies in a place under keys of a blob store, with these.

    Raises:
        BlobStoreDownError: it is not in the order of the keys, which would make everything look missing.
    """
    last = ""
    for found in objects:
        # Somebody else's may have names of any kind, which no two places order alike.
        if key_parts(found.path) is None:
            continue
        if found.path <= last:
            raise BlobStoreDownError(f"{where} does not list its objects in the order of their names")
        last = found.path
        yield found.path, found


def later_manifests(
    place: Place, document: Document, folder: Path, tell: Callable[[str], None]
) -> Iterator[Iterator[tuple[str, Entry]]]:
    """Those of backups after this one, by key: a rendition that was made anew lies in place of the old one.

    Args:
        place: of the backups.
        document: of the one that is looked at.
        folder: for files that stay as long as the result is used.
        tell: is told of one that cannot be read, and is left out.
    """
    for name in place.names():
        if name <= document.name:
            continue
        try:
            later = place.document(name)
            if later is not None:
                path = place.fetch(name, MANIFEST, later.manifest, folder / f"{name}-{MANIFEST}")
                yield ((entry.key, entry) for entry in read_manifest(path))
        except BackupError as error:
            tell(f"{error}: not looked at for renditions")


def merged(manifests: Iterable[Iterable[Entry]]) -> Iterator[tuple[str, list[Entry]]]:
    """Each key of several manifests, with their entries for it in the order of the manifests."""
    together = heapq.merge(*manifests, key=attrgetter("key"))
    for key, entries in groupby(together, key=attrgetter("key")):
        yield key, list(entries)
