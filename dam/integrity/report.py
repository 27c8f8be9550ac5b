"""What a comparison of database and blob store found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

MOST_ASSETS = 10
"""Of the pictures that one file is of, so many are named."""


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    MISMATCHED = "mismatched"
    ORPHANED = "orphaned"


class Subject(StrEnum):
    """What it is wrong with. ``foreign``: a file whose name the catalogue gives to nothing."""

    ORIGINAL = "original"
    RENDITION = "rendition"
    FOREIGN = "foreign"


class Outcome(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    WRONG_STORE = "wrong-store"


Fault = tuple[Kind, Subject]

FAULTS: Mapping[Fault, str] = {
    (Kind.MISSING, Subject.ORIGINAL): "missing originals",
    (Kind.MISMATCHED, Subject.ORIGINAL): "originals that are not what they were",
    (Kind.MISSING, Subject.RENDITION): "missing renditions",
    (Kind.MISMATCHED, Subject.RENDITION): "empty renditions",
    (Kind.ORPHANED, Subject.ORIGINAL): "originals that nothing names",
    (Kind.ORPHANED, Subject.RENDITION): "renditions that nothing names",
    (Kind.ORPHANED, Subject.FOREIGN): "files that are no part of a library",
}
"""All there are, the worst first, in words."""

DAMAGE: tuple[Fault, ...] = ((Kind.MISSING, Subject.ORIGINAL), (Kind.MISMATCHED, Subject.ORIGINAL))
"""What cannot be made again from what is there."""

MEND: Mapping[Fault, str] = {
    (Kind.MISSING, Subject.ORIGINAL): (
        "Upload the same file again: it takes its old place, and the picture keeps its tags and decisions. "
        "Or copy it from a backup under the path that is named."
    ),
    (Kind.MISMATCHED, Subject.ORIGINAL): (
        "Look at the disk first: what changed one file changes others. Move the file away, then upload the "
        "same picture again, or copy it from a backup under the path that is named."
    ),
    (Kind.MISSING, Subject.RENDITION): (
        "They can be made again: vitrine retag --again, for single pictures with --query."
    ),
    (Kind.MISMATCHED, Subject.RENDITION): (
        "They can be made again: vitrine retag --again, for single pictures with --query."
    ),
    (Kind.ORPHANED, Subject.ORIGINAL): (
        "The relay deletes them by its daily round, and `vitrine reconcile` now; `--dry-run` only counts. "
        "After a restore read docs/operations.md first."
    ),
    (Kind.ORPHANED, Subject.RENDITION): (
        "They take room and do no harm. Beside an original that nothing names they go with it; others may "
        "be deleted by hand."
    ),
    (Kind.ORPHANED, Subject.FOREIGN): (
        "Vitrine neither reads nor deletes them: look what they are, and move them out of its store."
    ),
}
"""What a person does about it."""


@dataclass(frozen=True, slots=True)
class NamedAsset:
    """A picture, as people know it."""

    id: int
    filename: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that is not as it should be.

    Args:
        kind: what is wrong.
        subject: what with.
        path: below the store's place.
        size: bytes: of what is missing or mismatched as the database has it, of an orphan as it lies there;
            0 where nobody knows, which is so of a missing rendition.
        detail: a few words more; empty if there is nothing to add.
        assets: pictures that it is a file of, the first :data:`MOST_ASSETS`.
    """

    kind: Kind
    subject: Subject
    path: str
    size: int
    detail: str = ""
    assets: tuple[NamedAsset, ...] = ()

    @property
    def fault(self) -> Fault:
        """What is wrong, and with what."""
        return self.kind, self.subject


@dataclass(slots=True)
class Tally:
    """A number of files, and their bytes together."""

    count: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """One more."""
        self.count += 1
        self.size += size


@dataclass(slots=True)
class Report:
    """What was compared and what was found, so far or in the end.

    ``findings`` holds up to ``limit`` of each fault; ``tallies`` counts them all.
    """

    store: str
    checksums: str
    begun_at: datetime
    limit: int
    ended_at: datetime | None = None
    outcome: Outcome = Outcome.RUNNING
    trouble: str = ""
    """Why it did not come to its end, or could not."""
    run_id: int | None = None

    expected: int = 0
    """Originals that the database named when the run began."""
    originals: Tally = field(default_factory=Tally)
    """Originals that were looked for, with their bytes as the database has them."""
    renditions: int = 0
    """Renditions that were looked for."""
    listed: Tally = field(default_factory=Tally)
    """Objects that the store listed."""
    read: Tally = field(default_factory=Tally)
    """Originals whose bytes were read."""
    read_from: str = ""
    """The originals after this sha256 were to be read …"""
    read_until: str = ""
    """… and were, up to this one; empty: to the end."""
    tallies: dict[Fault, Tally] = field(default_factory=lambda: {fault: Tally() for fault in FAULTS})
    findings: list[Finding] = field(default_factory=list)

    @property
    def damaged(self) -> int:
        """Originals that are missing or not what they were."""
        return sum(self.tallies[fault].count for fault in DAMAGE)

    @property
    def is_sound(self) -> bool:
        """It came to its end, and no original is missing or harmed."""
        return self.outcome is Outcome.DONE and not self.damaged

    def add(self, finding: Finding) -> None:
        """One more finding: it is counted, and kept if there is room."""
        tally = self.tallies[finding.fault]
        tally.add(finding.size)
        if tally.count <= self.limit:
            self.findings.append(finding)

    def worst_first(self) -> list[Finding]:
        """The findings that were kept, by fault and path."""
        order = {fault: number for number, fault in enumerate(FAULTS)}
        return sorted(self.findings, key=lambda found: (order[found.fault], found.path))

    def as_dict(self, *, limit: int | None = None) -> dict[str, Any]:
        """For JSON. Sizes are in bytes, times in ISO 8601; ``limit``: so many findings of each fault."""
        told = Counter[Fault]()
        findings = []
        for found in self.worst_first():
            told[found.fault] += 1
            if limit is None or told[found.fault] <= limit:
                findings.append(found)
        return {
            "run": self.run_id,
            "store": self.store,
            "checksums": self.checksums,
            "outcome": self.outcome.value,
            "trouble": self.trouble,
            "begun_at": self.begun_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "is_sound": self.is_sound,
            "damaged": self.damaged,
            "originals": {"count": self.originals.count, "bytes": self.originals.size},
            "renditions": {"count": self.renditions},
            "listed": {"count": self.listed.count, "bytes": self.listed.size},
            "read": {"count": self.read.count, "bytes": self.read.size},
            "faults": [
                {"kind": kind.value, "of": subject.value, "count": tally.count, "bytes": tally.size}
                for (kind, subject), tally in self.tallies.items()
            ],
            "findings": [
                {
                    "kind": found.kind.value,
                    "of": found.subject.value,
                    "path": readable(found.path),
                    "bytes": found.size,
                    "detail": found.detail,
                    "assets": [{"id": asset.id, "filename": asset.filename} for asset in found.assets],
                    "mend": MEND[found.fault],
                }
                for found in findings
            ],
        }


def readable(path: str) -> str:
    """A path whose bytes are no UTF-8 is shown escaped."""
    return path.encode("utf-8", "backslashreplace").decode()
