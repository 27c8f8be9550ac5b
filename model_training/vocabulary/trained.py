"""Tags that have a head of their own, put into the vocabulary of the classes without doubles."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from model_training.vocabulary.build import CurationError
from model_training.vocabulary.tags import Tag, Vocabulary, slugify

_KEYS = {"name", "synonyms", "parents", "children", "hints"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A table of ``trained.toml``."""

    name: str
    synonyms: tuple[str, ...]
    parents: frozenset[str]
    children: frozenset[str]
    hints: frozenset[str]


def with_heads(vocabulary: Vocabulary, thresholds: Mapping[str, float]) -> Vocabulary:
    """The vocabulary together with the tags that heads are trained for.

    Args:
        vocabulary: Tags made of classes.
        thresholds: For each trained tag, by slug, the score from which on it is shown.

    Returns:
        The same tags in the same order, those with a head marked, then the new ones by slug.

    Raises:
        CurationError: a trained tag is neither in the vocabulary nor in ``trained.toml``, or what stands
            there contradicts the rest.
    """
    if not thresholds:
        return vocabulary
    known = set(vocabulary.labels)
    entries = _curated(known)
    new = sorted(thresholds.keys() - known)
    _refuse_gaps(entries, known, new)

    marked = [
        replace(tag, trained=True, threshold=thresholds[tag.slug]) if tag.slug in thresholds else tag
        for tag in vocabulary.tags
    ]
    added = [_tag(slug, entries[slug], thresholds[slug]) for slug in new]
    taken = {tag.name.casefold() for tag in (*marked, *added)} | known | set(new)
    joined = Vocabulary(
        f"{vocabulary.source}-heads",
        tuple(
            replace(
                tag,
                parents=tuple(sorted({*tag.parents, *(s for s in new if tag.slug in entries[s].children)})),
                # A word that has become a tag's name means that one alone.
                synonyms=tuple(
                    w for w in tag.synonyms if w.casefold() not in taken and slugify(w) not in new
                ),
            )
            for tag in (*marked, *added)
        ),
    )
    return _with_nearest_parents(joined)


def hint_classes(vocabulary: Vocabulary, labels: Sequence[str], classes: int) -> NDArray[np.float32]:
    """Which classes say something of each label: those of the tag, or else of its hints.

    Args:
        vocabulary: Tags made of classes.
        labels: Any ``L`` slugs; those that neither the vocabulary nor ``trained.toml`` has are no error.
        classes: How many the softmax has.

    Returns:
        0/1 matrix ``[classes, L]``; a column of zeros where no class says anything.

    Raises:
        CurationError: ``trained.toml`` contradicts the vocabulary.
    """
    tags = {tag.slug: tag for tag in vocabulary.tags}
    entries = _curated(set(tags))
    matrix = np.zeros((classes, len(labels)), dtype=np.float32)
    for column, label in enumerate(labels):
        said_by = (label,) if label in tags else entries[label].hints if label in entries else ()
        for slug in said_by:
            matrix[sorted(tags[slug].classes), column] = 1
    return matrix


def _curated(known: set[str]) -> dict[str, _Entry]:
    """The entries of ``trained.toml`` by slug, every tag that they name being there."""
    text = files(__package__).joinpath("trained.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)["tags"]
    twice = sorted(tables.keys() & known)
    if twice:
        raise CurationError(f"in the vocabulary of the classes already: {twice}")
    entries = {}
    for slug, table in tables.items():
        if set(table) - _KEYS:
            raise CurationError(f"trained tag {slug}: unknown keys {sorted(set(table) - _KEYS)}")
        parents, children, hints = (frozenset(table.get(key, ())) for key in ("parents", "children", "hints"))
        strangers = sorted(((parents | children) - known - tables.keys()) | (hints - known))
        if strangers:
            raise CurationError(f"trained tag {slug}: there is no tag {strangers}")
        name = table.get("name", slug.replace("-", " "))
        entries[slug] = _Entry(name, tuple(table.get("synonyms", ())), parents, children, hints)
    return entries


def _refuse_gaps(entries: Mapping[str, _Entry], known: set[str], new: Sequence[str]) -> None:
    """Refuse heads for tags that nobody curated, or whose family has no head."""
    without = [slug for slug in new if slug not in entries]
    if without:
        raise CurationError(f"heads for tags that are not curated: {without}")
    for slug in new:
        missing = sorted((entries[slug].parents | entries[slug].children) - known - set(new))
        if missing:
            raise CurationError(f"trained tag {slug}: no head for {missing}")


def _tag(slug: str, entry: _Entry, threshold: float) -> Tag:
    return Tag(
        slug=slug,
        name=entry.name,
        kind="ancestor" if entry.children else "leaf",
        classes=frozenset(),
        parents=tuple(sorted(entry.parents)),
        synonyms=entry.synonyms,
        threshold=threshold,
        trained=True,
    )


def _with_nearest_parents(vocabulary: Vocabulary) -> Vocabulary:
    """The same tree, without parents that stand above another parent of the same tag."""
    above = vocabulary.above()

    def nearest(tag: Tag) -> tuple[str, ...]:
        wider = frozenset[str]().union(*(above[parent] for parent in tag.parents))
        return tuple(parent for parent in tag.parents if parent not in wider)

    return Vocabulary(vocabulary.source, tuple(replace(tag, parents=nearest(tag)) for tag in vocabulary.tags))
