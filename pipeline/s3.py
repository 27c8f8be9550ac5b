"""A bucket of an object store that speaks S3, with errors that say what to do.

Built on obstore, which costs a quarter to a third of a CPU millisecond for each request and what its bytes
cost. What it has no words for is in :mod:`pipeline.s3_botocore`, which only the catalogue loads.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import obstore
from obstore.exceptions import BaseError

from pipeline.s3_client import Connections
from pipeline.s3_errors import Complaints, S3KeyError, S3MissingError
from pipeline.s3_settings import S3Object, S3Settings
from pipeline.spooling import Spooled

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions

    from pipeline.s3_botocore import BotocoreBucket

__all__ = ["PART_BYTES", "S3Bucket", "S3KeyError", "S3MissingError", "S3Object", "S3Settings", "is_askable"]

_PATIENCE_S = 60.0
# S3 takes parts of 5 MiB to 5 GiB. Two are under way at a time, which bounds the memory of an upload.
PART_BYTES = 8 << 20
_PARTS_AT_A_TIME = 2
# Renditions, and everything else; two parts share the way.
_SIZES = (1 << 20, _PARTS_AT_A_TIME * PART_BYTES)
_READ_AHEAD_BYTES = 4 << 20
_CHUNK = 1 << 18
_ATTRIBUTES: Attributes = {"Content-Type": "application/octet-stream"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_NOT_ASKABLE = re.compile(r"(^|/)\.{0,2}(/|$)|[\x00-\x1f\x7f]")
# Nobody's name, so that the list of what it begins is short.
_NOTHING = "there is nothing here"


class S3Bucket:
    """One bucket. Safe for many threads, and for processes that fork before they use it.

    Every method raises :class:`pipeline.blobs.BlobStoreDownError` where the store does not do its part,
    after at most ``patience_s`` seconds and the time that the bytes may take.

    Raises:
        ValueError: not the name of a bucket.
    """

    def __init__(self, name: str, settings: S3Settings, *, patience_s: float = _PATIENCE_S) -> None:
        if not _BUCKET.fullmatch(name):
            raise ValueError(f"not the name of a bucket: {name!r}")
        self.name = name
        self._settings = settings
        self._complaints = Complaints(name, settings.address or "AWS", settings.place)
        self._connections = Connections(name, settings, patience_s=patience_s, sizes=_SIZES)
        self._botocore: BotocoreBucket | None = None

    def check(self) -> None:
        """Return if the bucket is there and ours.

        Raises:
            BlobStoreDownError: it is not, and why.
        """
        try:
            with self._telling_outages(""):
                next(iter(obstore.list(self._connections.asking(), _NOTHING)), None)
        except S3MissingError:
            raise self._complaints.no_bucket() from None

    def head(self, key: str) -> S3Object | None:
        """What is under the key, if anything; does not tell a missing object from a missing bucket."""
        if not is_askable(key):
            return None
        try:
            with self._telling_outages(key):
                found = obstore.head(self._connections.asking(), key)
        except S3MissingError:
            return None
        return S3Object(key, found["size"], (found["e_tag"] or "").strip('"'), found["last_modified"])

    def read(self, key: str) -> bytes:
        """All bytes of an object.

        Raises:
            S3MissingError, BlobStoreDownError
        """
        whole = io.BytesIO()
        with self._telling_outages(key):
            # Piece by piece into one buffer: given as a whole, it would be in memory twice for a moment.
            for piece in obstore.get(self._connections.asking(), key).stream(min_chunk_size=_CHUNK):
                whole.write(piece)
        return whole.getvalue()

    def open(self, key: str) -> BinaryIO:
        """A seekable stream that fetches a few MiB at a time, all of them of the same version.

        Raises:
            S3MissingError, BlobStoreDownError
            S3KeyError: the object can be listed, but not be asked for.
        """
        if not is_askable(key):
            raise S3KeyError
        with self._telling_outages(key):
            found = obstore.head(self._connections.asking(), key)
        return io.BufferedReader(_Reading(self, key, found["size"], found["e_tag"]), 1 << 16)

    def part(self, key: str, start: int, stop: int, etag: str | None) -> bytes:
        """The bytes from ``start`` to before ``stop``, of the version with that ETag if one is named."""
        with self._telling_outages(key):
            options: GetOptions = {"range": (start, stop), "if_match": etag}
            return obstore.get(self._connections.asking(), key, options=options).bytes().to_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Store an object at once: whole or not at all."""
        with self._telling_outages(key):
            store = self._connections.sending(len(data))
            obstore.put(store, key, data, attributes=_ATTRIBUTES, use_multipart=False)

    def write_file(self, key: str, path: Path) -> None:
        """Store a file, in parts where it is large; whole or not at all all the same."""
        with self._telling_outages(key):
            obstore.put(
                self._connections.sending(_PARTS_AT_A_TIME * PART_BYTES),
                key,
                path,
                attributes=_ATTRIBUTES,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_A_TIME,
            )

    def write_spooled(self, key: str, held: Spooled) -> None:
        """Store what was spooled; whole or not at all."""
        if held.path is None:
            self.write(key, held.data)
        else:
            self.write_file(key, held.path)

    def remove(self, key: str) -> None:
        """Remove an object; nothing happens if it is not there."""
        with contextlib.suppress(S3MissingError), self._telling_outages(key):
            obstore.delete(self._connections.asking(), key)

    def objects(self, prefix: str) -> Iterator[S3Object]:
        """What is stored under a prefix in the order of the keys, a page of up to 1,000 in memory."""
        return self._by_botocore().objects(prefix)

    def abort_uploads(self, prefix: str, *, before: datetime) -> int:
        """End uploads in parts that were begun before then and never completed; returns how many."""
        return self._by_botocore().abort_uploads(prefix, before=before)

    def address(self, key: str, *, filename: str, media_type: str, expires_s: int) -> str:
        """A signed address that gives the object to whoever has it, as an attachment."""
        return self._by_botocore().address(key, filename=filename, media_type=media_type, expires_s=expires_s)

    def _by_botocore(self) -> BotocoreBucket:
        if self._botocore is None:
            # Here, because the worker does not need its 22 MB, nor to have it installed.
            from pipeline.s3_botocore import BotocoreBucket  # noqa: PLC0415

            self._botocore = BotocoreBucket(self.name, self._settings, self._complaints)
        return self._botocore

    @contextlib.contextmanager
    def _telling_outages(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:  # obstore tells what is missing as FileNotFoundError
            raise self._complaints.told(error, key) from error


class _Reading(io.RawIOBase):
    """Bytes of an object, some of them here."""

    def __init__(self, bucket: S3Bucket, key: str, size: int, etag: str | None) -> None:
        self._bucket, self._key, self._size, self._etag = bucket, key, size, etag
        self._place = 0
        self._here, self._start = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = max(0, offset + {io.SEEK_CUR: self._place, io.SEEK_END: self._size}.get(whence, 0))
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        if self._place >= self._size:
            return 0
        if not self._start <= self._place < self._start + len(self._here):
            stop = min(self._place + _READ_AHEAD_BYTES, self._size)
            self._here, self._start = b"", self._place  # one block in memory, not two
            self._here = self._bucket.part(self._key, self._place, stop, self._etag)
        begin = self._place - self._start
        found = memoryview(self._here)[begin : begin + len(buffer)]
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


def is_askable(key: str) -> bool:
    """Whether obstore takes the key as it is: it refuses some and makes others different ones."""
    return _NOT_ASKABLE.search(key) is None
