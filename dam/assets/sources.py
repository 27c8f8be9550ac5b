"""Where a watch takes pictures from: a folder, or a prefix of a bucket. Nothing there is moved or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from dam.assets.importing import files_below
from pipeline.ports import DependencyDownError

if TYPE_CHECKING:
    from pipeline.s3 import S3Bucket

# Of files that are being written, or that file managers leave behind. Compared in small letters.
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", ".swp", "~")
_NOT_MEANT = frozenset({"thumbs.db", "desktop.ini"})
_LONGEST_NAME = 1024


class SourceDownError(DependencyDownError):
    """The source cannot be read now: an unmounted disk, a store that does not answer."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as it is now. ``path``: below the source. ``fingerprint``: changes with its content."""

    path: str
    fingerprint: str


class Source(Protocol):
    """A place that pictures are put into by others."""

    name: str
    """Its address, under which the outcomes are kept."""
    settles: bool
    """Whether files appear before they are complete."""

    def scan(self) -> Iterator[FoundFile]:
        """Every file there is.

        Raises:
            DependencyDownError: the source does not answer.
        """
        ...

    def look(self, path: str) -> Iterator[FoundFile]:
        """The file of that path, or all below a folder; nothing if it is gone or not meant."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A seekable stream.

        Raises:
            FileNotFoundError: it is gone.
            OSError: it cannot be read.
            DependencyDownError: the source does not answer.
        """
        ...


def source_from(address: str) -> Source:
    """The source that a folder's path or ``s3://bucket/prefix`` names.

    Raises:
        ValueError: neither, or a name that no database keeps.
    """
    if "://" in address and not address.startswith("s3://"):
        raise ValueError(f"not a folder and not s3://bucket/prefix: {address}")
    source: Source = (
        BucketSource.from_url(address) if address.startswith("s3://") else FolderSource(Path(address))
    )
    if len(source.name.encode(errors="surrogateescape")) > _LONGEST_NAME or not _is_utf8(source.name):
        raise ValueError(f"the name of a source is UTF-8 of at most {_LONGEST_NAME} bytes")
    return source


def is_meant(path: str) -> bool:
    """Whether a file is for us: not hidden, not in a hidden folder, not one that is being written."""
    parts = PurePosixPath(path).parts
    name = parts[-1].casefold() if parts else ""
    return (
        not any(part.startswith((".", "~$")) for part in parts)
        and not name.endswith(_UNFINISHED)
        and name not in _NOT_MEANT
    )


class FolderSource:
    """A folder with all folders below it."""

    settles = True

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = str(self.root)

    def scan(self) -> Iterator[FoundFile]:
        """See :meth:`Source.scan`."""
        if not self.root.is_dir():
            raise SourceDownError(f"there is no folder {self.name}")
        return self._found(files_below([self.root]))

    def look(self, path: str) -> Iterator[FoundFile]:
        """See :meth:`Source.look`."""
        place = self.root / path
        # A link that leads out of the folder counts, one that leads nowhere does not.
        return self._found(files_below([place])) if place.exists() else iter(())

    def open(self, path: str) -> BinaryIO:
        """See :meth:`Source.open`."""
        return (self.root / path).open("rb")

    def _found(self, paths: Iterator[Path]) -> Iterator[FoundFile]:
        try:
            for path in paths:
                name = path.relative_to(self.root).as_posix()
                if is_meant(name):
                    try:
                        stat = path.stat()
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    yield FoundFile(name, f"{stat.st_size}-{stat.st_mtime_ns}")
        except OSError as error:
            raise SourceDownError(f"the folder {self.name} cannot be read: {error}") from error


class BucketSource:
    """The objects under a prefix. They appear when they are complete."""

    settles = False

    def __init__(self, bucket: S3Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.name = f"s3://{bucket.name}/{self._prefix}".rstrip("/")

    @classmethod
    def from_url(cls, url: str) -> BucketSource:
        """The source of ``s3://BUCKET/PREFIX``, reached with the settings of the blob store.

        Raises:
            ValueError: no bucket is named, or the settings contradict each other.
        """
        # Here, because it takes memory that a watched folder does not need.
        from pipeline.s3 import S3Bucket, S3Settings  # noqa: PLC0415

        parts = urlsplit(url)
        if not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"not the address of a bucket: {url}; use s3://BUCKET/PREFIX")
        return cls(S3Bucket(parts.netloc, S3Settings()), unquote(parts.path))

    def scan(self) -> Iterator[FoundFile]:
        """See :meth:`Source.scan`."""
        for found in self._bucket.objects(self._prefix):
            path = found.key.removeprefix(self._prefix)
            # A key that ends in a slash stands for a folder in the tools that make it.
            if path and not path.endswith("/") and is_meant(path):
                yield FoundFile(path, _fingerprint(found.size, found.etag))

    def look(self, path: str) -> Iterator[FoundFile]:
        """See :meth:`Source.look`."""
        found = self._bucket.head(self._prefix + path) if is_meant(path) else None
        if found is not None:
            yield FoundFile(path, _fingerprint(found.size, found.etag))

    def open(self, path: str) -> BinaryIO:
        """See :meth:`Source.open`."""
        from pipeline.s3 import S3MissingError  # noqa: PLC0415  # as above

        try:
            return self._bucket.open(self._prefix + path)
        except S3MissingError as error:
            raise FileNotFoundError(path) from error

    def path_of(self, bucket: str, key: str) -> str | None:
        """The path of an object that an event names; None if it is not of this source."""
        if bucket != self._bucket.name or not key.startswith(self._prefix):
            return None
        return key.removeprefix(self._prefix) or None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fingerprint(size: int, etag: str) -> str:
    return f"{size}-{etag}"[:200]


def lie_in_each_other(first: str, second: str) -> bool:
    """Whether one of two addresses is a part of the other, or the same."""
    ends = [_normal(address) + "/" for address in (first, second)]
    return ends[0].startswith(ends[1]) or ends[1].startswith(ends[0])


def _normal(address: str) -> str:
    if address.startswith("s3://"):
        return unquote(address).rstrip("/")
    return str(Path(unquote(urlsplit(address).path) if address.startswith("file:") else address).resolve())


def paths_below(root: Path, paths: Iterable[str]) -> set[str]:
    """The paths relative to a folder; what is not below it is left out."""
    places = (Path(path) for path in paths)
    return {place.relative_to(root).as_posix() for place in places if place.is_relative_to(root)}
