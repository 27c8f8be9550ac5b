"""What ``docs/metrics.md`` says, row by row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_COLUMNS = ["name", "type", "labels", "unit", "meaning"]


@dataclass(frozen=True)
class Documented:
    """One row."""

    chapter: str
    """Without the service that may stand behind it in brackets."""
    name: str
    """As in the text format of Prometheus."""
    type: str
    labels: tuple[str, ...]
    unit: str
    meaning: str


@cache
def documented() -> tuple[Documented, ...]:
    """Every metric of the page."""
    chapter, columns, found = "", [], []
    for line in _PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            chapter = re.sub(r" \(`.*`\)$", "", line.lstrip("# "))
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not columns:
            columns = cells
        elif columns == _COLUMNS and not cells[0].startswith("-"):
            name, kind, labels, unit, meaning = cells
            found.append(
                Documented(
                    chapter, name.strip("`"), kind, tuple(re.findall(r"`(\w+)`", labels)), unit, meaning
                )
            )
    return tuple(found)
