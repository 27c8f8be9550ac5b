"""Connections to a bucket by obstore, with bounds on how long each of their requests may take.

Its requests run in a pool of threads of the process, which does not survive a fork: who was forked from a
process that has asked for something would wait for ever, so it is told.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

from pipeline.blobs import BlobStoreDownError
from pipeline.s3_errors import NO_CREDENTIALS, PROFILE
from pipeline.s3_settings import S3Settings, from_environment

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential, S3CredentialProvider

# A few attempts of bounded length, so that a caller learns within a minute that nobody answers.
_CONNECT_TIMEOUT_S = 3.0
_ATTEMPTS = 3
_LONGEST_PAUSE_S = 2.0
_LONGEST_READ_S = 600.0
_SLOWEST_BYTES_PER_S = 100_000
# By which obstore finds the role of a pod or a container, before it asks for that of the machine.
_ROLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


class Connections:
    """The connections of a process to one bucket: one kind for asking, one for each size of what is sent.

    Args:
        patience_s: so long after the first attempt a request that is not answered ends at the latest, if
            its bytes take no time. A silence of a quarter of it ends an attempt.
        sizes: the largest requests of each kind that sends, in bytes, in rising order.
    """

    _first_user: int | None = None
    """The process that has used obstore before any fork."""

    def __init__(
        self, bucket: str, settings: S3Settings, *, patience_s: float, sizes: tuple[int, ...]
    ) -> None:
        self._bucket = bucket
        self._settings = settings
        self._patience_s = patience_s
        self._sizes = sizes
        self._stores: dict[int, S3Store] = {}

    def asking(self) -> S3Store:
        """For requests whose answers may be long and that are not.

        Raises:
            BlobStoreDownError: there are no credentials, or this process was forked too late.
        """
        return self._of_size(0)

    def sending(self, size: int) -> S3Store:
        """For a request of so many bytes; the same errors as :meth:`asking`."""
        return self._of_size(next((most for most in self._sizes if size <= most), self._sizes[-1]))

    def _of_size(self, size: int) -> S3Store:
        process = os.getpid()
        if Connections._first_user is None:
            Connections._first_user = process
        elif Connections._first_user != process:
            raise BlobStoreDownError(
                "this process was forked from one that had used the object store already, which its client "
                "does not survive: fork before the first use, or start processes anew"
            )
        # No lock: at worst two threads make a store each.
        store = self._stores.get(size)
        if store is None:
            store = self._stores[size] = self._connect(size)
        return store

    def _connect(self, size: int) -> S3Store:
        silence_s = self._patience_s / 4
        limits: ClientConfig = {"connect_timeout": timedelta(seconds=min(_CONNECT_TIMEOUT_S, silence_s))}
        if size:
            # The library's limit on silence counts from the start of a request, so it would end a long one.
            limits["timeout"] = timedelta(seconds=silence_s + size / _SLOWEST_BYTES_PER_S)
        else:
            limits["read_timeout"] = timedelta(seconds=silence_s)
            limits["timeout"] = timedelta(seconds=_LONGEST_READ_S)
        return S3Store(
            self._bucket,
            config=_words(self._settings, self._bucket),
            client_options=limits | _network(self._settings),
            retry_config={
                "max_retries": _ATTEMPTS - 1,
                # No attempt begins later, so that the last one ends in time.
                "retry_timeout": timedelta(seconds=self._patience_s - silence_s),
                "backoff": {"max_backoff": timedelta(seconds=_LONGEST_PAUSE_S)},
            },
            credential_provider=_credentials(self._settings),
        )


def _words(settings: S3Settings, bucket: str) -> S3Config:
    words: S3Config = {
        "region": settings.place,
        "virtual_hosted_style_request": not settings.is_addressed_by_path(bucket),
        # Not every store knows the request that removes several objects.
        "disable_bulk_delete": True,
    }
    if settings.address is not None:
        words["endpoint"] = settings.address.rstrip("/")
    if settings.sse is not None:
        words["server_side_encryption"] = settings.sse
    if settings.sse_kms_key_id is not None:
        words["sse_kms_key_id"] = settings.sse_kms_key_id
    return words


def _network(settings: S3Settings) -> ClientConfig:
    options: ClientConfig = {"allow_http": (settings.address or "").startswith("http://")}
    if authority := from_environment("AWS_CA_BUNDLE"):
        try:
            options["root_certificate"] = Path(authority).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BlobStoreDownError(f"the certificates of AWS_CA_BUNDLE cannot be read: {error}") from error
    return options


def _credentials(settings: S3Settings) -> S3CredentialProvider | None:
    """Keys that we are given, or None for those of a role, which obstore finds and renews.

    Raises:
        BlobStoreDownError: there is nothing that it could find.
    """
    access_key, secret = settings.keys() or (None, None)
    token = None
    if access_key is None:
        access_key, secret = from_environment("AWS_ACCESS_KEY_ID"), from_environment("AWS_SECRET_ACCESS_KEY")
        token = from_environment("AWS_SESSION_TOKEN")
    if access_key is not None and secret is not None:
        found: S3Credential = {
            "access_key_id": access_key,
            "secret_access_key": secret,
            "token": token,
            "expires_at": None,
        }
        return lambda: found
    if from_environment(*_ROLES) is None:
        if from_environment("AWS_PROFILE") is not None:
            raise BlobStoreDownError(PROFILE)
        if (from_environment("AWS_EC2_METADATA_DISABLED") or "").lower() == "true":
            raise BlobStoreDownError(NO_CREDENTIALS)
    return None
