"""The base path of a model, where versions are published for the model servers: a folder, or a place in S3.

Versions never change and are never deleted here. A version is there when its ``saved_model.pb`` is: in a
folder because it appears by one rename, in S3 because that object is written last.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pipeline.s3 import S3Bucket, S3MissingError, S3Settings

GRAPH = "saved_model.pb"
EXTRAS = "assets.extra"
_ABANDONED_AFTER_S = 3600
_WORK = re.compile(r"\.\d+-")


class ServingPath(Protocol):
    """Where versions lie, by number."""

    @property
    def name(self) -> str:
        """As ``models.config`` names it."""

    def versions(self) -> frozenset[int]:
        """The complete ones."""

    def publish(self, folder: Path, number: int) -> None:
        """Put a version folder there; nothing happens if a complete one is there already."""

    def beside(self, number: int, name: str) -> bytes | None:
        """The content of a file in ``assets.extra/``, None if it is not there."""

    def fetch(self, number: int, to: Path) -> Path:
        """A folder that holds the version: its own, or a copy below ``to``."""


def serving_path(place: str) -> ServingPath:
    """The place of ``DIR`` or ``s3://BUCKET[/PREFIX]``; for S3, ``VITRINE_S3_…`` say more.

    Raises:
        ValueError: not such a place.
    """
    if "://" not in place:
        return FolderPath(Path(place))
    address = urlsplit(place)
    if address.scheme != "s3" or not address.netloc or address.query or address.fragment:
        raise ValueError(f"{place!r} is neither a folder nor s3://BUCKET/PREFIX")
    return BucketPath(S3Bucket(address.netloc, S3Settings()), address.path.strip("/"))


class FolderPath:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def name(self) -> str:
        """As ``models.config`` names it."""
        return str(self._folder)

    def versions(self) -> frozenset[int]:
        """The complete ones."""
        if not self._folder.is_dir():
            return frozenset()
        return frozenset(
            int(path.name)
            for path in self._folder.iterdir()
            if path.name.isascii() and path.name.isdigit() and (path / GRAPH).is_file()
        )

    def publish(self, folder: Path, number: int) -> None:
        """Copy beside, flush, rename; nothing happens if a complete one is there already."""
        if number in self.versions():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        target = self._folder / str(number)
        # A leading dot is no version number, so servers pass it over.
        work = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=self._folder))
        try:
            shutil.copytree(folder, work / "model")
            _flush(work / "model")
            if target.exists():  # left incomplete by hand
                target.replace(work / "broken")
            (work / "model").rename(target)
            _flush_folder(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def beside(self, number: int, name: str) -> bytes | None:
        """The content of a file in ``assets.extra/``, None if it is not there."""
        try:
            return (self._folder / str(number) / EXTRAS / name).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, number: int, to: Path) -> Path:
        """The version's own folder."""
        del to
        return self._folder / str(number)

    def _remove_abandoned(self) -> None:
        """Drop what a killed publication has left. A younger folder may belong to one that still runs."""
        for path in self._folder.iterdir():
            if _WORK.match(path.name) and time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)


def _flush(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        _flush_folder(path)


def _flush_folder(path: Path) -> None:
    """To the disk, a folder or a file: after a power cut a rename without its bytes would be half a model."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BucketPath:
    """A place in S3. Every method raises ``pipeline.blobs.BlobStoreDownError`` while it does not answer."""

    def __init__(self, bucket: S3Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def name(self) -> str:
        """As ``models.config`` names it."""
        return f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")

    def versions(self) -> frozenset[int]:
        """The complete ones."""
        found = set()
        for each in self._bucket.objects(self._prefix):
            number, _, name = each.key.removeprefix(self._prefix).partition("/")
            if name == GRAPH and number.isascii() and number.isdigit():
                found.add(int(number))
        return frozenset(found)

    def publish(self, folder: Path, number: int) -> None:
        """Upload every file, the graph last; nothing happens if a complete version is there already."""
        if self._bucket.head(self._key(number, GRAPH)) is not None:
            return
        paths = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(paths, key=lambda path: path == folder / GRAPH):
            self._bucket.write_file(self._key(number, path.relative_to(folder).as_posix()), path)

    def beside(self, number: int, name: str) -> bytes | None:
        """The content of a file in ``assets.extra/``, None if it is not there."""
        try:
            return self._bucket.read(self._key(number, f"{EXTRAS}/{name}"))
        except S3MissingError:
            return None

    def fetch(self, number: int, to: Path) -> Path:
        """A copy below ``to``."""
        start = self._key(number, "")
        for each in list(self._bucket.objects(start)):
            path = to / str(number) / each.key.removeprefix(start)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._bucket.read(each.key))
        return to / str(number)

    def _key(self, number: int, name: str) -> str:
        return f"{self._prefix}{number}/{name}"
