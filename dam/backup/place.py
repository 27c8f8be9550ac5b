"""Where backups lie, and how.

::

backups/20261123T162200Z/backup.json      written last
backups/20261123T162200Z/database.dump
backups/20261123T162200Z/blobs.jsonl.gz
backups/20261123T162200Z/running.json     while it is made
blobs/ab/cd/abcd…/original                the bytes, shared by all backups of the place
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from dam.backup.document import DOCUMENT, Document, FileFacts, is_name, read_document
from dam.backup.errors import BackupError, WrongUseError
from pipeline.ports import BlobMissingError
from pipeline.s3_settings import S3Settings
from pipeline.trees import Tree, TreeObject, Written, tree_from_url

BACKUPS = "backups"
BLOBS = "blobs"
_CHUNK = 1 << 20
# In a document of a million faults' worth there is less.
_MOST_DOCUMENT_BYTES = 64 << 20


@dataclass(frozen=True)
class Place:
    """A place of backups."""

    tree: Tree

    @property
    def url(self) -> str:
        """What names it to people."""
        return self.tree.url

    def names(self) -> list[str]:
        """All that were begun here, oldest first; one without a document is not done, or was broken off."""
        found = {found.path.split("/")[1] for found in self.tree.objects(BACKUPS)}
        return sorted(filter(is_name, found))

    def document(self, name: str) -> Document | None:
        """What a backup says of itself; None: it is not done.

        Raises:
            BackupError: it cannot be understood.
        """
        path = self.path(name, DOCUMENT)
        try:
            with self.tree.open(path) as stream:
                data = stream.read(_MOST_DOCUMENT_BYTES)
        except BlobMissingError:
            return None
        document = read_document(data, f"{self.url}/{path}")
        if document.name != name:
            raise BackupError(f"{self.url}/{path} is the document of another backup, {document.name}")
        return document

    def documents(self) -> list[Document]:
        """Every backup that is done, oldest first.

        Raises:
            BackupError: one cannot be understood.
        """
        found = (self.document(name) for name in self.names())
        return [document for document in found if document is not None]

    def find(self, name: str) -> Document:
        """The backup of that name, or the ``latest``.

        Raises:
            WrongUseError: there is none.
            BackupError: it cannot be understood.
        """
        names = self.names() if name == "latest" else [name] if is_name(name) else []
        for each in reversed(names):
            if (document := self.document(each)) is not None:
                return document
        known = ", ".join(document.name for document in self.documents()) or "none"
        raise WrongUseError(f"{self.url} has no backup “{name}”; there are: {known}")

    def fetch(self, name: str, file: str, facts: FileFacts, to: Path) -> Path:
        """One of a backup's files as a local one, which is what its document says.

        Raises:
            BackupError: it is not.
        """
        path = self.path(name, file)
        digest, size = hashlib.sha256(), 0
        try:
            with self.tree.open(path) as stream, to.open("wb") as local:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    local.write(chunk)
        except BlobMissingError:
            raise BackupError(f"{self.url}/{path} is missing") from None
        if (size, digest.hexdigest()) != (facts.size, facts.sha256):
            raise BackupError(
                f"{self.url}/{path} is not what was written: {size:,} bytes of {facts.size:,}, or others"
            )
        return to

    def put(self, name: str, file: str, stream: BinaryIO) -> Written:
        """Write one of a backup's files."""
        return self.tree.write(self.path(name, file), stream)

    def blobs(self) -> Iterator[TreeObject]:
        """The bytes that lie here, by their keys and in the order of these."""
        for found in self.tree.objects(BLOBS):
            yield TreeObject(found.path.removeprefix(f"{BLOBS}/"), found.size, found.modified)

    @staticmethod
    def path(name: str, file: str) -> str:
        """Of one of a backup's files, in the place."""
        return f"{BACKUPS}/{name}/{file}"

    @staticmethod
    def blob_path(key: str) -> str:
        """Of the bytes under a key, in the place."""
        return f"{BLOBS}/{key}"


def place_from_url(url: str, *, blob_url: str) -> Place:
    """The place of backups that a folder or ``s3://BUCKET/PREFIX`` names.

    Args:
        url: the place. Its settings are ``VITRINE_BACKUP_S3_…``, where they are not set ``VITRINE_S3_…``.
        blob_url: the catalogue's blob store, which must be elsewhere.

    Raises:
        WrongUseError: it is no place, settings contradict each other, or it is not apart from the blob store.
    """
    try:
        place = Place(tree_from_url(url, settings=place_settings() if url.startswith("s3:") else None))
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    if not _are_apart(url, blob_url):
        raise WrongUseError(
            f"{url} and the blob store, {blob_url}, are one inside the other: a backup has to lie elsewhere, "
            "best on another disk or in a bucket of another account"
        )
    return place


def store_from_url(blob_url: str) -> Tree:
    """The catalogue's blob store as a tree.

    Raises:
        WrongUseError: no place is named, or settings contradict each other.
    """
    try:
        return tree_from_url(blob_url)
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def place_settings() -> S3Settings:
    """``VITRINE_BACKUP_S3_…``, and what is not set there as ``VITRINE_S3_…`` has it.

    Keys belong together: where one of them is given, or a file of one, none of the store's is used.

    Raises:
        ValueError: they contradict each other.
    """
    own = {
        name: os.environ[variable]
        for name in S3Settings.model_fields
        if os.environ.get(variable := f"VITRINE_BACKUP_S3_{name.upper()}")
    }
    for group in (
        ("access_key", "access_key_file", "secret_key", "secret_key_file"),
        ("sse", "sse_kms_key_id"),
    ):
        if any(name in own for name in group):
            own = {**dict.fromkeys(group), **own}  # type: ignore[dict-item]  # None: not the store's
    try:
        return S3Settings(**own)  # type: ignore[arg-type]  # validated there
    except ValueError as error:
        if not own:
            raise
        raise ValueError(str(error).replace("VITRINE_S3_", "VITRINE_BACKUP_S3_")) from error


def _are_apart(url: str, blob_url: str) -> bool:
    """Whether neither place is the other one, or lies inside it."""
    if url.startswith("s3:") != blob_url.startswith("s3:"):
        return True
    if not url.startswith("s3:"):
        one, other = (Path(_folder(each)).resolve() for each in (url, blob_url))
        return not (one.is_relative_to(other) or other.is_relative_to(one))
    if place_settings().address != S3Settings().address:
        return True
    one, other = (
        Path("/", urlsplit(each).netloc, unquote(urlsplit(each).path).strip("/")) for each in (url, blob_url)
    )
    return not (one.is_relative_to(other) or other.is_relative_to(one))


def _folder(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url
