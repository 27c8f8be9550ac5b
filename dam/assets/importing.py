"""Importing folders: every file gets an outcome, and no file stops the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection as AnyCollection
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.contrib.auth.models import User

from dam.assets.models import Asset, Collection
from dam.assets.services import asset_create
from pipeline.preprocess import RefusedPictureError


@dataclass(slots=True)
class ImportedFile:
    """What became of one file. Without an asset it was refused."""

    path: Path
    asset: int | None = None
    new: bool = False
    state: str = ""
    """Of the asset."""
    reason: str = ""
    detail: str = ""

    @property
    def outcome(self) -> str:
        """The one word that people want to know: a failure is told of a duplicate too."""
        if self.asset is None:
            return "refused"
        return self.state if self.new or self.state == Asset.State.FAILED else "duplicate"


@dataclass(slots=True)
class Import:
    """What became of all files so far."""

    request_id: str = ""
    """In the log lines of every process that works on its files."""
    files: list[ImportedFile] = field(default_factory=list)

    def asset_ids(self) -> set[int]:
        """Assets that hold the files' bytes, the ones from before included."""
        return {file.asset for file in self.files if file.asset is not None}

    def counts(self) -> dict[str, int]:
        """Of files. Each is new, duplicate or refused; unless refused, also tagged, failed or pending."""
        states = Counter(file.state for file in self.files)
        new = sum(file.new for file in self.files)
        refused = sum(file.asset is None for file in self.files)
        return {
            "new": new,
            "duplicate": len(self.files) - new - refused,
            "tagged": states[Asset.State.TAGGED],
            "failed": states[Asset.State.FAILED],
            "refused": refused,
            "pending": states[Asset.State.PENDING],
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.counts(),
            "request_id": self.request_id,
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


def import_file(path: Path, *, user: User, collection: Collection | None = None) -> ImportedFile:
    """Catalogue one file, whatever it is, in a collection; None: in the root.

    Raises:
        Collection.DoesNotExist, NotAllowedError: the user may put nothing there.
        DependencyDownError, OperationalError: not the file's fault; it was not looked at.
    """
    try:
        with path.open("rb") as stream:
            return import_stream(path, stream, user=user, collection=collection)
    except OSError as error:
        return ImportedFile(path, reason="unreadable", detail=error.strerror or str(error))


def import_stream(
    path: Path, stream: BinaryIO, *, user: User, collection: Collection | None = None
) -> ImportedFile:
    """Catalogue what a seekable stream holds under the name of ``path``; raises what the stream does.

    Raises:
        Collection.DoesNotExist, NotAllowedError: the user may put nothing there.
        DependencyDownError, OperationalError: not the file's fault; it was not looked at.
    """
    try:
        upload = asset_create(
            stream=stream, filename=path.name, user=user, collection=collection, bulk=True, revive=False
        )
    except RefusedPictureError as error:
        return ImportedFile(path, reason=error.reason.value, detail=error.message)
    return ImportedFile(path, asset=upload.asset.pk, new=upload.created, state=upload.asset.state)


def pending_among(asset_ids: AnyCollection[int]) -> set[int]:
    """Which of these assets still wait for their tags. Reads pending assets only, however many are given."""
    if not asset_ids:
        return set()
    waiting = Asset.objects.filter(state=Asset.State.PENDING, pk__gte=min(asset_ids), pk__lte=max(asset_ids))
    return set(waiting.values_list("pk", flat=True)) & set(asset_ids)


def states_refresh(done: Import) -> None:
    """Take the states of the assets as they are now."""
    held = [file for file in done.files if file.asset is not None]
    for start in range(0, len(held), 1000):
        part = held[start : start + 1000]
        rows = Asset.objects.filter(pk__in={file.asset for file in part})
        facts = {row["pk"]: row for row in rows.values("pk", "state", "reason", "detail")}
        for file in part:
            row = facts.get(file.asset or 0)
            if row is not None:
                file.state, file.reason, file.detail = row["state"], row["reason"], row["detail"]
