"""A folder in S3, as far as versions of models and ``models.config`` need one.

Listed by obstore and not by :meth:`pipeline.s3.S3Bucket.objects`: who brings models to a model server has no
botocore. What obstore cannot list are names that nobody gives to a file of a model.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError

from pipeline.s3 import S3Bucket, S3MissingError, S3Settings
from pipeline.s3_client import Connections
from pipeline.s3_errors import Complaints

_PATIENCE_S = 60.0
_BLOCK_BYTES = 4 << 20


class BucketFolder:
    """What lies under ``s3://BUCKET[/PREFIX]``; ``VITRINE_S3_…`` say more.

    Every method raises ``pipeline.blobs.BlobStoreDownError`` while the store does not answer.

    Raises:
        ValueError: not such an address, or the environment says something about S3 that makes no sense.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{address!r} is neither a folder nor s3://BUCKET/PREFIX")
        settings = S3Settings()
        self._prefix = parts.path.strip("/")
        self._bucket = S3Bucket(parts.netloc, settings, patience_s=_PATIENCE_S)
        self._complaints = Complaints(parts.netloc, settings.address or "AWS", settings.place)
        self._connections = Connections(parts.netloc, settings, patience_s=_PATIENCE_S, sizes=(1,))

    @property
    def address(self) -> str:
        """With no slash at the end."""
        return f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")

    def holds(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._bucket.head(self._key(name)) is not None

    def names(self, below: str = "") -> Iterator[str]:
        """The files in a folder of this one, or in this one, and in their folders."""
        start = self._key(below).strip("/")
        try:
            for page in obstore.list(self._connections.asking(), start):
                for found in page:
                    yield found["path"].removeprefix(self._prefix).lstrip("/")
        except (BaseError, OSError) as error:
            told = self._complaints.told(error, start)
            # There may be nothing in a folder, but the bucket has to be there.
            raise self._complaints.no_bucket() if isinstance(told, S3MissingError) else told from error

    def read(self, name: str) -> bytes | None:
        """A small file; None if it is not there."""
        try:
            return self._bucket.read(self._key(name))
        except S3MissingError:
            return None

    def fetch(self, name: str, to: Path) -> None:
        """Bring a file of any size to the disk; a few MiB of it are in memory at a time.

        Raises:
            S3MissingError: it is not there.
        """
        with self._bucket.open(self._key(name)) as source:
            to.parent.mkdir(parents=True, exist_ok=True)
            with to.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK_BYTES)

    def write(self, name: str, content: bytes) -> None:
        """At one stroke."""
        self._bucket.write(self._key(name), content)

    def send(self, name: str, path: Path) -> None:
        """A file of any size, whole or not at all."""
        self._bucket.write_file(self._key(name), path)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name
