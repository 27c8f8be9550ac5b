"""Backup, a second backup, and restore of one library, beside plain copies of the same bytes, in one run.

The library: many small files and some large ones of random bytes, as renditions and originals are, and the
rows of as many pictures. A plain copy (``cp -r``) hashes nothing, makes nothing durable and copies all of it
every time; ``rsync -a --checksum``, where it is installed, compares contents, too.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.catalogue import catalogue
from dam.embedded.postgres import EmbeddedPostgres

ROUNDS = 3
PICTURES = 300
ORIGINAL_BYTES = 400_000
RENDITION_BYTES = {"grid": 20_000, "preview": 120_000}


def main() -> None:
    """Print megabytes and files a second of each."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as temporary, catalogue() as url:
        folder = Path(temporary)
        count, size = fill(folder / "blobs")
        measure(url, folder, count, size)


def fill(blobs: Path) -> tuple[int, int]:
    """Pictures with their bytes and rows; how many files and bytes."""
    from django.contrib.auth.models import User  # noqa: PLC0415

    from dam.assets.models import Asset, AssetVersion, Blob  # noqa: PLC0415
    from dam.assets.services import root_collection  # noqa: PLC0415
    from pipeline.blobs import FolderBlobStore  # noqa: PLC0415

    store = FolderBlobStore(blobs)
    user, collection = User.objects.create_user("bench"), root_collection()
    for number in range(PICTURES):
        stored = store.put(io.BytesIO(os.urandom(ORIGINAL_BYTES)))
        files = {f"{name}.jpg": os.urandom(size) for name, size in RENDITION_BYTES.items()}
        keys = store.put_renditions(stored.key, files)
        blob = Blob.objects.create(
            sha256=stored.sha256, size=stored.size, media_type="image/jpeg", key=stored.key
        )
        asset = Asset.objects.create(
            collection=collection,
            filename=f"{number}.jpg",
            sort_name=f"{number}.jpg",
            width=4000,
            height=3000,
            size=stored.size,
            media_type="image/jpeg",
            uploaded_by=user,
        )
        renditions = {
            name.partition(".")[0]: {"key": key, "media_type": "image/jpeg", "width": 1, "height": 1}
            for name, key in keys.items()
        }
        version = AssetVersion.objects.create(
            asset=asset, blob=blob, filename=asset.filename, created_by=user, renditions=renditions
        )
        Asset.objects.filter(pk=asset.pk).update(current_version=version)
    each = ORIGINAL_BYTES + sum(RENDITION_BYTES.values())
    return PICTURES * (1 + len(RENDITION_BYTES)), PICTURES * each


def measure(url: str, folder: Path, count: int, size: int) -> None:
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    from dam.backup.checking import backup_check  # noqa: PLC0415
    from dam.backup.console import Teller  # noqa: PLC0415
    from dam.backup.making import backup_make  # noqa: PLC0415
    from dam.backup.place import Place  # noqa: PLC0415
    from dam.backup.restoring import restore  # noqa: PLC0415
    from pipeline.trees import FolderTree  # noqa: PLC0415

    quiet = Teller(quiet=True)
    blobs = folder / "blobs"
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        # What the one before left to be written is not this one's.
        os.sync()
        began = time.perf_counter()
        work()
        os.sync()
        seconds.setdefault(name, []).append(time.perf_counter() - began)

    for number in range(ROUNDS):
        place = Place(FolderTree(folder / f"place-{number}"))
        back = folder / f"back-{number}"

        def make(place: Place = place) -> None:
            made = backup_make(
                place=place, store=FolderTree(blobs), parameters=conninfo_to_dict(url), teller=quiet
            )
            assert made.is_fine

        timed("backup", make)
        timed("backup again", make)
        timed("check", lambda place=place: backup_check(place=place, name="latest", teller=quiet))
        with (
            tempfile.TemporaryDirectory(prefix="vitrine-bench-") as home,
            EmbeddedPostgres(Path(home)) as server,
        ):
            timed(
                "restore",
                lambda place=place, back=back, server=server: restore(
                    place=place,
                    name="latest",
                    store=FolderTree(back),
                    parameters=conninfo_to_dict(server.url),
                    teller=quiet,
                    migrate=lambda: None,
                ),
            )
        assert _digest(back) == _digest(blobs)
        copy = folder / f"copy-{number}"
        timed("cp -r", lambda copy=copy: subprocess.run(["cp", "-r", blobs, copy], check=True))
        if shutil.which("rsync"):
            synced = folder / f"rsync-{number}"
            words = ["rsync", "-a", "--checksum", f"{blobs}/", f"{synced}/"]
            timed("rsync", lambda words=words: subprocess.run(words, check=True))
            timed("rsync again", lambda words=words: subprocess.run(words, check=True))
            shutil.rmtree(synced)
        for left in (copy, back, folder / f"place-{number}"):
            shutil.rmtree(left)
    print(
        f"{PICTURES:,} pictures, {count:,} files, {size / 1e6:,.0f} MB; medians of {ROUNDS} rounds in turn:"
    )
    for name, spent in seconds.items():
        took = median(spent)
        print(f"  {name:<13} {took:6.1f} s  {size / 1e6 / took:7.1f} MB/s  {count / took:8.0f} files/s")
    ratio = median(ours / theirs for ours, theirs in zip(seconds["backup"], seconds["cp -r"], strict=True))
    print(f"  a first backup takes {ratio:.2f} times as long as cp -r, which hashes nothing")


def _digest(blobs: Path) -> str:
    """Of all files below, incoming ones left out."""
    digest = hashlib.sha256()
    for path in sorted(blobs.glob("??/??/*/*")):
        digest.update(
            path.relative_to(blobs).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    return digest.hexdigest()
