"""``backup.json``: what one backup is of. It is written last, so what has none does not count."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dam.backup.errors import BackupError

FORMAT = 1
DOCUMENT = "backup.json"
DUMP = "database.dump"
MANIFEST = "blobs.jsonl.gz"

MOST_FAULTS = 1_000
"""So many are named one by one; all are counted."""

_NAME = "%Y%m%dT%H%M%SZ"
_NAME_PATTERN = re.compile(r"\d{8}T\d{6}Z")

FaultKind = Literal["missing", "damaged", "only-here"]
"""``missing``: in no place. ``damaged``: its bytes are others than its name says, or cannot be read.
``only-here``: the blob store has lost or harmed it, and the backup has it."""


class _Part(BaseModel):
    # Fields are only ever added, so what a later version says beside is no error.
    model_config = ConfigDict(extra="ignore", frozen=True)


class FileFacts(_Part):
    """A file of the backup."""

    size: int
    sha256: str


class TableFacts(_Part):
    """The rows of a table, and a digest of them that is the same in whatever order they lie."""

    rows: int
    digest: str


class SequenceFacts(_Part):
    """What a sequence stood at while the dump was made: it moves on for everybody at once."""

    least: int
    most: int


class ManifestFacts(FileFacts):
    """The manifest, and what it names."""

    originals: int
    renditions: int
    bytes: int


class Fault(_Part):
    """One file that is not as it should be."""

    key: str
    kind: FaultKind
    detail: str = ""

    @property
    def is_original(self) -> bool:
        """Whether it is what somebody uploaded; a rendition can be made again."""
        return self.key.endswith("/original")


class Faults(_Part):
    """All that was found, counted, and the first of them by name."""

    missing: int = 0
    damaged: int = 0
    only_here: int = 0
    first: tuple[Fault, ...] = ()

    @property
    def lacking(self) -> int:
        """Files that the database names and the backup has not got."""
        return self.missing + self.damaged


class Options(_Part):
    """How it was asked for."""

    renditions: bool = True


class Copied(_Part):
    """What this backup added to its place."""

    files: int
    bytes: int


class Document(_Part):
    """One backup."""

    format: int
    name: str
    vitrine: str
    begun: datetime
    ended: datetime
    server: str
    """PostgreSQL's version."""
    program: str
    """That of the ``pg_dump`` which wrote the dump."""
    extensions: dict[str, str]
    migrations: dict[str, tuple[str, ...]]
    """Those applied, by app."""
    tables: dict[str, TableFacts]
    sequences: dict[str, SequenceFacts]
    database: FileFacts
    manifest: ManifestFacts
    copied: Copied
    options: Options
    faults: Faults

    @property
    def is_whole(self) -> bool:
        """Whether it has everything that its database names."""
        return not self.faults.lacking

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return self.tables[table].rows if table in self.tables else 0


def name_at(moment: datetime) -> str:
    """The name of a backup that begins then."""
    return moment.astimezone(UTC).strftime(_NAME)


def is_name(text: str) -> bool:
    """Whether a backup may be called so."""
    return _NAME_PATTERN.fullmatch(text) is not None


def read_document(data: bytes, where: str) -> Document:
    """A backup's document from its bytes.

    Raises:
        BackupError: it is none, or of a later format.
    """
    try:
        document = Document.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = ".".join(str(part) for part in first["loc"])
        raise BackupError(f"{where} is no document of a backup: {what} {first['msg']}".strip()) from None
    if document.format > FORMAT:
        raise BackupError(
            f"{where} is of format {document.format}, made by Vitrine {document.vitrine}; this one knows "
            f"format {FORMAT}: use that version, or a later one"
        )
    return document
