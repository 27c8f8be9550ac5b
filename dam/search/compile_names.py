"""The tags that the words of a query may mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Concat

from dam.assets.naming import normalise
from dam.search.language import All, Field, Node, Phrase, Word, walk
from dam.search.language_values import read_scored
from dam.tagging.models import Tag

# No tag's name that people type without quotation marks is longer, in words.
LONGEST_NAME = 5


@dataclass(frozen=True, slots=True)
class Names:
    """Every tag that the words of one query may mean."""

    by_name: Mapping[str, frozenset[int]]
    """Normalised name or synonym → active tags."""
    by_slug: Mapping[str, int]
    by_word: Mapping[str, frozenset[int]]
    """Word that is no tag's name → active tags whose name holds it."""
    by_prefix: Mapping[str, frozenset[int]]
    """Beginning → active tags of which a name has a word that begins so."""

    @classmethod
    def of(cls, tree: Node) -> Names:
        """Look up all names that the tree may mean."""
        wanted, slugs, single, prefixes = _asked_for(tree)
        wanted |= single
        forms = {form for text in wanted for form in _forms(text)}
        by_name: dict[str, set[int]] = {}
        by_slug: dict[str, int] = {}
        if forms or slugs:
            rows = (
                Tag.objects.filter(Q(lookup__overlap=sorted(forms)) | Q(slug__in=sorted(slugs)))
                .exclude(kind=Tag.Kind.UNNAMED)
                .order_by()
                .values_list("id", "slug", "lookup", "active")
            )
            for tag_id, slug, lookup, active in rows:
                # By its slug even a retired tag is found: it may still be on assets, and its link works.
                by_slug[slug] = tag_id
                if active:
                    for name in lookup:
                        by_name.setdefault(name, set()).add(tag_id)
        single = {text for text in single if text and not any(form in by_name for form in _forms(text))}
        return cls(
            by_name={name: frozenset(ids) for name, ids in by_name.items()},
            by_slug=by_slug,
            by_word=_tags_with_words(single),
            by_prefix=_tags_beginning(prefixes - {""}),
        )

    def exact(self, text: str) -> frozenset[int]:
        """The tags of exactly that name or synonym."""
        return self.by_name.get(text, frozenset())

    def meant(self, text: str) -> frozenset[int]:
        """The tags of that name, or else of its singular."""
        return next((self.by_name[form] for form in _forms(text) if form in self.by_name), frozenset())

    def holding(self, word: str) -> frozenset[int]:
        """The tags whose name holds that word, for a word that is no name itself."""
        return self.by_word.get(word, frozenset())

    def beginning(self, prefix: str) -> frozenset[int]:
        """The tags of which a name has a word that begins so."""
        return self.by_prefix.get(prefix, frozenset())

    def named(self, text: str) -> frozenset[int]:
        """What ``tag:text`` means."""
        if is_prefix(text):
            return self.beginning(normalise(text))
        tag_id = self.by_slug.get(text.casefold())
        return frozenset({tag_id}) if tag_id is not None else self.exact(normalise(text))


def _asked_for(tree: Node) -> tuple[set[str], set[str], set[str], set[str]]:
    """Names, slugs, single words and beginnings of words, any of which may be of a tag."""
    wanted: set[str] = set()
    slugs: set[str] = set()
    single: set[str] = set()
    prefixes: set[str] = set()
    for node in walk(tree):
        match node:
            case All():
                wanted.update(_neighbours(node))
            case Word(text) | Field("tag", text) if is_prefix(text):
                prefixes.add(normalise(text))
            case Word(text):
                single.add(normalise(text))
            case Phrase(text):
                wanted.add(normalise(text))
            case Field("tag" | "score" as name, value):
                called = read_scored(value).name if name == "score" else value
                wanted.add(normalise(called))
                slugs.add(called.casefold())
            case _:
                pass
    return wanted, slugs, single, prefixes


def _neighbours(node: All) -> Iterator[str]:
    """Every stretch of neighbouring bare words that may be the name of one tag."""
    for plain, group in groupby(node.nodes, key=is_plain):
        if not plain:
            continue
        texts = [text for text in (normalise(word.text) for word in group if isinstance(word, Word)) if text]
        for start in range(len(texts)):
            for end in range(start + 2, min(start + LONGEST_NAME, len(texts)) + 1):
                yield " ".join(texts[start:end])


def _tags_with_words(words: set[str]) -> dict[str, frozenset[int]]:
    if not words:
        return {}
    # Normalised names hold no % and no _, so LIKE takes them literally.
    some = reduce(
        lambda left, right: left | right, (Q(padded__contains=f" {word} ") for word in sorted(words))
    )
    rows = list(
        Tag.objects.filter(active=True)
        .annotate(padded=Concat(Value(" "), F("lookup__0"), Value(" ")))
        .filter(some)
        .order_by()
        .values_list("id", "padded")
    )
    return {word: frozenset(tag_id for tag_id, name in rows if f" {word} " in name) for word in words}


def _tags_beginning(prefixes: set[str]) -> dict[str, frozenset[int]]:
    if not prefixes:
        return {}
    joined = Func(F("lookup"), Value("|"), function="array_to_string", output_field=TextField())
    called = Concat(Value("|"), joined, output_field=TextField())
    some: Q = reduce(
        lambda left, right: left | right,
        (Q(called__contains=f"{edge}{prefix}") for prefix in sorted(prefixes) for edge in "| "),
    )
    rows = list(
        Tag.objects.filter(active=True)
        .annotate(called=called)
        .filter(some)
        .order_by()
        .values_list("id", "called")
    )
    return {
        prefix: frozenset(pk for pk, names in rows if f"|{prefix}" in names or f" {prefix}" in names)
        for prefix in prefixes
    }


def _forms(text: str) -> list[str]:
    """The text and what it may be the English plural of, likeliest first: "glasses" itself, then "glass"."""
    forms = [text]
    if text.endswith("ies") and len(text) > 4:
        forms.append(f"{text[:-3]}y")
    if text.endswith(("ches", "shes", "sses", "xes", "zes")):
        forms.append(text[:-2])
    if text.endswith("s") and not text.endswith("ss") and len(text) > 3:
        forms.append(text[:-1])
    return forms


def is_prefix(text: str) -> bool:
    """Whether a word stands for all that begin as it does."""
    return text.endswith("*")


def is_plain(node: Node) -> bool:
    """Whether it is a bare word that may be part of a tag's name."""
    return isinstance(node, Word) and not is_prefix(node.text)
