"""Tags and the vocabulary that holds them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def slugify(name: str) -> str:
    """A name as it stands in addresses and queries: ASCII, lower case, words joined by hyphens."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower().replace("'", "")).strip("-")


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry. ``kind`` is ``leaf`` or ``ancestor``; ``classes`` are positions in the softmax.

    A ``trained`` tag has a head of its own, which scores it alone; its classes, if it has any, say where it
    stands in the tree.
    """

    slug: str
    name: str
    kind: str
    classes: frozenset[int]
    parents: tuple[str, ...]
    synonyms: tuple[str, ...]
    threshold: float
    trained: bool = False

    def as_json(self) -> dict[str, Any]:
        """What the catalogue needs to know; the classes stay inside the model."""
        return {
            "slug": self.slug,
            "name": self.name,
            "kind": self.kind,
            "parents": list(self.parents),
            "synonyms": list(self.synonyms),
            "threshold": self.threshold,
        }


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tags in the order of the model's scores."""

    source: str
    tags: tuple[Tag, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The slugs."""
        return tuple(tag.slug for tag in self.tags)

    @property
    def id(self) -> str:
        """Names the contents: another tag, class, head, name or threshold is another vocabulary."""
        # What has no head is named as before there were any.
        contents = [
            [tag.as_json(), sorted(tag.classes), *(["trained"] if tag.trained else [])] for tag in self.tags
        ]
        digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
        return f"{self.source}-{digest[:12]}"

    def above(self) -> dict[str, frozenset[str]]:
        """For each tag all tags over it, its parents and theirs, by slug."""
        parents = {tag.slug: tag.parents for tag in self.tags}
        found: dict[str, frozenset[str]] = {}

        def collect(slug: str) -> frozenset[str]:
            if slug not in found:
                found[slug] = frozenset(parents[slug]).union(*map(collect, parents[slug]))
            return found[slug]

        return {slug: collect(slug) for slug in parents}

    def membership(self, classes: int) -> NDArray[np.float32]:
        """0/1 matrix ``[classes, L]``: probabilities times it are the scores of tags made of classes."""
        matrix = np.zeros((classes, len(self.tags)), dtype=np.float32)
        for column, tag in enumerate(self.tags):
            matrix[sorted(tag.classes), column] = 1
        return matrix

    def as_json(self) -> dict[str, Any]:
        """The contents of ``assets.extra/vocabulary.json``."""
        return {"vocabulary_id": self.id, "tags": [tag.as_json() for tag in self.tags]}
