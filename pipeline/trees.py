"""Files below a folder, or objects below a prefix of a bucket: two places that can be compared and copied.

A blob store knows pictures and their renditions by their keys; a tree knows whatever lies there, its size and
the time of its change. Listed in the same order everywhere, two of them are compared in one pass without
holding either in memory.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from pipeline.blobs import BlobStoreDownError
from pipeline.ports import BlobMissingError
from pipeline.spooling import spooled

if TYPE_CHECKING:
    from pipeline.s3 import S3Bucket
    from pipeline.s3_settings import S3Settings

_CHUNK = 1 << 20
# Of a write that was interrupted; never listed, and of a name that no object has.
_DRAFT = ".vitrine-draft-"


@dataclass(frozen=True, slots=True)
class TreeObject:
    """What lies under a path. ``modified``: with its time zone; of a bucket to the second."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: its size in bytes, and the sha256 of them."""

    size: int
    sha256: str


class Tree(Protocol):
    """A place of objects under relative paths such as ``ab/cd/original``.

    Every method raises :class:`pipeline.blobs.BlobStoreDownError` where the place does not do its part, and
    ``ValueError`` for what is no relative path.
    """

    @property
    def url(self) -> str:
        """What names the place to people."""
        ...

    def objects(self, under: str = "") -> Iterator[TreeObject]:
        """All below ``under`` (empty, or ``a/b``) in the order of their paths' bytes.

        An object store that keeps folders, which S3 itself does not, may go through ``a/`` before ``a-b``.
        Keys of a blob store have no such names beside each other.
        """
        ...

    def head(self, path: str) -> TreeObject | None:
        """What lies under the path, if anything does."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Its bytes.

        Raises:
            BlobMissingError: nothing lies there.
        """
        ...

    def write(self, path: str, stream: BinaryIO) -> Written:
        """Put all of a stream there, in place of what was: whole and durable, or not at all."""
        ...

    def remove(self, path: str) -> None:
        """Take it away; nothing happens if it is not there."""
        ...


