"""Pascal VOC (Everingham et al. 2010): an XML file for each picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from model_training.config import VocSource
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet, Example
from model_training.datasets.naming import Words


def read_voc(source: VocSource) -> DataSet:
    """All pictures that have an annotation, in the order of its name.

    The classes are those that any annotation names. One that a picture's annotation does not name is
    negative; one that it names only as difficult is unknown.

    Raises:
        DataError: no annotations, or one cannot be read.
    """
    files = sorted((source.folder / "Annotations").glob("*.xml"))
    if not files:
        raise DataError(f"{source.folder}/Annotations holds no *.xml: is that a folder of Pascal VOC?")
    words = Words(source.folder / "Annotations")
    found = [_read(file, words) for file in files]
    labels = frozenset(words.names)
    return DataSet(
        labels=tuple(words.names),
        names=words.names,
        examples=tuple(
            Example(
                path=source.folder / "JPEGImages" / name,
                source=source.name,
                positive=positive,
                negative=labels - positive - difficult,
            )
            for name, positive, difficult in found
        ),
    )


def _read(path: Path, words: Words) -> tuple[str, frozenset[str], frozenset[str]]:
    """File name of the picture, what is on it, and what may be."""
    try:
        text = path.read_text(encoding="utf-8")
        if "<!DOCTYPE" in text:  # whose entities may grow without bounds
            raise DataError(f"{path} has a document type, which no annotation needs")
        root = ET.fromstring(text)  # noqa: S314  # without a document type there is nothing to expand
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no XML: {error}") from error
    positive: set[str] = set()
    difficult: set[str] = set()
    for thing in root.iter("object"):
        name = thing.findtext("name", "").strip()
        if not name:
            raise DataError(f"{path}: an object has no name")
        is_difficult = thing.findtext("difficult", "0").strip() == "1"
        (difficult if is_difficult else positive).add(words.slug(name))
    file = root.findtext("filename", "").strip()
    if not file:
        raise DataError(f"{path} names no picture: there is no filename")
    return file, frozenset(positive), frozenset(difficult - positive)
