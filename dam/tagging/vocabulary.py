"""The vocabulary of the catalogue: registering what a model brings, and knowing it while deriving."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from pydantic import BaseModel, ConfigDict, Field

from dam.assets.naming import normalise
from dam.tagging.derive import TagRule
from dam.tagging.models import Tag
from dam.telemetry.metrics import VOCABULARY_REQUESTS


class VocabularyEntry(BaseModel):
    """One tag as a model's ``vocabulary.json`` describes it."""

    model_config = ConfigDict(extra="ignore")

    slug: str
    name: str
    kind: Tag.Kind = Tag.Kind.LEAF
    parents: list[str] = Field(default_factory=list)
    synonyms: list[str] = Field(default_factory=list)
    threshold: float = Field(0.5, ge=0, le=1)


class VocabularyFile(BaseModel):
    """``assets.extra/vocabulary.json`` of an exported model."""

    vocabulary_id: str
    tags: list[VocabularyEntry]


def vocabulary_read(path: Path) -> VocabularyFile:
    """Read and check a vocabulary file.

    Raises:
        ValueError: not of that form.
        OSError: not readable.
    """
    return VocabularyFile.model_validate(json.loads(path.read_text(encoding="utf-8")))


def lookup_of(*, name: str, synonyms: Iterable[str]) -> list[str]:
    """The normalised forms by which people find a tag: its name first."""
    return list(dict.fromkeys(filter(None, (normalise(text)[:100] for text in [name, *synonyms]))))


@transaction.atomic
def vocabulary_register(*, entries: Iterable[VocabularyEntry], keep_known: bool = False) -> int:
    """Add new tags and refresh known ones; returns how many are new.

    Tags whose meaning changed, by a name for what was only a label, another kind or other parents, are
    marked: the claims that were derived before do not know of it (``claims_derive_all``).

    A known tag keeps its threshold and whether it is active: those are the curators'. Tags that the
    entries do not name stay as they are.

    Args:
        entries: the vocabulary of a model.
        keep_known: leave tags that have a name as they are, because people are to see no trace of a model
            that is only tried.

    Raises:
        ValueError: a parent that neither the entries nor the catalogue know, or a circle.
    """
    entries = list(entries)
    known = {tag.slug: tag for tag in Tag.objects.select_for_update(no_key=True)}
    if keep_known:
        named = {slug for slug, tag in known.items() if tag.kind != Tag.Kind.UNNAMED}
        entries = [entry for entry in entries if entry.slug not in named]
    added: list[Tag] = []
    changed: list[Tag] = []
    for entry in entries:
        lookup = lookup_of(name=entry.name, synonyms=entry.synonyms)
        tag = known.get(entry.slug)
        if tag is not None and tag.kind == Tag.Kind.UNNAMED:
            tag.threshold, tag.active = entry.threshold, True
        if tag is None:
            added.append(
                Tag(
                    slug=entry.slug,
                    name=entry.name,
                    kind=entry.kind,
                    synonyms=entry.synonyms,
                    lookup=lookup,
                    threshold=entry.threshold,
                )
            )
        elif tag.kind != Tag.Kind.OWN:
            told = (entry.name, entry.kind, entry.synonyms, lookup)
            if told != (tag.name, tag.kind, tag.synonyms, tag.lookup):
                tag.derive_pending |= tag.kind != entry.kind
                tag.name, tag.kind, tag.synonyms, tag.lookup = told
                changed.append(tag)
    Tag.objects.bulk_create(added)
    Tag.objects.bulk_update(
        changed,
        ["name", "kind", "synonyms", "lookup", "threshold", "active", "derive_pending"],
        batch_size=200,
    )
    if _set_parents(entries, dict(Tag.objects.values_list("slug", "id"))):
        moved = ancestors_refresh() & {tag.pk for tag in known.values()}
        Tag.objects.filter(pk__in=moved).update(derive_pending=True)
    return len(added)


