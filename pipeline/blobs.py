"""Bytes by content hash in a folder: the blob store of a single machine or of a shared file system.

Here, too, what all stores agree on (their keys) and the choice between them.

::

    ab/cd/abcd…/original     the bytes, whose sha256 is the folder's name
    ab/cd/abcd…/grid.jpg     renditions, beside their original
    incoming/                files that are being written; what a crash left here is swept
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline.ports import BlobMissingError, BlobStore, DependencyDownError, StoredBlob, StoredOriginal

ORIGINAL = "original"
INCOMING = "incoming"

_CHUNK = 1 << 20
_KEY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})/([a-z0-9][a-z0-9._-]{0,63})")
_RENDITION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class InvalidKeyError(BlobMissingError, ValueError):
    """Not a key of this store, so there can be nothing under it."""


class BlobStoreDownError(DependencyDownError):
    """The store does not answer: an unmounted or full disk, a missing permission."""


def original_key(sha256: str) -> str:
    """The key of the bytes with this hash (64 hexadecimal digits)."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}/{ORIGINAL}"


def original_sha256(key: str) -> str | None:
    """The hash in the key of an original; None for any other key."""
    found = _KEY.fullmatch(key)
    return found[3] if found is not None and found[4] == ORIGINAL else None


def key_parts(key: str) -> tuple[str, str] | None:
    """The hash in a key, and the name there: ``original``, or that of a rendition. None if it is no key."""
    found = _KEY.fullmatch(key)
    return (found[3], found[4]) if found is not None else None


def checked_key(key: str) -> str:
    """The key, if it is one.

    Raises:
        InvalidKeyError: it is none.
    """
    if not _KEY.fullmatch(key):
        raise InvalidKeyError(f"not a key of this store: {key[:120]!r}")
    return key


def rendition_key(original_key: str, name: str) -> str:
    """The key of a rendition of that name beside an original.

    Raises:
        ValueError: not a name for a rendition.
        InvalidKeyError: not the key of an original.
    """
    if not _RENDITION_NAME.fullmatch(name) or name == ORIGINAL:
        raise ValueError(f"not a name for a rendition: {name!r}")
    return f"{checked_key(original_key).rpartition('/')[0]}/{name}"


