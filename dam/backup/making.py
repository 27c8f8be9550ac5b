"""A new backup: the database of one moment first, then the bytes that it names."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from dam.backup import snapshot
from dam.backup.console import Advance, Teller
from dam.backup.copying import Copy, copied, in_order
from dam.backup.database import Parameters, connected
from dam.backup.document import (
    DOCUMENT,
    DUMP,
    FORMAT,
    MANIFEST,
    MOST_FAULTS,
    Copied,
    Document,
    Fault,
    Faults,
    FileFacts,
    Options,
)
from dam.backup.errors import BackupError
from dam.backup.manifest import Entry, ManifestWriter, beside, listed, read_manifest
from dam.backup.place import Place
from dam.backup.pruning import Pruned, prune
from dam.backup.snapshot import Named, Taken, read_named
from dam.backup.turn import Turn, turn_taken
from pipeline.blobs import key_parts
from pipeline.trees import Tree, TreeObject, Written


@dataclass(frozen=True)
class Made:
    """A backup that was made, and what was removed after it."""

    document: Document
    pruned: Pruned | None = None
    not_pruned: str = ""
    """Why nothing was removed although it was asked for; empty: it was."""

    @property
    def is_fine(self) -> bool:
        """Whether nobody has to look after anything."""
        return self.document.is_whole and not self.document.faults.only_here and not self.not_pruned


@dataclass
class _Found:
    """What is counted while bytes are copied."""

    files: int = 0
    bytes: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"missing": 0, "damaged": 0, "only-here": 0})
    first: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """One more."""
        self.counts[fault.kind] += 1
        if len(self.first) < MOST_FAULTS:
            self.first.append(fault)

    def faults(self) -> Faults:
        """All of them."""
        return Faults(
            missing=self.counts["missing"],
            damaged=self.counts["damaged"],
            only_here=self.counts["only-here"],
            first=tuple(self.first),
        )


def backup_make(  # noqa: PLR0913  # what it reads, where it goes, how
    *,
    place: Place,
    store: Tree,
    parameters: Parameters,
    teller: Teller,
    renditions: bool = True,
    keep: int | None = None,
) -> Made:
    """Make a backup, while everything works on.

    Args:
        place: where to.
        store: the catalogue's blob store.
        parameters: of the catalogue's database.
        teller: is told what happens.
        renditions: whether they are copied, too; they can be made again.
        keep: so many whole backups stay, this one among them; None: all.

    Raises:
        BackupError: another backup runs there, no program can dump the database, or that failed.
        BlobStoreDownError: place or store do not do their part; what was copied stays for the next backup.
        psycopg.OperationalError: the database does not answer.
    """
    begun = datetime.now(UTC)
    with (
        turn_taken(place, begun) as (name, turn),
        tempfile.TemporaryDirectory(prefix="vitrine-backup-") as temporary,
    ):
        folder = Path(temporary)
        before = _manifest_before(place, folder, teller)
        with teller.step("Dumping the database"):
            taken = snapshot.take(parameters, folder, renditions=renditions, tell=teller.say)
        _look_at_store(store, taken)
        with teller.step("Copying the dump"), taken.dump.open("rb") as stream:
            dump = place.put(name, DUMP, stream)
        taken.dump.unlink()
        path = folder / MANIFEST
        with (
            ManifestWriter(path) as manifest,
            teller.step("Copying bytes", taken.original_bytes) as advance,
        ):
            found = _copy(place, store, taken, before, manifest, advance)
        _forget_deleted(found, parameters)
        with path.open("rb") as stream:
            written = place.put(name, MANIFEST, stream)
        document = Document(
            format=FORMAT,
            name=name,
            vitrine=version("vitrine"),
            begun=begun,
            ended=datetime.now(UTC),
            server=taken.server,
            program=taken.program.version,
            extensions=taken.extensions,
            migrations=taken.migrations,
            tables=taken.tables,
            sequences=taken.sequences,
            database=FileFacts(size=dump.size, sha256=dump.sha256),
            manifest=manifest.facts(written.size, written.sha256),
            copied=Copied(files=found.files, bytes=found.bytes),
            options=Options(renditions=renditions),
            faults=found.faults(),
        )
        place.put(name, DOCUMENT, io.BytesIO(document.model_dump_json(indent=2).encode()))
        if keep is None:
            return Made(document)
        return _pruned(place, document, keep, turn, teller)


def _copy(  # noqa: PLR0913, PLR0917  # what it reads, and where it goes
    place: Place,
    store: Tree,
    taken: Taken,
    before: Path | None,
    manifest: ManifestWriter,
    advance: Advance,
) -> _Found:
    """Copy what is named and not there, and write down what is there then."""
    named = read_named(taken.named)
    known = ((entry.key, entry) for entry in read_manifest(before)) if before is not None else ()
    things = beside(named, listed(store.objects(), store.url), listed(place.blobs(), place.url), known)
    planned = (_Planned(each, source, held, entry) for each, (source, held, entry) in things)  # type: ignore[arg-type]
    found = _Found()
    for done in in_order(lambda plan: _kept(plan, store, place), planned):
        if done.entry is not None:
            manifest.add(done.entry)
        if done.fault is not None:
            found.add(done.fault)
        if done.was_copied and done.entry is not None:
            found.files += 1
            found.bytes += done.entry.size
        advance(done.plan.named.size or 0)
    return found


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file that the database names, as the blob store, the place and the last manifest have it."""

    named: Named
    source: TreeObject | None
    held: TreeObject | None
    known: Entry | None