def _set_parents(entries: list[VocabularyEntry], ids: Mapping[str, int]) -> bool:
    """Make the links of these entries what they say; whether any had to change."""
    unknown = {slug for entry in entries for slug in entry.parents} - ids.keys()
    if unknown:
        raise ValueError(f"unknown parent tags: {', '.join(sorted(unknown))}")
    link = Tag.parents.through
    stored = link.objects.filter(from_tag_id__in=[ids[entry.slug] for entry in entries])
    wanted = {(ids[entry.slug], ids[parent]) for entry in entries for parent in entry.parents}
    if set(stored.values_list("from_tag_id", "to_tag_id")) == wanted:
        return False
    stored.delete()
    link.objects.bulk_create(link(from_tag_id=child, to_tag_id=parent) for child, parent in sorted(wanted))
    return True


def ancestors_refresh() -> set[int]:
    """Recompute every tag's ``ancestor_ids`` from the parent links; returns the tags whose changed.

    Raises:
        ValueError: the links form a circle.
    """
    parents: dict[int, set[int]] = {}
    for child, parent in Tag.parents.through.objects.values_list("from_tag_id", "to_tag_id"):
        parents.setdefault(child, set()).add(parent)
    done: dict[int, frozenset[int]] = {}

    def above(tag_id: int, path: tuple[int, ...]) -> frozenset[int]:
        if tag_id in path:
            raise ValueError(f"tag {tag_id} is its own ancestor")
        if tag_id not in done:
            direct = parents.get(tag_id, set())
            done[tag_id] = frozenset(direct).union(*(above(up, (*path, tag_id)) for up in direct))
        return done[tag_id]

    tags = list(Tag.objects.all())
    changed = []
    for tag in tags:
        wanted = sorted(above(tag.pk, ()))
        if tag.ancestor_ids != wanted:
            tag.ancestor_ids = wanted
            changed.append(tag)
    Tag.objects.bulk_update(changed, ["ancestor_ids"], batch_size=500)
    return {tag.pk for tag in changed}


@dataclass(frozen=True)
class Vocabulary:
    """Every tag, as deriving and recording need them. Read once per batch of work: it may change between."""

    rules: Mapping[int, TagRule]
    ids: Mapping[str, int]


def labels_take_in(labels: Iterable[str]) -> Vocabulary:
    """Make room for labels that no registered vocabulary has, and read the vocabulary again.

    The answers that use them are facts worth keeping, and must not hold up the queue; the tags stay
    inactive, so that nobody sees them, until the model's vocabulary is registered.
    """
    Tag.objects.bulk_create(
        (
            Tag(
                slug=label,
                name=label.replace("-", " "),
                kind=Tag.Kind.UNNAMED,
                lookup=lookup_of(name=label, synonyms=()),
                active=False,
            )
            for label in labels
        ),
        ignore_conflicts=True,
    )
    return vocabulary()


def vocabulary() -> Vocabulary:
    """The vocabulary as it stands now; read again only if a tag was written since it was read last."""
    database = connection.settings_dict
    with connection.cursor() as cursor:
        cursor.execute(_ROWS_AS_THEY_STAND)
        key = (database["HOST"], database["PORT"], database["NAME"], *cursor.fetchone())
    with _reading:
        known = key in _latest
        VOCABULARY_REQUESTS.labels("hit" if known else "miss").inc()
        if not known:
            _latest.clear()
            _latest[key] = _read_vocabulary()
        return _latest[key]


# Place and writing transaction name one version of a row. That is a tenth of the work of reading all.
_ROWS_AS_THEY_STAND = "SELECT md5(string_agg(ctid::text || xmin::text, ',')) FROM tagging_tag"
_reading = threading.Lock()
_latest: dict[tuple[Any, ...], Vocabulary] = {}


def _read_vocabulary() -> Vocabulary:
    rules: dict[int, TagRule] = {}
    ids: dict[str, int] = {}
    ancestor = Tag.Kind.ANCESTOR.value
    rows = Tag.objects.values_list("id", "slug", "kind", "threshold", "active", "ancestor_ids")
    for tag_id, slug, kind, threshold, active, ancestor_ids in rows:
        ids[slug] = tag_id
        rules[tag_id] = TagRule(
            id=tag_id,
            # A person's own tag is as specific as a leaf until tags get heads of their own.
            is_leaf=kind != ancestor,
            threshold=threshold,
            active=active,
            ancestors=frozenset(ancestor_ids),
        )
    return Vocabulary(rules=rules, ids=ids)
