"""Importing folders: every file gets an outcome, and no file stops the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.assets.services import asset_create
from pipeline.preprocess import RefusedPictureError


class Outcome(StrEnum):
    """What became of a file; for a new asset its state."""

    PENDING = "pending"
    TAGGED = "tagged"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


NEW = (Outcome.PENDING, Outcome.TAGGED, Outcome.FAILED)


@dataclass(slots=True)
class ImportedFile:
    """What became of one file."""

    path: Path
    outcome: Outcome
    asset: int | None = None
    reason: str = ""
    detail: str = ""


@dataclass(slots=True)
class Import:
    """What became of all files so far."""

    files: list[ImportedFile] = field(default_factory=list)

    def asset_ids(self) -> set[int]:
        """Assets that hold the files' bytes, the ones from before included."""
        return {file.asset for file in self.files if file.asset is not None}

    def counts(self) -> dict[str, int]:
        """``new`` is ``tagged + failed + pending``; every file is new, duplicate or refused."""
        by_outcome = Counter(file.outcome for file in self.files)
        return {
            "new": sum(by_outcome[outcome] for outcome in NEW),
            **{outcome.value: by_outcome[outcome] for outcome in Outcome},
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.counts(),
            "files": [
                {
                    "path": str(file.path),
                    "outcome": file.outcome,
                    "asset": file.asset,
                    "reason": file.reason,
                    "detail": file.detail,
                }
                for file in self.files
            ],
        }


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and all files below the folders named, in the order of their names.

    Hidden files and folders are left out, unless they are named themselves. Links are followed, but no
    folder is read twice, so that circles end; what is neither file nor folder (a pipe) is left out.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path.is_dir():
            yield from _files_in(path, seen)
        else:
            yield path


def _files_in(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    stat = folder.stat()
    if (stat.st_dev, stat.st_ino) in seen:
        return
    seen.add((stat.st_dev, stat.st_ino))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        # Said as the outcome of the folder itself: what lies in it cannot be named.
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        # Path's questions answer no where a link leads to itself, instead of raising.
        if path.is_dir():
            yield from _files_in(path, seen)
        elif path.is_file() or entry.is_symlink():  # a link that leads nowhere is told as unreadable
            yield path


def import_file(path: Path, *, user: User) -> ImportedFile:
    """Catalogue one file, whatever it is.

    Raises:
        DependencyDownError, OperationalError: not the file's fault; it was not looked at.
    """
    try:
        with path.open("rb") as stream:
            upload = asset_create(stream=stream, filename=path.name, user=user, bulk=True)
    except RefusedPictureError as error:
        return ImportedFile(path, Outcome.REFUSED, reason=error.reason.value, detail=error.message)
    except OSError as error:
        return ImportedFile(path, Outcome.REFUSED, reason="unreadable", detail=error.strerror or str(error))
    outcome = Outcome.PENDING if upload.created else Outcome.DUPLICATE
    return ImportedFile(path, outcome, asset=upload.asset.pk)


def pending_among(asset_ids: Collection[int]) -> set[int]:
    """Which of these assets still wait for their tags. Reads pending assets only, however many are given."""
    if not asset_ids:
        return set()
    waiting = Asset.objects.filter(state=Asset.State.PENDING, pk__gte=min(asset_ids), pk__lte=max(asset_ids))
    return set(waiting.values_list("pk", flat=True)) & set(asset_ids)


def refresh_outcomes(done: Import) -> None:
    """Take the new assets' states as they are now."""
    new = [file for file in done.files if file.outcome in NEW and file.asset is not None]
    for start in range(0, len(new), 1000):
        part = new[start : start + 1000]
        rows = Asset.objects.filter(pk__in=[file.asset for file in part])
        facts = {row["pk"]: row for row in rows.values("pk", "state", "reason", "detail")}
        for file in part:
            row = facts.get(file.asset or 0)
            if row is not None:
                file.outcome, file.reason, file.detail = Outcome(row["state"]), row["reason"], row["detail"]
