"""Back from a backup: bytes first, then the database in one transaction, compared, and made ready to go on.

Bytes that nothing names do no harm, names without bytes do: so whoever looks in between finds an empty
database. Everything can be run again after an interruption, and goes on where it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dam.backup import filling
from dam.backup.console import Teller
from dam.backup.copying import Copy, copied, in_order
from dam.backup.database import Parameters, connected
from dam.backup.document import DUMP, MANIFEST, MOST_FAULTS, Document, Fault
from dam.backup.errors import BackupError
from dam.backup.manifest import Entry, beside, later_manifests, listed, read_manifest
from dam.backup.place import Place
from dam.backup.snapshot import named_now
from pipeline.blobs import key_parts
from pipeline.trees import Tree, Written

_BATCH = 1_000
# So few that the pictures are to be restored with the others, and looked for afterwards; as the sweep has it.
_MOST_LACKING = 100
_MOST_LACKING_SHARE = 0.1


@dataclass
class Restored:
    """What a restore did, and what it could not."""

    document: Document
    copied_files: int = 0
    copied_bytes: int = 0
    kept_files: int = 0
    """That lay in the blob store already."""
    queued_again: int = 0
    """Jobs that were in a broker's hands."""
    tries_forgotten: int = 0
    migrated: list[str] = field(default_factory=list)
    """Migrations that the backup's database had not."""
    renditions_forgotten: int = 0
    """Pictures whose renditions have to be made again."""
    missing: int = 0
    """Originals that the restored database names and the blob store has not got."""
    faults: list[Fault] = field(default_factory=list)
    """The first of what could not be brought back."""

    @property
    def is_fine(self) -> bool:
        """Whether everything is as the backup was meant to have it."""
        unexpected = self.renditions_forgotten if self.document.options.renditions else 0
        return not self.missing and not unexpected


def restore(  # noqa: PLR0913  # from where, to where, how
    *,
    place: Place,
    name: str,
    store: Tree,
    parameters: Parameters,
    teller: Teller,
    migrate: Callable[[], None],
    incomplete: bool = False,
) -> Restored:
    """Restore a backup into an empty database and beside whatever lies in the blob store.

    Args:
        place: where the backup lies.
        name: of the backup, or ``latest``.
        store: the catalogue's blob store.
        parameters: of the catalogue's database.
        teller: is told what happens.
        migrate: brings the restored database to this code's tables.
        incomplete: go on however many originals the backup turns out to lack.

    Raises:
        WrongUseError: there is no such backup.
        BackupError: database, code, server or backup do not fit; what was said then was found before the
            database was touched, unless it says otherwise.
        BlobStoreDownError: place or store do not do their part; run it again.
        psycopg.OperationalError: the database does not answer; run it again.
    """
    document = place.find(name)
    restored = Restored(document)
    filling.code_fits(document)
    with (
        connected(parameters) as connection,
        tempfile.TemporaryDirectory(prefix="vitrine-restore-") as temporary,
    ):
        program = filling.restore_program(connection, document)
        filling.others_at_work(connection)
        step = filling.step_of(connection, document)
        filling.extensions_ready(connection)
        teller.say(_beginning(document, step))
        folder = Path(temporary)
        with teller.step("Fetching database and manifest"):
            manifest = place.fetch(document.name, MANIFEST, document.manifest, folder / MANIFEST)
            dump = place.fetch(document.name, DUMP, document.database, folder / DUMP)
        _bring_bytes(restored, place, store, manifest, folder, teller)
        _look_whether_enough(restored, incomplete=incomplete)
        if step != "prepared":
            if step is None:
                filling.begin(connection, document)
            with teller.step("Filling the database"):
                filling.fill(connection, program, dump, parameters)
            with teller.step("Comparing it with the backup"):
                _compare(connection, document)
            done = filling.prepare(connection)
            restored.queued_again, restored.tries_forgotten = done["queued_again"], done["tries_forgotten"]
        dump.unlink()
        restored.migrated = filling.pending_migrations(connection)
        if restored.migrated:
            with teller.step("Bringing its tables up to date"):
                migrate()
        with teller.step("Comparing database and blob store"):
            _look_at_bytes(restored, connection, store)
        filling.end(connection)
    return restored


