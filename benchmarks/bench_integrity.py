"""Comparing a library with its folder, beside ``find`` and ``sha256sum`` on the same files.

First many small files, for what a comparison costs for each of them: names and sizes only. Then fewer of the
size of photographs, all of which are read; they are in the memory of the operating system by then, so that
the disk decides nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.catalogue import catalogue
from pipeline.blobs import INCOMING, original_key

PICTURES = 10_000
RENDITIONS = ("grid.jpg", "preview.jpg")
PHOTOGRAPHS = 100
PHOTOGRAPH_BYTES = 5_000_000
ROUNDS = 3


def main() -> None:
    with catalogue(), tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        began = time.perf_counter()
        fill_small(small)
        print(f"made {3 * PICTURES:,} files in {time.perf_counter() - began:.0f} s")
        compare_names(small)
        compare_bytes(large, fill_large(large))


def fill_small(place: Path) -> None:
    """Rows and files of pictures whose bytes are their numbers; all are versions of one asset."""
    (place / INCOMING).mkdir(parents=True)
    name_all([str(number).encode() for number in range(PICTURES)], place)


def fill_large(place: Path) -> int:
    """The same of photographs; returns their bytes."""
    from dam.assets.models import AssetVersion, Blob  # noqa: PLC0415

    AssetVersion.objects.all().delete()
    Blob.objects.all().delete()
    (place / INCOMING).mkdir(parents=True)
    for _ in range(PHOTOGRAPHS):
        name_all([os.urandom(PHOTOGRAPH_BYTES)], place)
    return PHOTOGRAPHS * PHOTOGRAPH_BYTES


def name_all(contents: list[bytes], place: Path) -> None:
    """Put contents with two renditions each into the folder, and name them."""
    from django.db import connection  # noqa: PLC0415
    from django.db.models import Max  # noqa: PLC0415

    from dam.assets.models import Asset, AssetVersion, Blob  # noqa: PLC0415
    from dam.assets.services import root_collection  # noqa: PLC0415

    asset, _ = Asset.objects.get_or_create(
        filename="a.jpg",
        defaults={
            "collection": root_collection(),
            "width": 1,
            "height": 1,
            "size": 1,
            "media_type": "image/jpeg",
        },
    )
    first = 1 + (AssetVersion.objects.aggregate(last=Max("number"))["last"] or 0)
    blobs, versions = [], []
    for number, content in enumerate(contents, first):
        sha256 = hashlib.sha256(content).hexdigest()
        key = original_key(sha256)
        beside = (place / key).parent
        beside.mkdir(parents=True)
        (place / key).write_bytes(content)
        for name in RENDITIONS:
            (beside / name).write_bytes(b"small")
        blob = Blob(sha256=sha256, size=len(content), media_type="image/jpeg", key=key)
        keys = {name: {"key": f"{key.rpartition('/')[0]}/{name}"} for name in RENDITIONS}
        blobs.append(blob)
        versions.append(
            AssetVersion(asset=asset, number=number, blob=blob, filename="a.jpg", renditions=keys)
        )
    Blob.objects.bulk_create(blobs, batch_size=5_000)
    AssetVersion.objects.bulk_create(versions, batch_size=5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def compare_names(place: Path) -> None:
    """Names and sizes: the listing rate."""
    begin_peak()
    ours, find = in_turns(
        lambda: run_check(place, "none", read=0),
        lambda: call(["find", str(place), "-type", "f", "-printf", "%s %p\\n"]),
    )
    files = 3 * PICTURES
    print(f"{files:,} small files of {PICTURES:,} pictures, names and sizes, {ROUNDS} rounds in turn:")
    print(f"  vitrine integrity {files / ours:,.0f} files/s")
    print(f"  find {files / find:,.0f} files/s, ratio {find / ours:.2f}")
    print(f"  peak of our memory {peak_mib():.0f} MiB")


def compare_bytes(place: Path, size: int) -> None:
    """All bytes: the rate of reading."""
    files = sorted(map(str, place.glob("*/*/*/original")))
    begin_peak()
    ours, one, several = in_turns(
        lambda: run_check(place, "all", read=PHOTOGRAPHS),
        lambda: call(["sha256sum", *files]),
        lambda: call(["xargs", "-P", str(os.cpu_count()), "-n", "8", "sha256sum"], "\n".join(files)),
    )
    mb = size / 1e6
    print(f"{PHOTOGRAPHS:,} originals of {PHOTOGRAPH_BYTES / 1e6:.0f} MB, all read, {ROUNDS} rounds in turn:")
    print(f"  vitrine integrity --checksums all {mb / ours:,.0f} MB/s")
    print(f"  sha256sum, one process {mb / one:,.0f} MB/s, ratio {one / ours:.2f}")
    print(f"  sha256sum, one for each core {mb / several:,.0f} MB/s, ratio {several / ours:.2f}")
    print(f"  peak of our memory {peak_mib():.0f} MiB")


def run_check(place: Path, checksums: str, *, read: int) -> None:
    """One comparison, which finds nothing."""
    from dam.integrity.check import check  # noqa: PLC0415
    from pipeline.trees import FolderTree  # noqa: PLC0415

    report = check(checksums=checksums, store=FolderTree(place))
    assert report.is_sound
    assert not report.findings
    assert report.read.count == read


def call(words: list[str], given: str = "") -> None:
    """A program to its end, its output thrown away."""
    subprocess.run(words, input=given, text=True, stdout=subprocess.DEVNULL, check=True)


def in_turns(*works: Callable[[], None]) -> list[float]:
    """Median seconds of each, one after the other in every round; the first round is not counted."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(1 + ROUNDS):
        for work, spent in zip(works, seconds, strict=True):
            began = time.perf_counter()
            work()
            spent.append(time.perf_counter() - began)
    return [median(spent[1:]) for spent in seconds]


def begin_peak() -> None:
    """Forget what was the most memory until now (see ``clear_refs`` in proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The most memory that this process has had since."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return kib / 1024
