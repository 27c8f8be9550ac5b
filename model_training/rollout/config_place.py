"""Where ``models.config`` lies: in a folder, or in S3 beside the versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from model_training.rollout.bucket_folder import BucketFolder


class ConfigPlace(Protocol):
    """One small file that is read and replaced as a whole."""

    @property
    def name(self) -> str:
        """For people."""

    def read(self) -> bytes | None:
        """What it says; None if it is not there.

        Raises:
            OSError, BlobStoreDownError: nobody knows.
        """

    def write(self, content: bytes) -> None:
        """Replace it: whoever reads sees the old file or the new one; the same errors."""


def config_place(place: str) -> ConfigPlace:
    """The place of ``FILE`` or ``s3://BUCKET/…/NAME``.

    Raises:
        ValueError: not such a place.
    """
    if "://" not in place:
        return ConfigFile(Path(place))
    folder, _, name = place.rpartition("/")
    if not name or folder.endswith("/"):
        raise ValueError(f"{place!r} is neither a file nor s3://BUCKET/…/models.config")
    return ConfigObject(BucketFolder(folder), name)


class ConfigFile:
    """A file of this machine, or on a volume that is mounted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """For people."""
        return str(self._path)

    @property
    def _partial(self) -> Path:
        return self._path.with_name(f".{self._path.name}.partial")

    def read(self) -> bytes | None:
        """What it says; None if it is not there."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Write beside, flush, rename: whole after a power cut too."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._partial.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove_abandoned(self) -> None:
        """Drop what a writer that was killed has left. Only who knows that nobody writes now may ask."""
        self._partial.unlink(missing_ok=True)


class ConfigObject:
    """An object in S3, replaced by one request."""

    def __init__(self, folder: BucketFolder, name: str) -> None:
        self._folder = folder
        self._name = name

    @property
    def name(self) -> str:
        """For people."""
        return f"{self._folder.address}/{self._name}"

    def read(self) -> bytes | None:
        """What it says; None if it is not there."""
        return self._folder.read(self._name)

    def write(self, content: bytes) -> None:
        """By one request."""
        self._folder.write(self._name, content)
