"""A bucket of an object store that speaks S3, with errors that say what to do; its settings.

Built on s3fs, whose requests run on an event loop in a thread of its own. That thread does not survive a
fork, so each process gets a client of its own when it first asks for something.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from aiohttp import ClientError as HttpError
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)
from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from s3fs import S3FileSystem  # type: ignore[import-untyped]

from pipeline.blobs import BlobStoreDownError

_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_REFUSED = frozenset(
    {"403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
# A few attempts of bounded length, so that a caller learns within a minute that nobody answers. The limits on
# the whole are there because the client waits without one for a server's word to go on with an upload.
_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 15
_ATTEMPTS = 3
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 100_000
_LONGEST_READ_S = 600.0
# S3 takes parts of 5 MiB to 5 GiB. Two are under way at a time, which bounds the memory of an upload.
PART_BYTES = 8 << 20
_PARTS_AT_A_TIME = 2
_READ_AHEAD_BYTES = 4 << 20


class S3Settings(BaseSettings):
    """Environment variables of these names with the prefix ``VITRINE_S3_``; see ``docs/storage.md``.

    Without keys, credentials come the way of the AWS tools: environment, profile, role of the machine.
    """

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_S3_",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # it holds the secret
    )

    endpoint: str | None = None
    """``https://host:port`` of a store other than AWS; buckets are then named in the path."""
    public_endpoint: str | None = None
    """The same store as browsers reach it, when that is another address."""
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    """A file that holds the secret key, as containers mount it."""
    sse: Literal["AES256", "aws:kms"] | None = None
    """Encryption that the store is asked for with every object; None: as the bucket is set."""
    sse_kms_key_id: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> S3Settings:
        if self.secret_key is not None and self.secret_key_file is not None:
            raise ValueError("set VITRINE_S3_SECRET_KEY or VITRINE_S3_SECRET_KEY_FILE, not both")
        if (self.access_key is None) != (self.secret_key is None and self.secret_key_file is None):
            raise ValueError("VITRINE_S3_ACCESS_KEY and VITRINE_S3_SECRET_KEY (or _FILE) belong together")
        if self.sse_kms_key_id is not None and self.sse != "aws:kms":
            raise ValueError("VITRINE_S3_SSE_KMS_KEY_ID needs VITRINE_S3_SSE=aws:kms")
        return self

    def secret(self) -> str | None:
        """The secret key, wherever it is kept.

        Raises:
            BlobStoreDownError: its file cannot be read.
        """
        if self.secret_key_file is not None:
            try:
                return self.secret_key_file.read_text().strip()
            except OSError as error:
                raise BlobStoreDownError(f"the file of the S3 secret key cannot be read: {error}") from error
        return self.secret_key.get_secret_value() if self.secret_key is not None else None

    def encryption(self) -> dict[str, str]:
        """What every request that writes an object says of its encryption."""
        words = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.sse_kms_key_id}
        return {name: word for name, word in words.items() if word is not None}


