"""What backups a place has, and whether every byte of one is what it was."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dam.backup.console import Teller
from dam.backup.copying import in_order, read
from dam.backup.document import DUMP, MANIFEST, MOST_FAULTS, Document, Fault
from dam.backup.errors import BackupError
from dam.backup.manifest import Entry, beside, later_manifests, read_manifest
from dam.backup.place import Place
from pipeline.trees import Written


@dataclass(frozen=True)
class Listed:
    """A backup of a place. Without ``document`` it is not done, or ``trouble`` says why it cannot be read."""

    name: str
    document: Document | None
    trouble: str = ""


@dataclass
class Checked:
    """What was read of a backup, and what of it is not what it was."""

    document: Document
    files: int = 0
    bytes: int = 0
    lacking: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The first of them."""

    @property
    def is_sound(self) -> bool:
        """Whether it has all that its database names, as it was."""
        return not self.lacking and self.document.is_whole


def backups_list(place: Place) -> list[Listed]:
    """All that were begun, oldest first."""
    found = []
    for name in place.names():
        try:
            found.append(Listed(name, place.document(name)))
        except BackupError as error:
            found.append(Listed(name, None, str(error)))
    return found


def backup_check(*, place: Place, name: str, teller: Teller) -> Checked:
    """Read all of a backup and compare it with what it was when it was made.

    Args:
        place: where it lies.
        name: of it, or ``latest``.
        teller: is told what happens.

    Raises:
        WrongUseError: there is no such backup.
        BackupError: its dump or its manifest is missing or is not what was written.
        BlobStoreDownError: the place does not do its part.
    """
    document = place.find(name)
    checked = Checked(document)
    with tempfile.TemporaryDirectory(prefix="vitrine-backup-") as temporary:
        folder = Path(temporary)
        with teller.step(f"Reading database and manifest of backup {document.name}"):
            place.fetch(document.name, DUMP, document.database, folder / DUMP).unlink()
            manifest = place.fetch(document.name, MANIFEST, document.manifest, folder / MANIFEST)
        checked.files, checked.bytes = 2, document.database.size + document.manifest.size
        things = beside(read_manifest(manifest), *later_manifests(place, document, folder, teller.say))

        def prove(found: tuple[Entry, tuple[Any, ...]]) -> tuple[Entry, Written | Fault]:
            entry, later = found
            proved = read(entry.key, place.blob_path(entry.key), place.tree)
            wanted = {each.sha256 for each in (entry, *later) if each is not None}
            if isinstance(proved, Written) and proved.sha256 not in wanted:
                detail = f"its bytes have the sha256 {proved.sha256}"
                return entry, Fault(key=entry.key, kind="damaged", detail=detail)
            return entry, proved

        with teller.step("Reading bytes", document.manifest.bytes) as advance:
            for entry, proved in in_order(prove, things):
                advance(entry.size)
                if isinstance(proved, Written):
                    checked.files += 1
                    checked.bytes += proved.size
                else:
                    checked.lacking += 1
                    checked.faults += [proved] if len(checked.faults) < MOST_FAULTS else []
    return checked
