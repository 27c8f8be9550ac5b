"""The labelled photographs that the default model learns from and is measured on.

They are no part of Vitrine and nothing that a user runs needs them: ``VITRINE_DATA`` names the folder
(default ``../shared/data``), which holds ``photos/images/`` and ``photos/labels.csv``.
"""

from __future__ import annotations

import csv
import os
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_training.datasets.examples import DataSet, Example
from pipeline.ports import PreprocessSpec

_ENOUGH = 1000
"""Pictures that are labelled completely for a tag: fewer of them show too little of what it is not."""

Network = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]


class NoPhotographsError(Exception):
    """The folder of photographs is not there."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One labelled picture. ``collection`` is the set it comes from, which says how its labels were made."""

    path: Path
    collection: str
    labels: frozenset[str]


def photographs(folder: Path | None = None) -> list[Photograph]:
    """All of them, in the order of the file. ``folder``: that of ``labels.csv``; None: where the data is.

    Raises:
        NoPhotographsError: there is no such folder.
    """
    folder = folder or Path(os.environ.get("VITRINE_DATA", "../shared/data")) / "photos"
    table = folder / "labels.csv"
    if not table.is_file():
        raise NoPhotographsError(f"no photographs: {table} is missing (VITRINE_DATA names the folder)")
    with table.open(newline="", encoding="utf-8") as rows:
        return [
            Photograph(
                folder / "images" / row["file"], row["set"], frozenset(filter(None, row["labels"].split(";")))
            )
            for row in csv.DictReader(rows)
        ]


def labelled(folder: Path | None = None) -> DataSet:
    """The photographs with the tags of the vocabulary for labels, by the mapping in ``photographs.toml``.

    A set says something only of the tags that have a word in it. What is missing on a picture of a set that
    names everything is a no; on one of another set it stays unknown, unless the sets that are labelled
    completely for the tag have few pictures: then the missing word has to teach what the tag is not.

    Raises:
        NoPhotographsError: there is no such folder.
    """
    text = files(__package__).joinpath("photographs.toml").read_text(encoding="utf-8")
    mapping = tomllib.loads(text)
    complete = set(mapping["complete"])
    words: dict[str, dict[str, frozenset[str]]] = {
        slug: {name: frozenset(said) for name, said in sets.items()} for slug, sets in mapping["tags"].items()
    }
    absent: dict[str, set[str]] = {name: set(slugs) for name, slugs in mapping["absent"].items()}
    pictures = photographs(folder)
    sizes = Counter(picture.collection for picture in pictures)
    trusted = {slug: _trusted(sets.keys(), complete, sizes) for slug, sets in words.items()}
    examples = []
    for picture in pictures:
        if not picture.labels:
            continue  # nobody labelled it: nothing is known of it
        name = picture.collection
        of_set = {slug: sets[name] for slug, sets in words.items() if name in sets}
        positive = frozenset(slug for slug, said in of_set.items() if picture.labels & said)
        denied = {slug for slug in of_set if name in trusted[slug]} | absent.get(name, set())
        if positive or denied:
            examples.append(Example(picture.path, name, positive, frozenset(denied - positive)))
    return DataSet(tuple(words), {slug: slug.replace("-", " ") for slug in words}, tuple(examples))


def _trusted(sets: Collection[str], complete: set[str], sizes: Mapping[str, int]) -> set[str]:
    """Of the sets that name a tag those whose missing word is a no."""
    full = complete.intersection(sets)
    return full if sum(sizes[name] for name in full) >= _ENOUGH else set(sets)


def prepared(
    pictures: list[Photograph], spec: PreprocessSpec, *, batch: int = 32
) -> Iterator[NDArray[np.uint8]]:
    """The pictures as the network gets them in production: batches of uint8 RGB ``[N, H, W, 3]``."""
    from pipeline.preprocess import prepare  # noqa: PLC0415 - needs OpenCV, which no user of the model does

    def pixels(picture: Photograph) -> NDArray[np.uint8]:
        return prepare(picture.path.read_bytes(), spec).pixels

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, len(pictures), batch):
            yield np.stack(list(threads.map(pixels, pictures[start : start + batch])))
