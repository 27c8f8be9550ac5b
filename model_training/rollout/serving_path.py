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
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from model_training.rollout.bucket_folder import BucketFolder
from pipeline.s3 import S3MissingError

GRAPH = "saved_model.pb"
EXTRAS = "assets.extra"
_ABANDONED_AFTER_S = 3600
_WORK = re.compile(r"\.\d+-")


class NoVersionError(Exception):
    """There is no complete version of that number there, or not yet."""


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
        """A folder that holds the version: its own, or a copy below ``to``; the errors of :meth:`copy`."""

    def copy(self, number: int, to: Path) -> None:
        """Copy a version into a folder that is not there yet.

        Raises:
            NoVersionError: there is none.
            OSError, BlobStoreDownError: it cannot be read, or not be written.
        """


def serving_path(place: str) -> ServingPath:
    """The place of ``DIR`` or ``s3://BUCKET[/PREFIX]``; for S3, ``VITRINE_S3_…`` say more.

    Raises:
        ValueError: not such a place.
    """
    if "://" not in place:
        return FolderPath(Path(place))
    return BucketPath(BucketFolder(place))


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
        self.remove_abandoned(_ABANDONED_AFTER_S)
        self.take(number, lambda to: shutil.copytree(folder, to))

    def take(self, number: int, fill: Callable[[Path], object]) -> None:
        """A version appears by one rename when ``fill`` has made its folder and all of it is on the disk.

        One that somebody else has completed meanwhile stays as it is.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / str(number)
        # A leading dot is no version number, so servers pass it over.
        work = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=self._folder))
        try:
            fill(work / "model")
            _flush(work / "model")
            if target.exists() and number not in self.versions():  # left incomplete by hand
                target.replace(work / "broken")
            try:
                (work / "model").rename(target)
            except OSError:
                if number not in self.versions():
                    raise
            _flush_folder(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def remove(self, number: int) -> None:
        """Drop a copy of a version, which vanishes by one rename; nothing happens if it is not there."""
        work = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=self._folder))
        try:
            (self._folder / str(number)).replace(work / "removed")
        except FileNotFoundError:
            return
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def remove_abandoned(self, older_than_s: float) -> None:
        """Drop what a killed publication has left. A younger folder may belong to one that still runs."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if _WORK.match(path.name) and time.time() - path.stat().st_mtime > older_than_s:
                shutil.rmtree(path, ignore_errors=True)

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

    def copy(self, number: int, to: Path) -> None:
        """Copy a version into a folder that is not there yet."""
        own = self._folder / str(number)
        if not (own / GRAPH).is_file():
            raise NoVersionError(f"{own} is not there, or not complete")
        shutil.copytree(own, to)


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

    def __init__(self, folder: BucketFolder) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """As ``models.config`` names it."""
        return self._folder.address

    def versions(self) -> frozenset[int]:
        """The complete ones."""
        found = set()
        for path in self._folder.names():
            number, _, name = path.partition("/")
            if name == GRAPH and number.isascii() and number.isdigit():
                found.add(int(number))
        return frozenset(found)

    def publish(self, folder: Path, number: int) -> None:
        """Upload every file, the graph last; nothing happens if a complete version is there already."""
        if self._folder.holds(f"{number}/{GRAPH}"):
            return
        paths = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(paths, key=lambda path: path == folder / GRAPH):
            self._folder.send(f"{number}/{path.relative_to(folder).as_posix()}", path)

    def beside(self, number: int, name: str) -> bytes | None:
        """The content of a file in ``assets.extra/``, None if it is not there."""
        return self._folder.read(f"{number}/{EXTRAS}/{name}")

    def fetch(self, number: int, to: Path) -> Path:
        """A copy below ``to``."""
        self.copy(number, to / str(number))
        return to / str(number)

    def copy(self, number: int, to: Path) -> None:
        """Copy a version into a folder that is not there yet."""
        # Asked before the list is made: what is listed after the graph was there is all of the version.
        if not self._folder.holds(f"{number}/{GRAPH}"):
            raise NoVersionError(f"{self.name}/{number} is not there, or not complete")
        try:
            for path in self._folder.names(str(number)):
                self._folder.fetch(path, to / path.partition("/")[2])
        except S3MissingError as error:
            raise NoVersionError(f"{self.name}: {error} has gone while it was fetched") from error
