"""The words of a source as labels."""

from __future__ import annotations

from collections.abc import Iterable

from model_training.datasets.errors import DataError
from model_training.vocabulary.tags import slugify


class Words:
    """Collects what a source calls its labels. Words with the same slug are one label, named by the first."""

    def __init__(self, where: object) -> None:
        self._where = where
        self.names: dict[str, str] = {}
        """Slug → name, in the order in which they came."""
        self._slugs: dict[str, str] = {}

    def slug(self, word: str) -> str:
        """The label that a word means.

        Raises:
            DataError: nothing is left of the word: a slug has letters a to z and digits.
        """
        known = self._slugs.get(word)
        if known is not None:
            return known
        slug = slugify(word)
        if not slug:
            raise DataError(f"{self._where}: the label {word!r} has no letter a-z and no digit; rename it")
        self._slugs[word] = slug
        self.names.setdefault(slug, word.strip())
        return slug

    def slugs(self, words: Iterable[str]) -> frozenset[str]:
        """Likewise, for several; empty words are left out.

        Raises:
            DataError: see :meth:`slug`.
        """
        return frozenset(self.slug(word) for word in words if word.strip())
