"""The filters of the search language: their names, what they mean, and what may stand behind the colon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dam.search.language_values import (
    BYTES,
    PIXELS,
    read_bounds,
    read_choice,
    read_id,
    read_scored,
    read_span,
)

COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "grey",
    "white",
)
TYPES: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "heic": "image/heic",
}
NONE = "none"
"""Stands for “has none” where a picture may lack one."""

ORIENTATIONS = ("landscape", "portrait", "square")
STATES = ("untagged", "tagged", "pending", "failed", "needs-review")
RIGHTS = ("usable", "expired", "embargoed", "expiring")
RELEASES = ("not-needed", "obtained", "pending", "refused", "unknown")
MINE = "mine"


def _choices(words: Iterable[str], **others: str) -> dict[str, str]:
    return {word: word for word in words} | others


_TYPES = _choices(TYPES, jpg="jpeg", tif="tiff", heif="heic") | {
    f"image-{name}": name for name in (*TYPES, "jpeg")
}
_COLOURS = _choices(COLOURS, gray="grey", violet="purple", cyan="teal", turquoise="teal", magenta="pink")
_ORIENTATIONS = _choices(ORIENTATIONS)
_STATES = _choices(STATES)
_RIGHTS = _choices(RIGHTS)
_RELEASES = _choices(RELEASES)
_IS = _choices((MINE, *ORIENTATIONS, *STATES, *RIGHTS))


@dataclass(frozen=True, slots=True)
class Filter:
    """What ``name:`` takes."""

    meaning: str
    """For people, as in “tag: a tag by its name”."""
    example: str
    """A term that can be searched for as it stands."""
    read: Callable[[str], Any]
    """The value's meaning; raises ValueError with a sentence for people."""
    values: tuple[str, ...] = ()
    """All that it takes, if they are few."""


def _span_or_none(text: str) -> Any:
    return None if text.casefold() == NONE else read_span(text)


def _chosen(choices: Mapping[str, str]) -> Callable[[str], str]:
    return lambda text: read_choice(text, choices)


FIELDS: Mapping[str, Filter] = {
    "tag": Filter("a tag by its name", 'tag:"hot dog"', str),
    "collection": Filter("a collection and all below it, by name, path or number", 'collection:"A/B"', str),
    "album": Filter("an album by name or number", "album:holidays", str),
    "type": Filter("kind of file", "type:jpeg", _chosen(_TYPES), tuple(TYPES)),
    "width": Filter("pixels from left to right", "width:>2000", lambda text: read_bounds(text, PIXELS)),
    "height": Filter(
        "pixels from top to bottom", "height:1000..2000", lambda text: read_bounds(text, PIXELS)
    ),
    "size": Filter("size of the file", "size:>2mb", lambda text: read_bounds(text, BYTES)),
    "orientation": Filter(
        "wider or higher", "orientation:portrait", _chosen(_ORIENTATIONS), tuple(ORIENTATIONS)
    ),
    "taken": Filter("when it was taken", "taken:2024-05..2024-08", _span_or_none),
    "uploaded": Filter("when it was uploaded", "uploaded:<7d", read_span),
    "camera": Filter("part of the camera's name", "camera:canon", str),
    "color": Filter("a main colour", "color:red", _chosen(_COLOURS), COLOURS),
    "score": Filter("how sure the model is of a tag", "score:dog>0.9", read_scored),
    "state": Filter("what became of the tagging", "state:needs-review", _chosen(_STATES), STATES),
    "owner": Filter("who uploaded it; me", "owner:me", str),
    "licence": Filter("its licence, or none", "licence:cc-by*", str),
    "rights": Filter("whether it may be used", "rights:usable", _chosen(_RIGHTS), RIGHTS),
    "release": Filter("whether the people shown agreed", "release:obtained", _chosen(_RELEASES), RELEASES),
    "similar": Filter("what looks like a picture, by its number; best first", "similar:12", read_id),
    "is": Filter("short for orientation, state, rights or owner:me", "is:mine", _chosen(_IS), tuple(_IS)),
}

ALIASES: Mapping[str, str] = {"colour": "color", "license": "licence", "by": "owner", "in": "collection"}
"""Other spellings of a filter's name."""


def filter_named(name: str) -> str | None:
    """The name of a filter as the tree has it; None: there is none of that name."""
    wanted = name.casefold()
    wanted = ALIASES.get(wanted, wanted)
    return wanted if wanted in FIELDS else None


def is_equivalent(value: str) -> tuple[str, str]:
    """The filter and value that ``is:value`` is short for."""
    word = read_choice(value, _IS)
    if word == MINE:
        return "owner", "me"
    for name, words in (("orientation", ORIENTATIONS), ("state", STATES)):
        if word in words:
            return name, word
    return "rights", word


@dataclass(frozen=True, slots=True)
class FieldSuggestion:
    """What a filter that is being typed may become."""

    term: str
    """``width:`` or, once the colon stands, ``state:failed``."""
    meaning: str
    example: str


def suggest_fields(text: str, *, limit: int = 8) -> list[FieldSuggestion]:
    """Filters, or their values behind a colon, that what was typed is the beginning of."""
    typed = text.strip().lstrip("-").casefold()
    name, colon, value = typed.partition(":")
    if not colon:
        found = [key for key in FIELDS if name and key.startswith(name)]
        found += [ALIASES[key] for key in ALIASES if name and key.startswith(name)]
        return [
            FieldSuggestion(f"{key}:", FIELDS[key].meaning, FIELDS[key].example)
            for key in dict.fromkeys(found)
        ][:limit]
    known = filter_named(name)
    if known is None:
        return []
    kind = FIELDS[known]
    return [
        FieldSuggestion(f"{known}:{word}", kind.meaning, kind.example)
        for word in kind.values
        if word.startswith(value) and word != value
    ][:limit]
