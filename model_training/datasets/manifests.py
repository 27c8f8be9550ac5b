"""The plain ways to label pictures: a table, or a folder for each label."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from model_training.config import CsvSource, FolderSource
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet, Example
from model_training.datasets.naming import Words

_SEPARATOR = ";"
_SUFFIXES = {".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def read_csv(source: CsvSource) -> DataSet:
    """All rows of a table.

    Columns ``file`` and ``labels`` are needed. ``negatives`` names what the picture does not show; if the
    table is complete, all that ``labels`` leaves out is negative anyway. ``set`` tells data sets apart within
    the table, for the evaluation.

    Raises:
        DataError: the table cannot be read, a column is missing, or a label is said to be there and not.
    """
    words = Words(source.file)
    rows: list[tuple[dict[str, str], frozenset[str], frozenset[str]]] = []
    try:
        with source.file.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = {"file", "labels"} - set(table.fieldnames or ())
            if missing:
                raise DataError(f"{source.file} has no column {' and no column '.join(sorted(missing))}")
            for row in table:
                positive = words.slugs((row["labels"] or "").split(_SEPARATOR))
                negative = words.slugs((row.get("negatives") or "").split(_SEPARATOR))
                if both := positive & negative:
                    place, labels = f"{source.file}, line {table.line_num}", ", ".join(sorted(both))
                    raise DataError(f"{place}: labels and negatives both name {labels}")
                rows.append((row, positive, negative))
    except OSError as error:
        raise DataError(f"{source.file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source.file} is no table in UTF-8: {error}") from error
    everything = frozenset(words.names)
    return DataSet(
        labels=tuple(words.names),
        names=words.names,
        examples=tuple(
            Example(
                path=source.images / row["file"],
                source=row.get("set") or source.name,
                positive=positive,
                negative=everything - positive if source.complete else negative,
            )
            for row, positive, negative in rows
        ),
    )


def read_folder(source: FolderSource) -> DataSet:
    """All pictures of the folders, by the endings of their names. A folder's name is the label.

    Raises:
        DataError: no such folder, or there is no folder with pictures in it.
    """
    words = Words(source.folder)
    try:
        folders = sorted(path for path in source.folder.iterdir() if path.is_dir())
    except OSError as error:
        raise DataError(f"{source.folder} cannot be read: {error.strerror}") from error
    found = [
        (words.slug(folder.name), path)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    if not found:
        raise DataError(
            f"{source.folder} holds no folders with pictures: each label needs a folder of its name"
        )
    return DataSet(
        labels=tuple(words.names),
        names=words.names,
        examples=tuple(
            Example(
                path=path,
                source=source.name,
                positive=frozenset({label}),
                negative=_others(words.names, label) if source.complete else frozenset(),
            )
            for label, path in found
        ),
    )


def _others(labels: Iterable[str], label: str) -> frozenset[str]:
    return frozenset(labels) - {label}
