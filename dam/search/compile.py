"""What the search language means: a tree of words becomes a condition on assets.

A word finds the assets that carry the tag of that name, or whose name, title or description holds the
word. ``Asset.tag_ids`` holds the tags people see with everything above them in the vocabulary, and no
rejected ones, so "animal" finds a beagle and a rejected "dog" finds nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

from django.contrib.postgres.search import SearchQuery
from django.db.models import F, Q, Value
from django.db.models.functions import Concat

from dam.assets.naming import normalise
from dam.search.language import All, Either, Field, Node, Not, Phrase, Word, parse, walk
from dam.tagging.models import Tag

# No tag's name that people type without quotation marks is longer, in words.
_LONGEST_NAME = 5

_NOTHING = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition on assets, and what people should know about it."""

    condition: Q
    notices: tuple[str, ...] = ()


def compile_query(text: str) -> Compiled:
    """Compile a query; at most two database queries, for the names of tags.

    Raises:
        SearchError: the query cannot be understood.
    """
    tree = parse(text)
    if tree is None:
        return Compiled(Q())
    names = _Names.of(tree)
    notices: list[str] = []
    condition = _condition(tree, names, notices)
    if condition is None:
        return Compiled(_NOTHING, ("There is no letter or digit to search for.",))
    return Compiled(condition, tuple(dict.fromkeys(notices)))


def tags_named(name: str) -> list[int]:
    """Ids of the tags that ``tag:name`` means: that slug, else all of that name or synonym."""
    return sorted(_Names.of(Field("tag", name)).named(name))


# ---------------------------------------------------------------- condition


def _condition(node: Node, names: _Names, notices: list[str]) -> Q | None:
    """The condition of a part; None for mere punctuation, which is as if it had not been typed."""
    match node:
        case Word():
            return _run([node], names)
        case Phrase(text=text):
            words = normalise(text)
            return _tagged(names.exact(words)) | _written(words, "phrase") if words else None
        case Field(value=value):
            ids = names.named(value)
            if not ids:
                notices.append(f"There is no tag “{value}”.")
            return _tagged(ids)
        case Not(node=inner):
            condition = _condition(inner, names, notices)
            return None if condition is None else ~condition
        case Either(nodes=nodes):
            return _joined((_condition(child, names, notices) for child in nodes), any_of=True)
        case All(nodes=nodes):
            return _joined(_conditions_of_all(nodes, names, notices), any_of=False)


def _conditions_of_all(nodes: tuple[Node, ...], names: _Names, notices: list[str]) -> Iterator[Q | None]:
    for bare, group in groupby(nodes, key=lambda node: isinstance(node, Word)):
        if bare:
            yield _run([node for node in group if isinstance(node, Word)], names)
        else:
            for node in group:
                yield _condition(node, names, notices)


def _run(words: list[Word], names: _Names) -> Q | None:
    """Consecutive bare words: the longest names of tags among them from the left, then single words."""
    texts = [text for text in (normalise(word.text) for word in words) if text]
    conditions: list[Q | None] = []
    start = 0
    while start < len(texts):
        for length in range(min(_LONGEST_NAME, len(texts) - start), 0, -1):
            text = " ".join(texts[start : start + length])
            ids = names.meant(text)
            if ids or length == 1:
                break
        # "hot dog" is one thing, and a file called dog_on_a_hot_day.jpg has been asked for as well;
        # what was typed as one word, such as IMG_2041, stands in that order.
        written = _written(text, "plain" if length > 1 else "phrase")
        conditions.append(_tagged(ids or names.holding(text)) | written)
        start += length
    return _joined(conditions, any_of=False)


def _tagged(ids: Iterable[int]) -> Q:
    ids = sorted(ids)
    return Q(tag_ids__overlap=ids) if ids else _NOTHING


def _written(words: str, kind: str) -> Q:
    return Q(words=SearchQuery(words, config="simple", search_type=kind))


def _joined(conditions: Iterable[Q | None], *, any_of: bool) -> Q | None:
    present = [condition for condition in conditions if condition is not None]
    if not present:
        return None
    return reduce(operator.or_ if any_of else operator.and_, present)


# -------------------------------------------------------------------- names


@dataclass(frozen=True, slots=True)
class _Names:
    """Every tag that the words of one query may mean."""

    by_name: Mapping[str, frozenset[int]]
    """Normalised name or synonym → active tags."""
    by_slug: Mapping[str, int]
    by_word: Mapping[str, frozenset[int]]
    """Word that is no tag's name → active tags whose name holds it."""

    @classmethod
    def of(cls, tree: Node) -> _Names:
        """Look up all names that the tree may mean."""
        wanted: set[str] = set()
        slugs: set[str] = set()
        single: set[str] = set()
        for node in walk(tree):
            if isinstance(node, All):
                wanted.update(_neighbours(node))
            elif isinstance(node, Word):
                single.add(normalise(node.text))
            elif isinstance(node, Phrase):
                wanted.add(normalise(node.text))
            elif isinstance(node, Field):
                wanted.add(normalise(node.value))
                slugs.add(node.value.casefold())
        wanted |= single
        forms = {form for text in wanted for form in _forms(text)}
        by_name: dict[str, set[int]] = {}
        by_slug: dict[str, int] = {}
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

    def named(self, text: str) -> frozenset[int]:
        """What ``tag:text`` means."""
        tag_id = self.by_slug.get(text.casefold())
        return frozenset({tag_id}) if tag_id is not None else self.exact(normalise(text))


def _neighbours(node: All) -> Iterator[str]:
    """Every stretch of neighbouring bare words that may be the name of one tag."""
    for bare, group in groupby(node.nodes, key=lambda child: isinstance(child, Word)):
        if not bare:
            continue
        texts = [text for text in (normalise(word.text) for word in group if isinstance(word, Word)) if text]
        for start in range(len(texts)):
            for end in range(start + 2, min(start + _LONGEST_NAME, len(texts)) + 1):
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
