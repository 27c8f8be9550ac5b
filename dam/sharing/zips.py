"""Many pictures as one file, made while it is sent: nothing of it is held in memory or on the disk.

Pictures are compressed already, so they are stored as they are. ``manifest.csv`` at its end says what each of
them is and under which licence; ``left-out.csv`` names what could not be put in, and why.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Self
from zipfile import ZIP_STORED

from django.conf import settings
from zipstream import ZipStream

from dam.assets.models import Asset
from dam.sharing.errors import CannotConvertError, ConverterBusyError
from dam.sharing.files import PictureFile
from pipeline.ports import BlobMissingError

MANIFEST, LEFT_OUT = "manifest.csv", "left-out.csv"
CHUNK_BYTES = 1 << 18
_LIST_IN_MEMORY = 1 << 20

COLUMNS: dict[str, Callable[[Asset], object]] = {
    "id": lambda asset: asset.pk,
    "title": lambda asset: asset.title,
    "description": lambda asset: asset.description,
    "credit": lambda asset: asset.credit,
    "copyright holder": lambda asset: asset.copyright_holder,
    "licence": lambda asset: asset.licence,
    "release": lambda asset: asset.get_release_status_display(),
    "usable until": lambda asset: asset.expires_on or "",
    "taken": lambda asset: asset.taken_at.isoformat() if asset.taken_at else "",
    "camera": lambda asset: asset.camera,
    "width": lambda asset: asset.width,
    "height": lambda asset: asset.height,
    "original name": lambda asset: asset.filename,
}
"""What ``manifest.csv`` can say of a picture, beside the name of its file. Sizes are the original's."""

_BY_FIELD = {
    "title": ("title",),
    "description": ("description",),
    "filename": ("original name",),
    "taken": ("taken",),
    "camera": ("camera",),
    "dimensions": ("width", "height"),
    "credit": ("credit", "copyright holder"),
    "licence": ("licence",),
}
# A spreadsheet would take what begins so for a formula and run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A picture to be put in, or the reason why it is not."""

    asset: Asset
    file: PictureFile | None
    reason: str = ""


def columns_of(fields: Iterable[str]) -> list[str]:
    """What a link's manifest says, where only these facts may be known."""
    return [column for field in fields for column in _BY_FIELD.get(field, ())]


def zip_chunks(entries: Iterable[ZipEntry], *, columns: Iterable[str] = tuple(COLUMNS)) -> Iterator[bytes]:
    """The zip, piece by piece. A file is opened when its turn comes, and closed with the last of it.

    A store that does not answer any more ends it with an error: nobody takes half of it for the whole.

    Args:
        entries: taken one at a time.
        columns: of the manifest.

    Raises:
        DependencyDownError: of the store, in the middle.
    """
    archive = ZipStream(compress_type=ZIP_STORED)
    names = _Names()
    columns = list(columns)
    manifest, left_out = _List(["file", *columns]), _List(["id", "name", "reason"])
    with manifest, left_out:
        for entry in entries:
            opened, reason = _open(entry)
            if opened is None or entry.file is None:
                left_out.add([entry.asset.pk, str(entry.asset), reason])
                continue
            name = names.new(entry.file.name)
            with opened:
                archive.add(_pieces(opened), name)
                yield from archive.file()
            manifest.add([name, *(COLUMNS[column](entry.asset) for column in columns)])
        for name, listed in ((MANIFEST, manifest), (LEFT_OUT, left_out)):
            if listed.rows or name == MANIFEST:
                archive.add(listed.pieces(), name)
                yield from archive.file()
        yield from archive.finalize()


def _open(entry: ZipEntry) -> tuple[BinaryIO | None, str]:
    if entry.file is None:
        return None, entry.reason
    try:
        return entry.file.open(), ""
    except BlobMissingError:
        return None, "Its bytes are missing from the store."
    except (CannotConvertError, ConverterBusyError) as error:
        return None, str(error)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK_BYTES):
        yield piece


class _Names:
    """Names of files, none of them twice, also where capitals do not count."""

    def __init__(self) -> None:
        self._taken = {MANIFEST, LEFT_OUT}
        self._next: dict[str, int] = {}

    def new(self, name: str) -> str:
        """That name, or one like it."""
        name = name.replace("/", "_").replace("\\", "_").lstrip(".") or "picture"
        folded = name.casefold()
        path = PurePosixPath(name)
        while folded in self._taken:
            self._next[path.name] = self._next.get(path.name, 1) + 1
            name = f"{path.stem} ({self._next[path.name]}){path.suffix}"
            folded = name.casefold()
        self._taken.add(folded)
        return name


class _List:
    """A table that goes to the disk when it grows."""

    def __init__(self, head: list[str]) -> None:
        self.rows = 0
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - see __exit__
            max_size=_LIST_IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        # With a mark that spreadsheets need to take it for UTF-8.
        self._file.write(b"\xef\xbb\xbf")
        self._write(head)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def add(self, row: list[object]) -> None:
        """One more row."""
        self.rows += 1
        self._write([_harmless(value) for value in row])

    def pieces(self) -> Iterator[bytes]:
        """The whole of it."""
        self._file.seek(0)
        while piece := self._file.read(CHUNK_BYTES):
            yield piece

    def _write(self, row: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text).writerow(row)
        self._file.write(text.getvalue().encode())


def _harmless(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
