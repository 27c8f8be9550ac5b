"""What obstore has no words for, asked by botocore: lists of any keys, interrupted uploads, signed addresses.

Only the catalogue asks for it. A request costs ten times the CPU of one by obstore.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from botocore.config import Config  # type: ignore[import-untyped]
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
from botocore.session import get_session  # type: ignore[import-untyped]

from pipeline.blobs import BlobStoreDownError
from pipeline.s3_errors import NO_CREDENTIALS, Complaints, S3MissingError
from pipeline.s3_settings import S3Object, S3Settings

_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 15
_ATTEMPTS = 3


class BotocoreBucket:
    """One bucket. Safe for many threads and for processes that fork."""

    def __init__(self, name: str, settings: S3Settings, complaints: Complaints) -> None:
        self._name = name
        self._settings = settings
        self._complaints = complaints
        self._clients: dict[tuple[int, str | None], Any] = {}

    def objects(self, prefix: str) -> Iterator[S3Object]:
        """See :meth:`pipeline.s3.S3Bucket.objects`."""
        for page in self._pages("list_objects_v2", Prefix=prefix):
            for found in page.get("Contents", []):
                yield S3Object(found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"])

    def abort_uploads(self, prefix: str, *, before: datetime) -> int:
        """See :meth:`pipeline.s3.S3Bucket.abort_uploads`."""
        ended = 0
        for page in self._pages("list_multipart_uploads", Prefix=prefix):
            for upload in page.get("Uploads", []):
                key = upload["Key"]
                if upload["Initiated"] < before and key.startswith(prefix):
                    # It may be completed just now.
                    with contextlib.suppress(S3MissingError), self._telling_outages(key):
                        self._client().abort_multipart_upload(
                            Bucket=self._name, Key=key, UploadId=upload["UploadId"]
                        )
                        ended += 1
        return ended

    def address(self, key: str, *, filename: str, media_type: str, expires_s: int) -> str:
        """See :meth:`pipeline.s3.S3Bucket.address`."""
        with self._telling_outages(key):
            signed: str = self._client(self._settings.public_endpoint).generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._name,
                    "Key": key,
                    "ResponseContentDisposition": _attachment(filename),
                    "ResponseContentType": media_type,
                },
                ExpiresIn=expires_s,
            )
            return signed

    def _pages(self, method: str, **words: Any) -> Iterator[dict[str, Any]]:
        # The paginator of botocore: each kind of list goes on in words of its own.
        with self._telling_outages(""):
            pages = iter(self._client().get_paginator(method).paginate(Bucket=self._name, **words))
        while True:
            with self._telling_outages(""):
                page: dict[str, Any] | None = next(pages, None)
            if page is None:
                return
            yield page

    def _client(self, endpoint: str | None = None) -> Any:
        # No lock, which a fork might copy while it is held: at worst two threads make a client each.
        which = (os.getpid(), endpoint)
        client = self._clients.get(which)
        if client is None:
            client = self._clients[which] = self._connect(endpoint or self._settings.address)
        return client

    def _connect(self, endpoint: str | None) -> Any:
        access_key, secret_key = self._settings.keys() or (None, None)
        return get_session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name=self._settings.place,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                # Older signatures are still made for addresses unless this is said; new regions refuse them.
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint else "auto"},
            ),
        )

    @contextlib.contextmanager
    def _telling_outages(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            answer = error.response.get("Error", {})
            raise self._complaints.answer(
                str(answer.get("Code", "")), str(answer.get("Message", "")), key
            ) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise BlobStoreDownError(NO_CREDENTIALS) from error
        except (HTTPClientError, NoConnectionError) as error:
            raise self._complaints.silence() from error
        except BotoCoreError as error:
            raise BlobStoreDownError(f"the object store failed: {error}") from error


def _attachment(filename: str) -> str:
    """The header's value for a download of that name, for old and new readers (RFC 6266, RFC 8187)."""
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"\\%' else "_" for sign in filename)
    value = f'attachment; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
