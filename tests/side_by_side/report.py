"""What came of a run of pytest, from the JUnit file and the output that it writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

_PERCENT = re.compile(r"\[ *(\d+)%\]$", re.MULTILINE)
_LETTERS = re.compile(r"^(?:\S+\.py )?([.FEsxX]+)(?= *(?:\[|$))", re.MULTILINE)
_MESSAGE_CHARACTERS = 160


@dataclass
class Report:
    """One run, or several together."""

    counts: Counter[str] = field(default_factory=Counter)
    """Tests by ``passed``, ``skipped`` and ``failed``, in whichever of their parts."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """What failed as ``file::test``, and the first line of why."""
    seconds: Counter[str] = field(default_factory=Counter)
    """What each file took, starts of services included if it was the first to need them."""

    def in_words(self) -> str:
        """``1 failed, 7 passed``."""
        words = ("failed", "passed", "skipped")
        return ", ".join(f"{self.counts[word]} {word}" for word in words if self.counts[word]) or "no tests"


def read_report(path: Path) -> Report:
    """What a run wrote to ``--junitxml``.

    Raises:
        FileNotFoundError: it ended before it wrote anything.
    """
    report = Report()
    for case in ET.parse(path).getroot().iter("testcase"):
        # The class is the file with dots; for a file that cannot be imported, the name is that.
        file, name = case.get("classname", "").replace(".", "/"), case.get("name", "")
        name = f"{file}.py::{name}" if file else name
        if file:
            report.seconds[f"{file}.py"] += float(case.get("time", 0))
        outcome = "passed"
        for child in case:
            if child.tag == "skipped":
                outcome = "skipped"
            elif child.tag in {"failure", "error"}:
                outcome = "failed"
                message = child.get("message", "").partition("\n")[0]
                report.failures.append((name, message[:_MESSAGE_CHARACTERS]))
        report.counts[outcome] += 1
    return report


def together(reports: Iterable[Report]) -> Report:
    """Their sum."""
    whole = Report()
    for report in reports:
        whole.counts += report.counts
        whole.failures += report.failures
        whole.seconds += report.seconds
    return whole


def progress(output: str) -> tuple[int, int]:
    """How far a running pytest says that it is, in percent, and how many of its tests failed so far."""
    percents = _PERCENT.findall(output)
    letters = "".join(_LETTERS.findall(output))
    return int(percents[-1]) if percents else 0, letters.count("F") + letters.count("E")