def blob_store_from_url(url: str) -> BlobStore:
    """The store that a setting names: ``file:///path``, a plain path or ``s3://bucket/prefix``.

    Raises:
        ValueError: a kind of store that is not known, or settings of it that contradict each other.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return FolderBlobStore(Path(unquote(parts.path)))
    if not parts.scheme:
        return FolderBlobStore(Path(url))
    if parts.scheme == "s3":
        # Here, because it takes memory that the users of a folder do not need.
        from pipeline.s3_blobs import S3BlobStore  # noqa: PLC0415

        return S3BlobStore.from_url(url)
    raise ValueError(f"not the address of a blob store: {url!r}; use file:///path or s3://bucket/prefix")


class FolderBlobStore:
    """Implements :class:`pipeline.ports.BlobStore` in a folder. Safe for many processes at once."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / INCOMING
        with _telling_outages():
            self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, stream: BinaryIO) -> StoredBlob:
        """See :meth:`pipeline.ports.BlobStore.put`. What the stream itself raises passes through."""
        with self._temporary() as (temporary, file):
            digest, size = hashlib.sha256(), 0
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                with _telling_outages():
                    file.write(chunk)
            key = original_key(digest.hexdigest())
            self._move_into_place(temporary, file, key)
        self._make_durable(self._path(key).parent)
        return StoredBlob(sha256=digest.hexdigest(), size=size, key=key)

    def put_renditions(self, original_key: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """See :meth:`pipeline.ports.BlobStore.put_renditions`."""
        keys = {name: rendition_key(original_key, name) for name in files}
        for name, data in files.items():
            with self._temporary() as (temporary, file):
                with _telling_outages():
                    file.write(data)
                self._move_into_place(temporary, file, keys[name])
        # Asked afterwards, so that a rendition never outlives an original that is deleted meanwhile.
        if not self.exists(original_key):
            self._take_back(keys.values())
            raise BlobMissingError(original_key)
        self._make_durable(self._path(original_key).parent)
        return keys

    def exists(self, key: str) -> bool:
        """See :meth:`pipeline.ports.BlobStore.exists`."""
        path = self._path(key)
        with _telling_outages():
            if path.is_file():
                return True
        self._check_mounted()
        return False

    def read(self, key: str) -> bytes:
        """See :meth:`pipeline.ports.BlobStore.read`."""
        with self.open(key) as file, _telling_outages():
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """See :meth:`pipeline.ports.BlobStore.open`."""
        path = self._path(key)
        with _telling_outages():
            try:
                return path.open("rb")
            except FileNotFoundError as error:
                self._check_mounted()
                raise BlobMissingError(key) from error

    def originals(self, *, older_than_s: float) -> Iterator[StoredOriginal]:
        """See :meth:`pipeline.ports.BlobStore.originals`. One folder of names is in memory at a time."""
        self._check_mounted()
        for first in _folders_in(self._root):
            for second in _folders_in(first):
                for folder in _folders_in(second):
                    key = folder.relative_to(self._root).joinpath(ORIGINAL).as_posix()
                    sha256 = original_sha256(key)
                    age_s = _age_s(folder / ORIGINAL)
                    if sha256 is not None and age_s is not None and age_s >= older_than_s:
                        yield StoredOriginal(sha256=sha256, key=key, age_s=age_s)

    def download_address(
        self,
        key: str,  # noqa: ARG002  # this store has no addresses
        *,
        filename: str,  # noqa: ARG002
        media_type: str,  # noqa: ARG002
        expires_s: int = 300,  # noqa: ARG002
    ) -> str | None:
        """None: the catalogue sends the bytes of a folder itself."""
        return None

    def delete(self, key: str) -> None:
        """See :meth:`pipeline.ports.BlobStore.delete`."""
        folder = self._path(key).parent
        grave = self._incoming / f"deleted-{uuid.uuid4().hex}"
        with _telling_outages():
            try:
                # One rename, so that nobody ever sees renditions without their original.
                folder.rename(grave)
            except FileNotFoundError:
                return
            _sync_folder(folder.parent)
            shutil.rmtree(grave)

    def sweep_incoming(self, *, older_than_s: float) -> int:
        """Remove what interrupted writes left behind; the number of entries removed."""
        swept, newest = 0, time.time() - older_than_s
        with _telling_outages():
            for entry in self._incoming.iterdir():
                with contextlib.suppress(FileNotFoundError):  # its writer finished just now
                    if entry.lstat().st_mtime > newest:
                        continue
                    if entry.is_dir():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
                    swept += 1
        return swept

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file on the store's own file system, gone afterwards unless it was moved away."""
        path = self._incoming / f"{uuid.uuid4().hex}.part"
        with _telling_outages():
            file = path.open("xb")
        try:
            with file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def _move_into_place(self, temporary: Path, file: BinaryIO, key: str) -> None:
        target = self._path(key)
        with _telling_outages():
            file.flush()
            os.fsync(file.fileno())
            while True:
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    temporary.replace(target)
                    break
                except FileNotFoundError:
                    # Somebody deleted the folder between the two lines; unless our own file is gone.
                    if not temporary.exists():
                        raise

    def _make_durable(self, place: Path) -> None:
        """Have on disk the names that lead to what was moved into a folder."""
        with _telling_outages():
            # Deleted since: what was stored is gone again, and there is nothing to make durable.
            with contextlib.suppress(FileNotFoundError):
                _sync_folder(place)
            # Up to the root, for a folder that another process has just made may not be on disk yet.
            for folder in place.parents:
                _sync_folder(folder)
                if folder == self._root:
                    break

    def _take_back(self, keys: Iterable[str]) -> None:
        """Remove files, and their folder if nothing else is in it."""
        with _telling_outages():
            for path in map(self._path, keys):
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty, or gone already
                    path.parent.rmdir()

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _check_mounted(self) -> None:
        """An unmounted disk must not turn every picture of the library into a missing one."""
        if not self._incoming.is_dir():
            raise BlobStoreDownError(f"there is no blob store in {self._root}")


def _folders_in(folder: Path) -> list[Path]:
    """Sorted by name, which is the order of the keys below; empty if it is gone."""
    with _telling_outages():
        try:
            return sorted(path for path in folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []


def _age_s(path: Path) -> float | None:
    """Seconds since the file was written; None if it is gone."""
    with _telling_outages():
        try:
            return max(0.0, time.time() - path.stat().st_mtime)
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def _telling_outages() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreDownError(f"the blob store failed: {error}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