@dataclass(frozen=True, slots=True)
class _Done:
    plan: _Planned
    entry: Entry | None
    fault: Fault | None = None
    was_copied: bool = False


def _kept(plan: _Planned, store: Tree, place: Place) -> _Done:
    """Have the place hold a file, if there is any way."""
    key, source = plan.named.key, plan.source
    held = _held(plan)
    stamp = source.modified.isoformat() if source is not None else ""
    if held is not None and source is not None and source.size == held.size and held.modified in {"", stamp}:
        return _Done(plan, held)
    if source is None:
        wrong: Written | Fault = Fault(key=key, kind="missing")
    elif held is not None and held.is_original:
        wrong = Fault(key=key, kind="damaged", detail=f"{source.size:,} bytes in place of {held.size:,}")
    else:
        wanted = frozenset({plan.named.sha256} if plan.named.is_original else ())
        wrong = copied(Copy(key, key, place.blob_path(key), wanted), store, place.tree)
    if isinstance(wrong, Written):
        modified = "" if plan.named.is_original else stamp
        return _Done(plan, Entry(key, wrong.size, wrong.sha256, modified), was_copied=True)
    if held is not None:
        detail = f"{wrong.kind} in the blob store" + (f": {wrong.detail}" if wrong.detail else "")
        return _Done(plan, held, Fault(key=key, kind="only-here", detail=detail))
    return _Done(plan, None, wrong)


def _held(plan: _Planned) -> Entry | None:
    """What the place has, if it is known to be that file.

    An original got there only after its hash was found to be its name; what a rendition's should be is told
    by the last manifest alone.
    """
    held, named = plan.held, plan.named
    if held is None:
        return None
    if named.size is not None:
        return Entry(named.key, named.size, named.sha256) if held.size == named.size else None
    return plan.known if plan.known is not None and plan.known.size == held.size else None


def _manifest_before(place: Place, folder: Path, teller: Teller) -> Path | None:
    """The manifest of the last backup, which knows the renditions; None: all of them are copied anew."""
    for name in reversed(place.names()):
        try:
            document = place.document(name)
            if document is not None and document.options.renditions:
                return place.fetch(name, MANIFEST, document.manifest, folder / f"before-{MANIFEST}")
        except BackupError as error:
            teller.say(f"{error}; renditions are copied anew")
    return None


def _look_at_store(store: Tree, taken: Taken) -> None:
    """An unmounted disk must not turn every picture into a missing one."""
    originals = taken.tables["assets_blob"].rows
    if originals and next(iter(store.objects()), None) is None:
        raise BackupError(
            f"the database names {originals:,} originals, and the blob store, {store.url}, is empty: is its "
            "disk mounted, and does VITRINE_BLOB_URL name the right one?"
        )


def _forget_deleted(found: _Found, parameters: Parameters) -> None:
    """Who deletes a picture while it is backed up has lost nothing: take back what was said of it."""
    if not found.first:
        return
    hashes = {parts[0] for fault in found.first if (parts := key_parts(fault.key)) is not None}
    with connected(parameters) as connection:
        rows = connection.execute(
            "SELECT sha256 FROM public.assets_blob WHERE sha256 = ANY(%s)", [list(hashes)]
        )
        named = {sha256 for (sha256,) in rows}
    stays = [fault for fault in found.first if fault.key.split("/")[2] in named]
    for fault in found.first:
        found.counts[fault.kind] -= fault not in stays
    found.first = stays


def _pruned(place: Place, document: Document, keep: int, turn: Turn, teller: Teller) -> Made:
    """Remove what is older than the newest ``keep``, unless the new one lacks something."""
    if not document.is_whole:
        return Made(document, not_pruned="the new backup is not whole, so every older one stays")
    try:
        # It may have been long since.
        turn.check()
        with teller.step("Removing older backups"):
            return Made(document, prune(place, keep=keep))
    except BackupError as error:
        return Made(document, not_pruned=str(error))
