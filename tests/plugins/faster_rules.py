"""Rules of Prometheus in which time runs faster: nobody waits ten minutes in a test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = r"(?:\d+[smhdw])+"
_IN_EXPRESSION = re.compile(rf"(?<=\[){_DURATION}(?=[\]:])|(?<=:){_DURATION}(?=\])|(?<=offset ){_DURATION}")
_KEYS = ("for", "keep_firing_for", "interval")


def faster(rules: str, factor: int) -> str:
    """Divide every duration of a file of rules: waits, intervals, ranges and offsets.

    Numbers that are compared, such as ages in seconds, stay as they are, and so do names.

    Args:
        rules: the file's text.
        factor: what they are divided by; no duration becomes shorter than a second.
    """
    content = yaml.safe_load(rules)
    for group in content["groups"]:
        _shorten(group, factor)
        for rule in group["rules"]:
            _shorten(rule, factor)
            rule["expr"] = _IN_EXPRESSION.sub(lambda found: _shorter(found[0], factor), rule["expr"])
    return yaml.safe_dump(content, sort_keys=False, width=1000)


def write_faster(rules: Path, to: Path, factor: int) -> list[Path]:
    """The same for every file of a folder; returns those that were written."""
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(rules.glob("*.yml")):
        (to / path.name).write_text(faster(path.read_text(encoding="utf-8"), factor), encoding="utf-8")
        written.append(to / path.name)
    return written


def _shorten(part: dict[str, Any], factor: int) -> None:
    for key in _KEYS:
        if key in part:
            part[key] = _shorter(part[key], factor)


def _shorter(duration: str, factor: int) -> str:
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", duration))
    return f"{max(1, round(seconds / factor))}s"