def tree_from_url(url: str, *, settings: S3Settings | None = None) -> Tree:
    """The place that ``file:///path``, a plain path or ``s3://bucket/prefix`` names.

    Args:
        url: the place.
        settings: of the object store; by default those of the environment.

    Raises:
        ValueError: a kind of place that is not known, or settings that contradict each other.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return FolderTree(Path(unquote(parts.path)))
    if not parts.scheme and url:
        return FolderTree(Path(url))
    if parts.scheme == "s3" and parts.netloc and not parts.query and not parts.fragment:
        # Here, because it takes memory that the users of a folder do not need.
        from pipeline.s3 import S3Bucket, S3Settings  # noqa: PLC0415

        return BucketTree(S3Bucket(parts.netloc, settings or S3Settings()), unquote(parts.path))
    raise ValueError(f"not a place for files: {url!r}; use a folder, file:///path or s3://BUCKET/PREFIX")


class FolderTree:
    """Implements :class:`Tree` in a folder, which is made by the first write."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        """See :attr:`Tree.url`."""
        return str(self._root)

    def objects(self, under: str = "") -> Iterator[TreeObject]:
        """See :meth:`Tree.objects`. One folder of names is in memory at a time; links are not followed."""
        start = self._path(under) if under else self._root
        with _telling_outages():
            if not start.is_dir():
                return
        yield from self._below(start)

    def head(self, path: str) -> TreeObject | None:
        """See :meth:`Tree.head`."""
        place = self._path(path)
        with _telling_outages():
            return self._seen(place) if place.is_file() else None

    def open(self, path: str) -> BinaryIO:
        """See :meth:`Tree.open`."""
        with _telling_outages():
            try:
                return self._path(path).open("rb")
            except (FileNotFoundError, IsADirectoryError) as error:
                raise BlobMissingError(path) from error

    def write(self, path: str, stream: BinaryIO) -> Written:
        """See :meth:`Tree.write`. What the stream itself raises passes through."""
        target = self._path(path)
        with _telling_outages():
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f"{_DRAFT}{uuid.uuid4().hex}")
            file = draft.open("xb")
        try:
            with file:
                written = _copied(stream, file)
                with _telling_outages():
                    file.flush()
                    os.fsync(file.fileno())
            with _telling_outages():
                draft.replace(target)
                self._make_durable(target.parent)
        finally:
            draft.unlink(missing_ok=True)
        return written

    def remove(self, path: str) -> None:
        """See :meth:`Tree.remove`. Folders that it leaves empty go with it."""
        place = self._path(path)
        with _telling_outages():
            place.unlink(missing_ok=True)
            for folder in place.parents:
                if folder == self._root:
                    break
                try:
                    folder.rmdir()
                except OSError:  # not empty, or gone already
                    break

    def _below(self, folder: Path) -> Iterator[TreeObject]:
        with _telling_outages(), suppress(FileNotFoundError), os.scandir(folder) as entries:
            # A folder counts with its slash, so that the order is that of the whole paths.
            found = sorted(
                (os.fsencode(e.name) + (b"/" if e.is_dir(follow_symlinks=False) else b""), e) for e in entries
            )
            names = [(name.endswith(b"/"), Path(entry.path)) for name, entry in found]
        for is_folder, path in names:
            if is_folder:
                yield from self._below(path)
            elif not path.name.startswith(_DRAFT):
                with _telling_outages(), suppress(FileNotFoundError):
                    if not path.is_symlink():
                        yield self._seen(path)

    def _seen(self, place: Path) -> TreeObject:
        facts = place.stat()
        return TreeObject(
            path=place.relative_to(self._root).as_posix(),
            size=facts.st_size,
            modified=datetime.fromtimestamp(facts.st_mtime, UTC),
        )

    def _path(self, path: str) -> Path:
        return self._root / _checked(path)

    def _make_durable(self, place: Path) -> None:
        """Have on disk the names that lead there."""
        for folder in (place, *place.parents):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if folder == self._root:
                break


class BucketTree:
    """Implements :class:`Tree` in a bucket of an object store, under a prefix (empty, or ``a/b``)."""

    def __init__(self, bucket: S3Bucket, prefix: str = "") -> None:
        inner = prefix.strip("/")
        self._bucket = bucket
        self._prefix = f"{_checked(inner)}/" if inner else ""

    @property
    def url(self) -> str:
        """See :attr:`Tree.url`."""
        return f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")

    def objects(self, under: str = "") -> Iterator[TreeObject]:
        """See :meth:`Tree.objects`. A page of up to 1,000 is in memory at a time."""
        for found in self._bucket.objects(self._at(f"{_checked(under)}/") if under else self._prefix):
            yield TreeObject(found.key.removeprefix(self._prefix), found.size, found.modified)

    def head(self, path: str) -> TreeObject | None:
        """See :meth:`Tree.head`."""
        found = self._bucket.head(self._at(_checked(path)))
        if found is None:
            # A missing bucket must not look like a missing object.
            self._bucket.check()
            return None
        return TreeObject(path, found.size, found.modified)

    def open(self, path: str) -> BinaryIO:
        """See :meth:`Tree.open`."""
        from pipeline.s3 import S3MissingError  # noqa: PLC0415  # as in tree_from_url

        try:
            return self._bucket.open(self._at(_checked(path)))
        except S3MissingError as error:
            self._bucket.check()
            raise BlobMissingError(path) from error

    def write(self, path: str, stream: BinaryIO) -> Written:
        """See :meth:`Tree.write`. What is larger than a part waits in a temporary file."""
        from pipeline.s3 import PART_BYTES  # noqa: PLC0415

        with spooled(stream, in_memory=PART_BYTES) as held:
            self._bucket.write_spooled(self._at(_checked(path)), held)
            return Written(held.size, held.sha256)

    def remove(self, path: str) -> None:
        """See :meth:`Tree.remove`."""
        self._bucket.remove(self._at(_checked(path)))

    def _at(self, path: str) -> str:
        return f"{self._prefix}{path}"


def _copied(stream: BinaryIO, file: BinaryIO) -> Written:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        with _telling_outages():
            file.write(chunk)
    return Written(size, digest.hexdigest())


def _checked(path: str) -> str:
    """The path, if it is relative, plain and stays inside.

    Raises:
        ValueError: it is not.
    """
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path != "/".join(parts)
        or path.startswith("/")
        or ".." in parts
        or not path.isprintable()
        or any(part.startswith(_DRAFT) for part in parts)
    ):
        raise ValueError(f"not a path in this place: {path[:120]!r}")
    return path


@contextmanager
def _telling_outages() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreDownError(f"the place for files failed: {error}") from error
