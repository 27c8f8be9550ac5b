"""Where an object store that speaks S3 is, and who we are there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.blobs import BlobStoreDownError
from pipeline.secret_files import SecretFileError, both_given, read_secret_file

# What stands in headers and addresses: the client ends the thread that has it send anything else there.
_WORD = r"^[!-~]+$"
_Word = Annotated[str, StringConstraints(strip_whitespace=True, pattern=_WORD)]
_Address = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://[!-~]+$")]


class S3Settings(BaseSettings):
    """Environment variables of these names with the prefix ``VITRINE_S3_``; see ``docs/storage.md``.

    Without keys, credentials come from the environment of the AWS tools or from the role of the pod,
    container or machine.
    """

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_S3_",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # it holds the secret
    )

    endpoint: _Address | None = None
    """``https://host:port`` of a store other than AWS; buckets are then named in the path."""
    public_endpoint: _Address | None = None
    """The same store as browsers reach it, when that is another address."""
    region: _Word | None = None
    access_key: _Word | None = None
    access_key_file: Path | None = None
    """A file that holds it, as containers mount it; it is read when it is needed, as the secret key's is."""
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    sse: Literal["AES256", "aws:kms"] | None = None
    """Encryption that the store is asked for with every object; None: as the bucket is set."""
    sse_kms_key_id: _Word | None = None

    @model_validator(mode="after")
    def _complete(self) -> S3Settings:
        if self.access_key is not None and self.access_key_file is not None:
            raise both_given("VITRINE_S3_ACCESS_KEY")
        if self.secret_key is not None and self.secret_key_file is not None:
            raise both_given("VITRINE_S3_SECRET_KEY")
        named = self.access_key is not None or self.access_key_file is not None
        if named != (self.secret_key is not None or self.secret_key_file is not None):
            raise ValueError(
                "VITRINE_S3_ACCESS_KEY and VITRINE_S3_SECRET_KEY (or _FILE of either) belong together"
            )
        if self.sse_kms_key_id is not None and self.sse != "aws:kms":
            raise ValueError("VITRINE_S3_SSE_KMS_KEY_ID needs VITRINE_S3_SSE=aws:kms")
        return self

    def keys(self) -> tuple[str, str] | None:
        """Access key and secret key, wherever they are kept; None: we are given none.

        Raises:
            BlobStoreDownError: a file of theirs cannot be read, or holds something else.
        """
        try:
            access_key, secret_key = self._access_key(), self._secret_key()
        except SecretFileError as error:
            raise BlobStoreDownError(str(error)) from error
        return None if access_key is None or secret_key is None else (access_key, secret_key)

    def _access_key(self) -> str | None:
        if self.access_key_file is None:
            return self.access_key
        key = read_secret_file(self.access_key_file, "VITRINE_S3_ACCESS_KEY_FILE")
        if not re.search(_WORD, key):
            raise SecretFileError(f"VITRINE_S3_ACCESS_KEY_FILE holds no access key: {self.access_key_file}")
        return key

    def _secret_key(self) -> str | None:
        if self.secret_key_file is None:
            return self.secret_key.get_secret_value() if self.secret_key is not None else None
        return read_secret_file(self.secret_key_file, "VITRINE_S3_SECRET_KEY_FILE")

    @property
    def address(self) -> str | None:
        """Where the store is; None: at AWS."""
        return self.endpoint or from_environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

    @property
    def place(self) -> str:
        """The region that requests are signed for."""
        return self.region or from_environment("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"

    def is_addressed_by_path(self, bucket: str) -> bool:
        """Whether the bucket stands in the path: no certificate is good for a host's name with its dots."""
        return self.address is not None or "." in bucket


def from_environment(*names: str) -> str | None:
    """The first of these variables that says anything, without space around it."""
    values = (os.environ.get(name, "").strip() for name in names)
    return next((value for value in values if value), None)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object as the store lists it. ``modified``: with its time zone, to the second."""

    key: str
    size: int
    etag: str
    modified: datetime
