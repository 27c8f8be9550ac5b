"""What the commands found, for people and as facts for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from dam.backup.checking import Checked, Listed
from dam.backup.console import readable_size
from dam.backup.document import Document, Faults
from dam.backup.making import Made
from dam.backup.restoring import Restored

_LISTED = 20


def made_facts(made: Made) -> dict[str, Any]:
    """For JSON."""
    document = made.document
    return {
        **document_facts(document),
        "copied": document.copied.model_dump(),
        "removed": None
        if made.pruned is None
        else {"backups": made.pruned.backups, "files": made.pruned.files, "bytes": made.pruned.bytes},
        "not_removed": made.not_pruned,
    }


def made_text(made: Made) -> str:
    """For people."""
    document = made.document
    manifest = document.manifest
    held = f"{manifest.originals:,} originals, {manifest.renditions:,} renditions"
    lines = [
        f"backup {document.name}",
        f"  database    {document.rows('assets_asset'):,} assets, {readable_size(document.database.size)}",
        f"  bytes       {held}, {readable_size(manifest.bytes)}",
        f"  new in it   {document.copied.files:,} files, {readable_size(document.copied.bytes)}",
    ]
    if made.pruned is not None and (made.pruned.backups or made.pruned.files):
        names = ", ".join(made.pruned.backups) or "no backup"
        lines.append(
            f"  removed     {names}; {made.pruned.files:,} files, {readable_size(made.pruned.bytes)}"
        )
    if made.not_pruned:
        lines.append(f"nothing older was removed: {made.not_pruned}")
    return "\n".join([*lines, *faults_lines(document.faults)])


def document_facts(document: Document) -> dict[str, Any]:
    """A backup, for JSON."""
    return {
        "name": document.name,
        "vitrine": document.vitrine,
        "begun": document.begun.isoformat(),
        "ended": document.ended.isoformat(),
        "whole": document.is_whole,
        "assets": document.rows("assets_asset"),
        "database_bytes": document.database.size,
        "originals": document.manifest.originals,
        "renditions": document.manifest.renditions,
        "bytes": document.manifest.bytes,
        "with_renditions": document.options.renditions,
        "faults": document.faults.model_dump(),
    }


def faults_lines(faults: Faults) -> list[str]:
    """What is wrong, a line for each of the first."""
    counted = (
        (faults.missing, "that the database names are missing"),
        (faults.damaged, "are damaged, and were not copied"),
        (faults.only_here, "are lost or damaged in the blob store; this place has them"),
    )
    lines = [f"{count:,} files {words}" for count, words in counted if count]
    lines += [
        f"  {fault.kind:<9}  {fault.key}" + (f": {fault.detail}" if fault.detail else "")
        for fault in faults.first[:_LISTED]
    ]
    if (left := faults.missing + faults.damaged + faults.only_here - len(faults.first[:_LISTED])) > 0:
        lines.append(f"  and {left:,} more, in backup.json")
    return lines


def restored_facts(restored: Restored) -> dict[str, Any]:
    """For JSON."""
    return {
        "name": restored.document.name,
        "assets": restored.document.rows("assets_asset"),
        "copied": {"files": restored.copied_files, "bytes": restored.copied_bytes},
        "kept": restored.kept_files,
        "queued_again": restored.queued_again,
        "tries_forgotten": restored.tries_forgotten,
        "migrated": restored.migrated,
        "renditions_forgotten": restored.renditions_forgotten,
        "missing": restored.missing,
        "faults": [fault.model_dump() for fault in restored.faults],
    }


def restored_text(restored: Restored) -> str:
    """For people."""
    document = restored.document
    copied = f"{restored.copied_files:,} files copied, {readable_size(restored.copied_bytes)}"
    when = f"{document.begun:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"backup {document.name} is restored",
        f"  database    {document.rows('assets_asset'):,} assets, as they were {when}",
        f"  bytes       {copied}; {restored.kept_files:,} were there",
        f"  jobs        {restored.queued_again:,} are asked for again",
    ]
    if restored.migrated:
        lines.append(f"  tables      brought up to date by {len(restored.migrated)} migrations")
    if count := restored.renditions_forgotten:
        lines.append(f"{count:,} pictures have no renditions: once everything runs, `vitrine retag --again`")
    if count := restored.missing:
        lines.append(f"{count:,} originals are missing: upload the same files again, and they are whole")
    lines += [f"  {fault.kind:<9}  {fault.key}" for fault in restored.faults[:_LISTED]]
    lines.append("Sweeps of unnamed bytes rest for a week. Start everything, then look: `vitrine doctor`")
    return "\n".join(lines)


def listed_facts(listed: Sequence[Listed], checked: Checked | None) -> dict[str, Any]:
    """For JSON."""
    return {
        "backups": [
            {"name": each.name, "done": each.document is not None, "trouble": each.trouble}
            | (document_facts(each.document) if each.document is not None else {})
            for each in listed
        ],
        "checked": None
        if checked is None
        else {
            "name": checked.document.name,
            "files": checked.files,
            "bytes": checked.bytes,
            "sound": checked.is_sound,
            "lacking": checked.lacking,
            "faults": [fault.model_dump() for fault in checked.faults],
        },
    }


def listed_text(listed: Sequence[Listed], checked: Checked | None) -> str:
    """For people."""
    console = Console(width=120, force_terminal=False, highlight=False)
    with console.capture() as captured:
        table = Table()
        for title in ("backup", "Vitrine", "assets", "originals", "renditions", "bytes", "is"):
            right = title in {"assets", "originals", "renditions", "bytes"}
            table.add_column(title, justify="right" if right else "left", overflow="fold")
        for each in listed:
            table.add_row(each.name, *_row(each))
        console.print(table)
    lines = [captured.get().rstrip("\n")]
    if checked is not None:
        read = f"{checked.files:,} files, {readable_size(checked.bytes)}, read and compared"
        verdict = "sound" if checked.is_sound else f"not sound: {checked.lacking:,} are missing or damaged"
        lines.append(f"backup {checked.document.name} is {verdict} ({read})")
        lines += [f"  {fault.kind:<9}  {fault.key}" for fault in checked.faults[:_LISTED]]
    return "\n".join(lines)


def _row(listed: Listed) -> list[str]:
    document = listed.document
    if document is None:
        return ["", "", "", "", "", listed.trouble or "not done: under way, or broken off"]
    lacking = document.faults.lacking
    return [
        document.vitrine,
        f"{document.rows('assets_asset'):,}",
        f"{document.manifest.originals:,}",
        f"{document.manifest.renditions:,}" if document.options.renditions else "–",
        readable_size(document.manifest.bytes + document.database.size),
        "whole" if document.is_whole else f"without {lacking:,} files",
    ]
