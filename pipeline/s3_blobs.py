"""Bytes by content hash in an object store that speaks S3; the same keys as in a folder, under a prefix.

::

    PREFIX/ab/cd/abcd…/original     the bytes
    PREFIX/ab/cd/abcd…/grid.jpg     renditions, beside their original

An object appears whole or not at all. An interrupted upload in parts shows nowhere, and is swept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline.blobs import (
    ORIGINAL,
    checked_key,
    original_key,
    original_sha256,
    rendition_key,
)
from pipeline.ports import BlobMissingError, StoredBlob, StoredOriginal
from pipeline.s3 import PART_BYTES, S3Bucket, S3MissingError, S3Settings, is_askable
from pipeline.spooling import spooled


class S3BlobStore:
    """Implements :class:`pipeline.ports.BlobStore` in a bucket, under ``prefix`` (empty, or ``a/b``).

    Raises:
        ValueError: a prefix that cannot be asked for.
    """

    def __init__(self, bucket: S3Bucket, prefix: str = "") -> None:
        if prefix.strip("/") and not is_askable(prefix.strip("/")):
            raise ValueError(f"not a prefix that can be read: {prefix!r}; use a/b")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @classmethod
    def from_url(cls, url: str) -> S3BlobStore:
        """The store that ``s3://BUCKET/PREFIX`` names, with the settings of the environment.

        Raises:
            ValueError: no bucket is named, or the settings contradict each other.
        """
        parts = urlsplit(url)
        if not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"not the address of a bucket: {url!r}; use s3://BUCKET/PREFIX")
        return cls(S3Bucket(parts.netloc, S3Settings()), unquote(parts.path))

    def put(self, stream: BinaryIO) -> StoredBlob:
        """See :meth:`pipeline.ports.BlobStore.put`. What the stream itself raises passes through.

        The key is known at the end only, so what does not fit into a part waits in a temporary file.
        """
        with spooled(stream, in_memory=PART_BYTES) as held:
            stored = StoredBlob(sha256=held.sha256, size=held.size, key=original_key(held.sha256))
            # Equal bytes need not travel again. If a sweep removes them after this look, the catalogue finds
            # out: it asks once more, under the lock that a sweep takes, before it names them.
            if not self._holds(stored):
                self._bucket.write_spooled(self._at(stored.key), held)
        return stored

    def put_renditions(self, original_key: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """See :meth:`pipeline.ports.BlobStore.put_renditions`."""
        keys = {name: rendition_key(original_key, name) for name in files}
        for name, data in files.items():
            self._bucket.write(self._at(keys[name]), data)
        # Asked afterwards, so that a rendition never outlives an original that is deleted meanwhile.
        if not self.exists(original_key):
            for key in keys.values():
                self._bucket.remove(self._at(key))
            raise BlobMissingError(original_key)
        return keys

    def exists(self, key: str) -> bool:
        """See :meth:`pipeline.ports.BlobStore.exists`."""
        if self._bucket.head(self._at(checked_key(key))) is not None:
            return True
        # A missing bucket must not turn every picture of the library into a missing one.
        self._bucket.check()
        return False

    def read(self, key: str) -> bytes:
        """See :meth:`pipeline.ports.BlobStore.read`."""
        with self._telling_missing(key):
            return self._bucket.read(self._at(checked_key(key)))

    def open(self, key: str) -> BinaryIO:
        """See :meth:`pipeline.ports.BlobStore.open`."""
        with self._telling_missing(key):
            return self._bucket.open(self._at(checked_key(key)))

    def originals(self, *, older_than_s: float) -> Iterator[StoredOriginal]:
        """See :meth:`pipeline.ports.BlobStore.originals`. The ages are the store's, to the second."""
        for found in self._bucket.objects(self._prefix):
            key = found.key.removeprefix(self._prefix)
            sha256 = original_sha256(key)
            age_s = max(0.0, (datetime.now(UTC) - found.modified).total_seconds())
            if sha256 is not None and age_s >= older_than_s:
                yield StoredOriginal(sha256=sha256, key=key, age_s=age_s)

    def download_address(
        self, key: str, *, filename: str, media_type: str, expires_s: int = 300
    ) -> str | None:
        """See :meth:`pipeline.ports.BlobStore.download_address`. Signs only: it asks nobody."""
        return self._bucket.address(
            self._at(checked_key(key)), filename=filename, media_type=media_type, expires_s=expires_s
        )

    def sweep_incoming(self, *, older_than_s: float) -> int:
        """End uploads in parts that were never completed; the number of them."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        return self._bucket.abort_uploads(self._prefix, before=before)

    def delete(self, key: str) -> None:
        """See :meth:`pipeline.ports.BlobStore.delete`.

        The original goes last: a delete that is interrupted leaves one that is listed still, so the next
        sweep finishes it, and nobody ever finds renditions without their original.
        """
        folder = self._at(checked_key(key)).rpartition("/")[0] + "/"
        original = f"{folder}{ORIGINAL}"
        for found in list(self._bucket.objects(folder)):
            if found.key != original:
                self._bucket.remove(found.key)
        self._bucket.remove(original)
        # What a worker put there between the two.
        for found in list(self._bucket.objects(folder)):
            if found.key != original:
                self._bucket.remove(found.key)

    def _at(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _holds(self, stored: StoredBlob) -> bool:
        found = self._bucket.head(self._at(stored.key))
        return found is not None and found.size == stored.size

    @contextlib.contextmanager
    def _telling_missing(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3MissingError as error:
            # The answer to a question for a header has no body that would name the bucket.
            self._bucket.check()
            raise BlobMissingError(key) from error
