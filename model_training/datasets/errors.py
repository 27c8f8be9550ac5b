"""What is wrong with the data, in a sentence for the person who can mend it."""

from __future__ import annotations

from collections.abc import Collection

_SHOWN = 10


class DataError(Exception):
    """The labelled pictures cannot be learned from. The text names the file or label and what to do."""


def listed(things: Collection[object]) -> str:
    """The first few of them, one a line, and how many more there are."""
    lines = [f"  {thing}" for thing in list(things)[:_SHOWN]]
    if len(things) > _SHOWN:
        lines.append(f"  … and {len(things) - _SHOWN:,} more")
    return "\n".join(lines)
