"""Bytes by content hash in a folder: the blob store of a single machine or of a shared file system.

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
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline.ports import BlobMissingError, BlobStore, DependencyDownError, StoredBlob

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


def blob_store_from_url(url: str) -> BlobStore:
    """The store that a setting names: ``file:///path`` or a plain path.

    Raises:
        ValueError: a kind of store that is not known.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return FolderBlobStore(Path(unquote(parts.path)))
    if not parts.scheme:
        return FolderBlobStore(Path(url))
    if parts.scheme == "s3":
        raise ValueError("s3:// addresses come with the support of object storage; use file:///path for now")
    raise ValueError(f"not the address of a blob store: {url!r}; use file:///path")


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
        return StoredBlob(sha256=digest.hexdigest(), size=size, key=key)

    def put_rendition(self, original_key: str, name: str, data: bytes) -> str:
        """Store ``data`` as file ``name`` (such as ``grid.jpg``) beside an original.

        Raises:
            BlobMissingError: no such original.
            ValueError: not a name for a rendition.
            DependencyDownError: the store does not answer.
        """
        if not _RENDITION_NAME.fullmatch(name) or name == ORIGINAL:
            raise ValueError(f"not a name for a rendition: {name!r}")
        if not self.exists(original_key):
            raise BlobMissingError(original_key)
        key = f"{original_key.rpartition('/')[0]}/{name}"
        with self._temporary() as (temporary, file):
            with _telling_outages():
                file.write(data)
            self._move_into_place(temporary, file, key)
        return key

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
            # Deleted since: what was stored is gone again, and there is nothing to make durable.
            with contextlib.suppress(FileNotFoundError):
                _sync_folder(target.parent)
            # Up to the root, for a folder that another process has just made may not be on disk yet.
            for folder in target.parent.parents:
                _sync_folder(folder)
                if folder == self._root:
                    break

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidKeyError(f"not a key of this store: {key[:120]!r}")
        return self._root / key

    def _check_mounted(self) -> None:
        """An unmounted disk must not turn every picture of the library into a missing one."""
        if not self._incoming.is_dir():
            raise BlobStoreDownError(f"there is no blob store in {self._root}")


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
