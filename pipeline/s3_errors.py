"""What a store answers instead of doing its part, as sentences that say what to do about it.

They name no object and no secret, for strangers may read them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from pipeline.blobs import BlobStoreDownError
from pipeline.ports import BlobMissingError

NO_CREDENTIALS = (
    "there are no credentials for the object store: set VITRINE_S3_ACCESS_KEY and VITRINE_S3_SECRET_KEY, "
    "or what docs/storage.md names instead"
)
PROFILE = (
    "profiles of the AWS tools (AWS_PROFILE) are not read: set VITRINE_S3_ACCESS_KEY and "
    "VITRINE_S3_SECRET_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)

_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_REFUSED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
_MOVED = frozenset({"301", "307", "PermanentRedirect"})
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_ASKED = re.compile(r"Error performing [A-Z]+ (\S+)")


class S3MissingError(BlobMissingError):
    """There is no such object. Its text is the key."""


class S3KeyError(OSError):
    """There may be such an object, but obstore cannot ask for it."""

    def __init__(self) -> None:
        super().__init__(
            "a key with an empty part, with a dot for a part or with a control character cannot be read"
        )


@dataclass(frozen=True, slots=True)
class Complaints:
    """The errors of one bucket. ``where``: the address of its store, or AWS."""

    bucket: str
    where: str
    region: str

    def answer(self, code: str, message: str, key: str) -> Exception:
        """For what the store answered: the code of S3, or the status where there is none."""
        if code == "NoSuchBucket":
            return self.no_bucket()
        if code in _MISSING:
            return S3MissingError(key)
        if code in _REFUSED:
            return BlobStoreDownError(
                f"the object store refuses us in bucket “{self.bucket}” ({code}): check the credentials "
                "and what they may do there"
            )
        if code in _MOVED:
            return BlobStoreDownError(
                f"bucket “{self.bucket}” is not in region “{self.region}”: set VITRINE_S3_REGION"
            )
        return BlobStoreDownError(f"the object store failed ({code}): {message}".removesuffix(": "))

    def no_bucket(self) -> BlobStoreDownError:
        """For a store that has no such bucket."""
        return BlobStoreDownError(f"the object store has no bucket “{self.bucket}”")

    def silence(self) -> BlobStoreDownError:
        """For a store that cannot be reached or says nothing."""
        return BlobStoreDownError(f"the object store at {self.where} does not answer")

    def told(self, error: Exception, key: str) -> Exception:
        """For an error of obstore, whose text holds the answer and whose type tells little."""
        # The second part of the text repeats the first one for developers.
        text = str(error).partition("\n\nDebug source")[0]
        asked, status = _ASKED.search(text), _STATUS.search(text)
        if "token file" in text or (asked is not None and not self._is_ours(asked[1])):
            return BlobStoreDownError(NO_CREDENTIALS)
        if status is not None:
            code, message = _CODE.search(text), _MESSAGE.search(text)
            return self.answer(
                code[1] if code is not None else status[1],
                unescape(message[1]) if message is not None else "",
                key,
            )
        if "redirect" in text:  # one that does not say where to
            return self.answer("301", "", key)
        if "HTTP error" in text:
            return self.silence()
        names_something = "://" in text or (key != "" and key in text)
        return BlobStoreDownError(
            f"the object store failed: {type(error).__name__ if names_something else text}"
        )

    def _is_ours(self, address: str) -> bool:
        """Whether the bucket was asked, and not one of those that give credentials."""
        return f"/{self.bucket}" in address
