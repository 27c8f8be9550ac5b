"""Taking files from a watched source, each once, with a row that says what became of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection as AnyCollection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Max, Q

from dam.assets.importing import ImportedFile, import_stream
from dam.assets.models import Collection, SourceFile
from dam.assets.services import root_collection
from dam.assets.sources import FoundFile, Source

UNREADABLE = "unreadable"


class NoSuchCollectionError(Exception):
    """There is no collection of that name; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class SourceSums:
    """How many files of a source became what."""

    source: str
    taken: int
    same_bytes: int
    refused: int
    last: datetime


def source_sums() -> list[SourceSums]:
    """Of every source that was ever watched, by name."""
    outcome = SourceFile.Outcome
    rows = SourceFile.objects.values("source").annotate(
        taken=Count("pk", filter=Q(outcome=outcome.TAKEN)),
        same_bytes=Count("pk", filter=Q(outcome=outcome.SAME_BYTES)),
        refused=Count("pk", filter=Q(outcome=outcome.REFUSED)),
        last=Max("looked_at"),
    )
    return [SourceSums(**row) for row in rows.order_by("source")]


def fingerprints_known(*, source: Source, paths: AnyCollection[str]) -> dict[str, str]:
    """Path → fingerprint of the files that need no further look unless they changed.

    A file that could not be read is not among them: a permission may be given without changing it.
    """
    keys = {source_file_key(source.name, path): path for path in paths}
    rows = SourceFile.objects.filter(key__in=keys).exclude(reason=UNREADABLE)
    return {keys[key]: fingerprint for key, fingerprint in rows.values_list("key", "fingerprint")}


def source_file_take(
    *, source: Source, file: FoundFile, user: User, collection: Collection | None = None
) -> SourceFile | None:
    """Catalogue a file and write down what became of it, in one transaction.

    None if it is gone or was written to meanwhile: then nothing happened, and it is looked at again.

    Raises:
        DependencyDownError, OperationalError: not the file's fault; it was not looked at.
    """
    name = Path(file.path)
    try:
        # The transaction begins with its first statement, which is after the bytes are stored.
        with source.open(file.path) as stream, transaction.atomic():
            done = import_stream(name, stream, user=user, collection=collection)
            if file not in source.look(file.path):
                transaction.set_rollback(True)
                return None
            return _record(source.name, file, done)
    except FileNotFoundError:
        return None
    except OSError as error:
        refused = ImportedFile(name, reason=UNREADABLE, detail=error.strerror or str(error))
        return _record(source.name, file, refused)


def _record(source: str, file: FoundFile, done: ImportedFile) -> SourceFile:
    if done.asset is None:
        outcome = SourceFile.Outcome.REFUSED
    else:
        outcome = SourceFile.Outcome.TAKEN if done.new else SourceFile.Outcome.SAME_BYTES
    key = source_file_key(source, file.path)
    if outcome == SourceFile.Outcome.SAME_BYTES:
        # Two watches of one source: the other one was first with this file, and its row stands.
        row = SourceFile.objects.filter(key=key, fingerprint=file.fingerprint, asset=done.asset).first()
        if row is not None:
            return row
    row, _ = SourceFile.objects.update_or_create(
        key=key,
        defaults={
            "source": source,
            "path": _text(file.path),
            "fingerprint": file.fingerprint,
            "outcome": outcome,
            "reason": done.reason,
            "detail": _text(done.detail)[:500],
            "asset_id": done.asset,
        },
    )
    return row


def source_file_key(source: str, path: str) -> str:
    """What tells a file of a source from every other one."""
    return hashlib.sha256(os.fsencode(source) + b"\0" + os.fsencode(path)).hexdigest()


def collection_named(names: str) -> Collection:
    """The collection that a path of names such as ``Travel/2026`` leads to from the root.

    Raises:
        NoSuchCollectionError: it leads nowhere.
    """
    place = root_collection()
    for name in filter(None, names.split("/")):
        inner: Collection | None = Collection.objects.get_children(place).filter(name=name).first()
        if inner is None:
            raise NoSuchCollectionError(f"there is no collection “{name}” in “{place.name}”")
        place = inner
    return place


def _text(name: str) -> str:
    """Names of files may hold bytes that are no UTF-8, which no database takes; those are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