class S3MissingError(Exception):
    """There is no such object. Its text is the key."""


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object as the store lists it. ``modified``: with its time zone, to the second."""

    key: str
    size: int
    etag: str
    modified: datetime


class S3Bucket:
    """One bucket. Safe for many threads and for processes that fork.

    Every method raises :class:`BlobStoreDownError` where the store does not do its part, after at most
    ``patience_s`` seconds and the time that the bytes may take.
    """

    def __init__(self, name: str, settings: S3Settings, *, patience_s: float = _PATIENCE_S) -> None:
        self.name = name
        self._settings = settings
        self._patience_s = patience_s
        self._clients: dict[tuple[int, str | None], S3FileSystem] = {}

    def check(self) -> None:
        """Return if the bucket is there and ours.

        Raises:
            BlobStoreDownError: it is not, and why.
        """
        try:
            self._call("head_bucket")
        except S3MissingError:
            raise self._no_bucket() from None

    def head(self, key: str) -> S3Object | None:
        """What is under the key, if anything; does not tell a missing object from a missing bucket."""
        try:
            found = self._call("head_object", Key=key)
        except S3MissingError:
            return None
        return S3Object(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])

    def read(self, key: str) -> bytes:
        """All bytes of an object.

        Raises:
            S3MissingError, BlobStoreDownError
        """
        with self._telling_outages(key):
            # One at a time is one request; more would ask for the size before.
            data: bytes = self._client().cat_file(self._path(key), max_concurrency=1, timeout=_LONGEST_READ_S)
            return data

    def open(self, key: str) -> BinaryIO:
        """A seekable stream that fetches a few MiB at a time; the same errors as :meth:`read`."""
        with self._telling_outages(key):
            file = self._client().open(self._path(key), "rb", block_size=_READ_AHEAD_BYTES)
        return io.BufferedReader(_Reading(self, file, key), 1 << 16)

    def write(self, key: str, data: bytes) -> None:
        """Store an object at once: whole or not at all."""
        with self._telling_outages(key):
            self._client().call_s3(
                "put_object",
                Bucket=self.name,
                Key=key,
                Body=data,
                ContentType="application/octet-stream",
                timeout=self._time_for(len(data)),
            )

    def write_file(self, key: str, path: Path) -> None:
        """Store a file, in parts where it is large; whole or not at all all the same."""
        with self._telling_outages(key):
            self._client().put_file(
                str(path),
                self._path(key),
                chunksize=PART_BYTES,
                max_concurrency=_PARTS_AT_A_TIME,
                ContentType="application/octet-stream",
                timeout=self._time_for(path.stat().st_size),
            )

    def remove(self, key: str) -> None:
        """Remove an object; nothing happens if it is not there."""
        with contextlib.suppress(S3MissingError):
            self._call("delete_object", Key=key)

    def objects(self, prefix: str) -> Iterator[S3Object]:
        """What is stored under a prefix in the order of the keys, a page of up to 1,000 in memory."""
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, **more)
            for found in page.get("Contents", []):
                yield S3Object(found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def abort_uploads(self, prefix: str, *, before: datetime) -> int:
        """End uploads in parts that were begun before then and never completed; returns how many."""
        ended = 0
        more: dict[str, str] = {}
        while True:
            page = self._call("list_multipart_uploads", Prefix=prefix, **more)
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < before and upload["Key"].startswith(prefix):
                    with contextlib.suppress(S3MissingError):  # completed just now
                        self._call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
                        ended += 1
            if not page.get("IsTruncated"):
                return ended
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def address(self, key: str, *, filename: str, media_type: str, expires_s: int) -> str:
        """A signed address that gives the object to whoever has it, as an attachment."""
        with self._telling_outages(key):
            signed: str = self._client(self._settings.public_endpoint).url(
                self._path(key),
                expires=expires_s,
                ResponseContentDisposition=_attachment(filename),
                ResponseContentType=media_type,
            )
            return signed

    def _call(self, method: str, **words: Any) -> dict[str, Any]:
        with self._telling_outages(str(words.get("Key", ""))):
            answer: dict[str, Any] = self._client().call_s3(
                method, Bucket=self.name, **words, timeout=self._patience_s
            )
            return answer

    def _time_for(self, size: int) -> float:
        return self._patience_s + size / _SLOWEST_BYTES_PER_S

    def _path(self, key: str) -> str:
        return f"{self.name}/{key}"

    def _client(self, endpoint: str | None = None) -> S3FileSystem:
        # No lock, which a fork might copy while it is held: at worst two threads make a client each.
        which = (os.getpid(), endpoint)
        client = self._clients.get(which)
        if client is None:
            client = self._clients[which] = _connect(self._settings, endpoint or self._settings.endpoint)
        return client

    @contextlib.contextmanager
    def _telling_outages(self, key: str) -> Iterator[None]:
        try:
            yield
        except (OSError, BotoCoreError, ClientError, HttpError) as error:
            raise self._told(error, key) from error

    def _told(self, error: Exception, key: str) -> Exception:
        """The error as a sentence that says what to do about it."""
        # s3fs turns what the store answered into an OSError, which keeps it as its cause.
        answer = error if isinstance(error, ClientError) else error.__cause__
        if isinstance(answer, ClientError):
            return self._told_answer(answer.response.get("Error", {}), key)
        if isinstance(error, FileNotFoundError):
            return S3MissingError(key)
        if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
            return BlobStoreDownError(
                "there are no credentials for the object store: set VITRINE_S3_ACCESS_KEY and "
                "VITRINE_S3_SECRET_KEY, or what the AWS tools read"
            )
        if isinstance(error, (HTTPClientError, NoConnectionError, HttpError, TimeoutError)):
            where = self._settings.endpoint or "AWS"
            # Not what the library says of it, which names the object, and strangers may read this.
            return BlobStoreDownError(f"the object store at {where} does not answer")
        return BlobStoreDownError(f"the object store failed: {error}")

    def _told_answer(self, answer: dict[str, Any], key: str) -> Exception:
        code = str(answer.get("Code", ""))
        if code in _MISSING:
            return S3MissingError(key)
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in _REFUSED:
            return BlobStoreDownError(
                f"the object store refuses us in bucket “{self.name}” ({code}): check the credentials "
                "and what they may do there"
            )
        return BlobStoreDownError(f"the object store failed ({code}): {answer.get('Message', '')}")

    def _no_bucket(self) -> BlobStoreDownError:
        return BlobStoreDownError(f"the object store has no bucket “{self.name}”")


class _Reading(io.RawIOBase):
    """A file of s3fs with our errors."""

    def __init__(self, bucket: S3Bucket, file: Any, key: str) -> None:
        self._bucket, self._file, self._key = bucket, file, key

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        place: int = self._file.seek(offset, whence)
        return place

    def tell(self) -> int:
        place: int = self._file.tell()
        return place

    def readinto(self, buffer: Any, /) -> int:
        with self._bucket._telling_outages(self._key):  # noqa: SLF001  # a part of the bucket
            count: int = self._file.readinto(buffer)
            return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _connect(settings: S3Settings, endpoint: str | None) -> S3FileSystem:
    client = S3FileSystem(
        key=settings.access_key,
        secret=settings.secret(),
        endpoint_url=endpoint,
        client_kwargs={"region_name": settings.region} if settings.region else {},
        s3_additional_kwargs=settings.encryption(),
        config_kwargs={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "read_timeout": _READ_TIMEOUT_S,
            "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
            # Older signatures are still made for addresses unless this is said; new regions refuse them.
            "signature_version": "s3v4",
            "s3": {"addressing_style": "path" if endpoint else "auto"},
        },
        # What a moment ago was not there may be there now: nothing is remembered.
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    # botocore's retries are the ones above; those of s3fs would multiply them.
    client.retries = 1
    return client


def _attachment(filename: str) -> str:
    """The header's value for a download of that name, for old and new readers (RFC 6266, RFC 8187)."""
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"\\%' else "_" for sign in filename)
    value = f'attachment; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
