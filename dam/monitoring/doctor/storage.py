"""Where bytes go: the home, the blob store, the disks below them."""

from __future__ import annotations

import io
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.template.defaultfilters import filesizeformat

from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, skipped, warning
from dam.monitoring.limits import room
from dam.monitoring.places import places
from pipeline.blobs import blob_store_from_url
from pipeline.ports import BlobMissingError, DependencyDownError
from pipeline.secret_files import secret_source

_PROBE = b"A probe of `vitrine doctor`, to be deleted. "
_LEAST_FILES_SHARE = 0.02


def home() -> Finding:
    """A folder that we may write and others may not."""
    path = Path(settings.VITRINE_HOME)
    if _lies_elsewhere(path):
        return skipped(f"nothing is kept in {path}: key, database and blobs lie elsewhere")
    if not path.is_dir():
        return failure(f"{path} is no folder", mend=f"`mkdir -p {path}`, or set VITRINE_HOME to another.")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return failure(
            f"{path} may not be written by user {_user()}", mend=f"`chown -R {_user()} {path}`, as root."
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return warning(
            f"{path} may be written by others (mode {mode:o}): they can replace keys and pictures",
            mend=f"`chmod go-w {path}`",
        )
    if mode & stat.S_IROTH and mode & stat.S_IXOTH and _others_reach(path):
        return warning(
            f"{path} may be read by every account of this machine (mode {mode:o})",
            mend=f"`chmod o-rwx {path}`, unless nobody else has an account here.",
        )
    return ok(f"{path}, mode {mode:o}")


def _lies_elsewhere(home: Path) -> bool:
    """Whether all that is kept has another place, as in a container: then the home may be missing."""
    blobs = places().get("blobs")
    return (
        bool(secret_source("VITRINE_SECRET_KEY"))
        and bool(secret_source("DATABASE_URL"))
        and (blobs is None or not blobs.is_relative_to(home))
    )


def secret_key_file() -> Finding:
    """Nobody but us can read it."""
    path = Path(settings.VITRINE_HOME) / "secret_key"
    if source := secret_source("VITRINE_SECRET_KEY"):
        return skipped(f"the key comes from {source}")
    if not path.exists():
        return skipped("there is no such file")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return failure(
            f"{path} may be read by others (mode {mode:o}): they can make anybody's session",
            mend=f"`chmod 600 {path}`; if anybody may have read it, delete it and restart the web process.",
        )
    return ok(f"mode {mode:o}")


def blob_store() -> Finding:
    """A probe is written, read and deleted."""
    folder = places().get("blobs")
    if folder is not None and not (folder / "incoming").is_dir():
        # Opened, it would be made, be it a misspelt name or a disk that is not mounted.
        return failure(
            f"there is no blob store in {folder}",
            mend="Mount the disk, or mend VITRINE_BLOB_URL; the first start of Vitrine makes a new store.",
        )
    content = _PROBE + secrets.token_bytes(16)
    try:
        store = blob_store_from_url(settings.BLOB_URL)
        stored = store.put(io.BytesIO(content))
        try:
            same = store.read(stored.key) == content
        finally:
            store.delete(stored.key)
    except (DependencyDownError, BlobMissingError, ValueError) as error:
        return failure(
            str(error).strip().splitlines()[-1],
            mend=f"See that the folder is mounted and that user {_user()} may write to it: `ls -ld {folder}`."
            if folder
            else "Mend VITRINE_BLOB_URL and VITRINE_S3_…, or the policy of the bucket: it has to let us put, "
            "get and delete (docs/storage.md).",
        )
    if not same:
        return failure(
            "it gave back other bytes than it was given",
            mend="Stop uploads and look at the disk or the store: nothing that it says can be trusted.",
        )
    return ok(f"written, read and deleted in {folder or settings.BLOB_URL}")


def disks() -> list[Finding]:
    """Room for what is to come, one line for each file system."""
    by_device: dict[int, list[tuple[str, Path]]] = {}
    found = []
    for place, path in _places():
        try:
            by_device.setdefault(path.stat().st_dev, []).append((place, path))
        except OSError as error:
            found.append(
                failure(
                    f"{path}: {error.strerror}", mend="Make the folder, or mend the setting that names it."
                ).of(place)
            )
    for shared in by_device.values():
        names = ", ".join(dict.fromkeys(place for place, _ in shared))
        found.append(_disk(shared[0][1]).of(names))
    return found


def _places() -> Iterator[tuple[str, Path]]:
    yield from places().items()
    # What is larger than a few MB is spooled there while it arrives.
    yield "uploads under way", Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    if (data := _data_directory()) is not None:
        yield "database", data


def _data_directory() -> Path | None:
    """The database's folder, if its server runs here and we can see where."""
    if not str(connection.settings_dict.get("HOST", "")).startswith("/"):
        return None
    data = Path(settings.VITRINE_HOME) / "postgres"
    return data if data.is_dir() else None


def _disk(path: Path) -> Finding:
    found = os.statvfs(path)
    size, free = found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail
    said = f"{filesizeformat(free)} of {filesizeformat(size)} free"
    more = "Make room (`du -xh --max-depth=2 PATH | sort -h`), or move the place to a larger disk"
    left = room(size_bytes=size, free_bytes=free, needed_bytes=2 * settings.MAX_UPLOAD_BYTES)
    if left == "full":
        return failure(f"{said}: uploads and the database are about to fail", mend=f"{more}, now.")
    if found.f_files and found.f_favail < found.f_files * _LEAST_FILES_SHARE:
        return failure(
            f"{said}, but only for {found.f_favail:,} more files",
            mend="Move the blobs to a file system with more inodes (`df -i` shows them).",
        )
    if left == "low":
        return warning(said, mend=f"{more}, before it is full.")
    return ok(said)


def _others_reach(path: Path) -> bool:
    """Whether every folder on the way lets every account pass."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _user() -> str:
    return str(os.geteuid())


PERMISSIONS = Area("Permissions", (Check("home", home), Check("file of the secret key", secret_key_file)))
BLOBS = Area("Blob store", (Check("a probe", blob_store),))
DISKS = Area("Disks", (Check("free space", disks),))