def _beginning(document: Document, step: filling.Step | None) -> str:
    words = f"backup {document.name} of Vitrine {document.vitrine}: {document.rows('assets_asset'):,} assets"
    return f"{words}, going on with a restore that was begun" if step is not None else words


def _bring_bytes(  # noqa: PLR0913, PLR0917  # from where, to where
    restored: Restored, place: Place, store: Tree, manifest: Path, folder: Path, teller: Teller
) -> None:
    """Copy what the manifest names and the blob store has not got."""
    document = restored.document
    later = list(later_manifests(place, document, folder, teller.say))
    things = beside(read_manifest(manifest), listed(store.objects(), store.url), *later)
    with teller.step("Copying bytes", document.manifest.bytes) as advance:

        def bring(found: tuple[Entry, tuple[Any, ...]]) -> tuple[Entry, Written | Fault | None]:
            entry, (held, *after) = found
            if held is not None and held.size == entry.size:
                return entry, None
            wanted = frozenset({entry.sha256, *(each.sha256 for each in after if each is not None)})
            copy = Copy(entry.key, place.blob_path(entry.key), entry.key, wanted)
            return entry, copied(copy, place.tree, store)

        for entry, done in in_order(bring, things):
            advance(entry.size)
            if done is None:
                restored.kept_files += 1
            elif isinstance(done, Written):
                restored.copied_files += 1
                restored.copied_bytes += done.size
            else:
                _add(restored, done)


def _add(restored: Restored, fault: Fault) -> None:
    if fault.is_original:
        restored.missing += 1
    if len(restored.faults) < MOST_FAULTS:
        restored.faults.append(fault)


def _look_whether_enough(restored: Restored, *, incomplete: bool) -> None:
    """A few lost pictures are no reason to go without the others; many mean that this is a wrong place."""
    originals = restored.document.manifest.originals
    if incomplete or restored.missing <= max(_MOST_LACKING, _MOST_LACKING_SHARE * originals):
        return
    first = restored.faults[0].key
    raise BackupError(
        f"{restored.missing:,} of {originals:,} originals are missing or damaged in the backup, as {first}; "
        "the database was not touched. Was all of the place copied? With `--incomplete` the restore goes "
        "on without them"
    )


def _compare(connection: psycopg.Connection[Any], document: Document) -> None:
    if found := filling.differences(connection, document):
        raise BackupError(
            "the restored database is not that of the backup, so nothing more was done with it: "
            + "; ".join(found)
            + ". Begin again with an empty database; if it stays so, restore another backup"
        )


def _look_at_bytes(restored: Restored, connection: psycopg.Connection[Any], store: Tree) -> None:
    """Count originals without bytes; renditions without are not named any more, so that pages know it."""
    restored.missing = 0
    restored.faults = [fault for fault in restored.faults if fault.is_original]
    known = {fault.key for fault in restored.faults}
    lacking: set[str] = set()
    with connection.transaction():
        for named, (held,) in beside(named_now(connection), listed(store.objects(), store.url)):
            if held is not None and (named.size is None or held.size == named.size):
                continue
            if not named.is_original:
                lacking.add(_hash_of(named.key))
                if len(lacking) >= _BATCH:
                    restored.renditions_forgotten += _forget_renditions(connection, lacking)
            else:
                restored.missing += 1
                if named.key not in known and len(restored.faults) < MOST_FAULTS:
                    restored.faults.append(Fault(key=named.key, kind="missing"))
        restored.renditions_forgotten += _forget_renditions(connection, lacking)


def _forget_renditions(connection: psycopg.Connection[Any], hashes: set[str]) -> int:
    count = connection.execute(_FORGET_RENDITIONS, [list(hashes)]).rowcount
    hashes.clear()
    return count


def _hash_of(key: str) -> str:
    parts = key_parts(key)
    assert parts is not None, "named_now gives keys"
    return parts[0]


_FORGET_RENDITIONS = """
UPDATE public.assets_assetversion AS version SET renditions = '{}'
FROM public.assets_blob AS blob WHERE version.blob_id = blob.id AND blob.sha256 = ANY(%s)
AND version.renditions <> '{}'
"""
