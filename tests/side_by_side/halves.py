"""The test files in two halves that take about as long, by what each file took when it was measured."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS = Path(__file__).with_name("seconds.txt")
"""Lines of seconds and file: what took long when the suite was measured last."""
UNMEASURED_S = 2.0
"""For a file that is not in the table, because it is new or because it takes no time."""

FIRST = ("tests/airflow/", "tests/dam/test_embedded_", "tests/e2e/")
"""Files that start the embedded system. They stay in one half: each system takes the first ports that are
free from a fixed one on, and two that look at the same moment would both take the same ones."""


def suite(root: Path) -> list[str]:
    """The suite, as paths relative to the repository."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob("tests/**/test_*.py"))


def read_seconds(table: Path = SECONDS) -> dict[str, float]:
    """The measured seconds of the files that took long."""
    rows = (line.split() for line in table.read_text(encoding="utf-8").splitlines())
    return {path: float(seconds) for seconds, path in rows}


def write_seconds(measured: Mapping[str, float], table: Path = SECONDS) -> None:
    """Keep what differs from the assumption for a file that is not in the table; the longest come first."""
    rows = sorted(((round(took), path) for path, took in measured.items()), key=lambda row: (-row[0], row[1]))
    text = "".join(f"{took:4} {path}\n" for took, path in rows if took > UNMEASURED_S)
    table.write_text(text, encoding="utf-8")


def in_halves(files: Sequence[str], seconds: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Cut the files into two halves at one place, so that neighbours share the services of their session.

    Args:
        files: paths relative to the repository.
        seconds: of some of them; others count as ``UNMEASURED_S``.

    Returns:
        Each half, in the order of the paths.
    """
    ordered = sorted(files, key=lambda path: (not path.startswith(FIRST), path))
    at_most = list(itertools.accumulate(seconds.get(path, UNMEASURED_S) for path in ordered))
    begins = [0.0, *at_most]
    fixed = sum(path.startswith(FIRST) for path in ordered)
    cut = min(range(fixed, len(begins)), key=lambda place: abs(2 * begins[place] - begins[-1]))
    return sorted(ordered[:cut]), sorted(ordered[cut:])
