"""The made-up library in numbers: a vocabulary with a hierarchy, tags by Zipf, embeddings in clusters.

Everything follows from the seed, so two libraries of one size are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SEED = 20260101
LEVELS = (24, 80, 190, 406)
"""Tags at each level above the leaves: "animal" first."""
LEAVES = 1_300
TAGS = sum(LEVELS) + LEAVES
SHOWN_LEAVES, SHOWN_ANCESTORS = 4, 3
DIMENSIONS = 320
EMBEDDING_ID = "made-up-1"
CHUNK = 20_000

# Places in the order of how common a leaf is.
APART = (7, 8)
"""Two common tags that no picture has together, which no statistics tell the planner."""
EVENT = 15
"""A tag that only the oldest tenth has: whoever looks for its newest pictures from the top looks long."""
EVENT_SHARE = 0.1

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]


@dataclass(frozen=True)
class Word:
    """A tag to be: numbers begin with 1 and are its id."""

    number: int
    name: str
    parents: tuple[int, ...]
    ancestors: tuple[int, ...]
    is_leaf: bool


def made_up_words(count: int, seed: int = SEED) -> list[str]:
    """So many different words that can be spoken; the first are the same whatever the count."""
    rng = np.random.default_rng(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        length = int(rng.integers(2, 5))
        words["".join(_SYLLABLES[int(i)] for i in rng.integers(0, len(_SYLLABLES), length))] = None
    return list(words)


def vocabulary() -> list[Word]:
    """All tags, ancestors first: some of them have two parents, as in WordNet."""
    rng = np.random.default_rng(SEED)
    names = made_up_words(TAGS + 400)
    words: list[Word] = []
    above: list[int] = []
    for level, size in enumerate((*LEVELS, LEAVES)):
        here = range(len(words) + 1, len(words) + 1 + size)
        for number in here:
            parents: tuple[int, ...] = ()
            if above:
                count = 2 if rng.random() < 0.15 else 1
                parents = tuple(sorted({int(p) for p in rng.choice(above, count)}))
            ancestors = {a for parent in parents for a in words[parent - 1].ancestors} | set(parents)
            # A fifth of the names are two words, as "golden retriever".
            name = names[number - 1] + (f" {names[TAGS + number % 400]}" if number % 5 == 0 else "")
            words.append(Word(number, name, parents, tuple(sorted(ancestors)), is_leaf=level == len(LEVELS)))
        above = list(here)
    return words


def leaves_by_rank() -> NDArray[np.int64]:
    """Ids of the leaves, the commonest first."""
    first = TAGS - LEAVES + 1
    return np.random.default_rng(SEED + 1).permutation(np.arange(first, first + LEAVES))


def tag_rows(assets: int, words: list[Word]) -> Iterator[tuple[int, list[int], list[int], list[int]]]:
    """For each asset: its id, its leaves (the best first), ancestors that are shown, all tag ids."""
    ranked = leaves_by_rank()
    weights = 1 / (np.arange(LEAVES) + 1.5)
    weights /= weights.sum()
    first, second = (int(ranked[place]) for place in APART)
    event, instead = int(ranked[EVENT]), int(ranked[EVENT + 1])
    oldest = int(assets * EVENT_SHARE)
    rng = np.random.default_rng(SEED + 2)
    for start in range(1, assets + 1, CHUNK):
        count = min(CHUNK, assets + 1 - start)
        drawn = rng.choice(ranked, size=(count, SHOWN_LEAVES), p=weights)
        at_event = rng.random(count) < 0.3
        for row in range(count):
            number = start + row
            leaves = list(dict.fromkeys(drawn[row].tolist()))
            if number <= oldest and at_event[row]:
                leaves[0] = event
            elif event in leaves:
                leaves[leaves.index(event)] = instead
            leaves = [leaf for leaf in dict.fromkeys(leaves) if leaf != second or first not in leaves]
            ids = set(leaves).union(*(words[leaf - 1].ancestors for leaf in leaves))
            nearest = dict.fromkeys(p for leaf in leaves for p in words[leaf - 1].parents)
            yield number, leaves, list(islice(nearest, SHOWN_ANCESTORS)), sorted(ids)


def embeddings(clusters: NDArray[np.int64], seed: int) -> NDArray[np.float16]:
    """Unit vectors around the centres of their two clusters, ``[N, 2]`` → ``[N, 320]``."""
    fixed = np.random.default_rng(SEED + 3)
    centres = _centres(fixed)
    spread = fixed.standard_normal((24, DIMENSIONS), dtype=np.float32) / np.sqrt(DIMENSIONS)
    rng = np.random.default_rng(seed)
    count = len(clusters)
    vectors = centres[clusters[:, 0]] + 0.5 * centres[clusters[:, 1]]
    # Pictures differ in a few directions much, and in all of them a little.
    vectors += 0.12 * rng.standard_normal((count, 24), dtype=np.float32) @ spread
    vectors += 0.2 / np.sqrt(DIMENSIONS) * rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16)


def _centres(rng: np.random.Generator) -> NDArray[np.float32]:
    """Where the pictures of each tag lie: near those of what is above it, as a model of pictures has them."""
    own = rng.standard_normal((TAGS + 1, DIMENSIONS), dtype=np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    centres = own.copy()
    for word in vocabulary():
        if word.parents:
            centres[word.number] += centres[list(word.parents)].mean(axis=0)
        centres[word.number] /= np.linalg.norm(centres[word.number])
    return centres


_SPACE = EMBEDDING_ID.encode()
_PAIRED_US = 25 * 365 * 86_400 * 1_000_000
"""Since the year 2000, as PostgreSQL counts: compared with all others long ago."""
_LIKENESS = np.dtype(
    [
        ("fields", ">i2"),
        ("id_size", ">i4"),
        ("id", ">i8"),
        ("space_size", ">i4"),
        ("space", f"S{len(_SPACE)}"),
        ("vector_size", ">i4"),
        ("dimensions", ">i2"),
        ("unused", ">i2"),
        ("vector", ">f2", (DIMENSIONS,)),
        ("print_size", ">i4"),
        ("print", ">i8"),
        ("bands_size", ">i4"),
        ("bands_head", ">i4", (5,)),
        ("bands", [("size", ">i4"), ("value", ">i4")], (4,)),
        ("paired_size", ">i4"),
        ("paired", ">i8"),
    ]
)


def likeness_bytes(ids: NDArray[np.int64], clusters: NDArray[np.int64]) -> bytes:
    """Rows of (asset, space, embedding, fingerprint, bands, paired) as binary COPY wants them."""
    count = len(ids)
    rng = np.random.default_rng(SEED + 4 + int(ids[0]))
    prints = rng.integers(-(2**63), 2**63, size=count, dtype=np.int64)
    # Every hundredth picture is a copy of the one before it, but for two bits.
    copies = np.arange(count) % 100 == 99
    prints[copies] = prints[np.flatnonzero(copies) - 1] ^ 0b100010
    bits = prints.view(np.uint64)
    rows = np.zeros(count, _LIKENESS)
    rows["fields"], rows["id_size"], rows["id"] = 6, 8, ids
    rows["space_size"], rows["space"] = len(_SPACE), _SPACE
    rows["vector_size"], rows["dimensions"] = 4 + 2 * DIMENSIONS, DIMENSIONS
    rows["vector"] = embeddings(clusters, SEED + int(ids[0]))
    rows["print_size"], rows["print"] = 8, prints
    rows["bands_size"], rows["bands_head"] = 20 + 4 * 8, (1, 0, 23, 4, 1)
    rows["bands"]["size"] = 4
    for band in range(4):
        value = (bits >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        rows["bands"]["value"][:, band] = value.astype(np.int64) + (band << 16)
    rows["paired_size"], rows["paired"] = 8, _PAIRED_US
    return rows.tobytes()


COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_END = b"\xff\xff"
