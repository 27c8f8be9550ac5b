"""File names as people gave them, made harmless; and text as search sees it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

MAX_NAME = 255
_NOT_WORDS = re.compile(r"[\W_]+")
# Control characters, halves of surrogate pairs, line and paragraph separators.
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
_DIGITS = re.compile(r"\d+")


def clean_filename(name: str) -> str:
    """The last component without control characters, at most 255 characters, its suffix kept.

    ``../``, back slashes and drive letters of the client's system name folders and are dropped; quotes
    and emoji stay. The name is shown and downloaded, never used as a path here.
    """
    text = unicodedata.normalize("NFC", name.replace("\\", "/"))
    text = PurePosixPath(text).name
    text = "".join(char for char in text if unicodedata.category(char) not in _UNSEEN).strip()
    if text in {"", ".", ".."}:
        return "unnamed"
    if len(text) <= MAX_NAME:
        return text
    suffix = PurePosixPath(text).suffix
    if len(suffix) > 10:
        suffix = ""
    return text[: MAX_NAME - len(suffix)] + suffix


def normalise(text: str) -> str:
    """Lower-case words without accents: ``"Crème_Brûlée-2.JPG"`` → ``"creme brulee 2 jpg"``."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _NOT_WORDS.sub(" ", bare.casefold()).strip()


def sort_key(name: str) -> str:
    """Orders as people count: ``IMG_9`` before ``IMG_10``."""
    return _DIGITS.sub(lambda digits: digits.group().zfill(8)[-20:], normalise(name))[:MAX_NAME]
