"""All labelled pictures that a configuration names, with one set of labels."""

from __future__ import annotations

from collections.abc import Sequence

from model_training.config import (
    CocoSource,
    CsvSource,
    Data,
    DecisionsSource,
    FolderSource,
    PhotographsSource,
    Source,
    VocSource,
)
from model_training.datasets.coco import read_coco
from model_training.datasets.decisions import read_decisions
from model_training.datasets.errors import DataError, listed
from model_training.datasets.examples import DataSet, Example
from model_training.datasets.manifests import read_csv, read_folder
from model_training.datasets.voc import read_voc


def read_source(source: Source) -> DataSet:
    """The pictures of one source.

    Raises:
        DataError: it cannot be read.
    """
    match source:
        case CocoSource():
            return read_coco(source)
        case VocSource():
            return read_voc(source)
        case CsvSource():
            return read_csv(source)
        case FolderSource():
            return read_folder(source)
        case DecisionsSource():
            return read_decisions(source)
        case PhotographsSource():
            return _read_photographs(source)


def _read_photographs(source: PhotographsSource) -> DataSet:
    from model_training.photographs import NoPhotographsError, labelled  # noqa: PLC0415 - loads a mapping

    try:
        return labelled(source.folder)
    except NoPhotographsError as error:
        raise DataError(str(error)) from error


def read_sources(data: Data) -> DataSet:
    """All sources together.

    A label means the same in all of them. What one source says nothing of stays unknown on its pictures.
    A picture of which nothing is known, because its labels are dropped, is left out.

    Raises:
        DataError: a source cannot be read, a label is not understood, or there are no pictures.
    """
    parts = [read_source(source) for source in data.sources]
    names: dict[str, str] = {}
    for part in parts:
        for slug in part.labels:
            names.setdefault(slug, part.names[slug])
    labels = _chosen(tuple(names), data)
    examples = tuple(
        example
        for part in parts
        for example in (_restricted(example, frozenset(labels)) for example in part.examples)
        if example.positive or example.negative
    )
    if not examples:
        raise DataError("the sources name no picture of which anything is known")
    return DataSet(labels=labels, names={slug: names[slug] for slug in labels}, examples=examples)


def _chosen(named: Sequence[str], data: Data) -> tuple[str, ...]:
    dropped = set(data.drop_labels)
    if strange := sorted(dropped - set(named)):
        raise DataError(f"data.drop_labels names what no source has:\n{listed(strange)}")
    if data.labels is None:
        return tuple(slug for slug in named if slug not in dropped)
    if strange := sorted(set(data.labels) - set(named)):
        raise DataError(f"data.labels names what no source has:\n{listed(strange)}")
    if both := sorted(set(data.labels) & dropped):
        raise DataError(f"these are in data.labels and in data.drop_labels:\n{listed(both)}")
    if unknown := sorted(set(named) - set(data.labels) - dropped):
        raise DataError(
            "unknown labels: the sources name them, data.labels does not. Add them there, or to "
            f"data.drop_labels:\n{listed(unknown)}"
        )
    return tuple(dict.fromkeys(data.labels))


def _restricted(example: Example, labels: frozenset[str]) -> Example:
    return Example(
        path=example.path,
        source=example.source,
        positive=example.positive & labels,
        negative=example.negative & labels,
        sha256=example.sha256,
    )
