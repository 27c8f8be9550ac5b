"""Write the chart's README: ``python deploy/k8s/readme.py [--check]``.

Its head is ``chart/README.head.md``, by hand; the tables come from ``chart/values.yaml``: a comment
``# -- Text`` above a key, going on in the lines below it, documents that key (the convention of helm-docs).
A comment ``# @default -- text`` says something else than the default. A map whose children have no such
comment is one row. A value without a row is an error. A line ``## Title`` begins a section.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_CHART = Path(__file__).resolve().parent / "chart"
_README = _CHART / "README.md"
_VERSIONS = "@VERSIONS@"
_TYPES = {bool: "bool", int: "int", float: "number", str: "string", list: "list", dict: "object"}
_SECTION, _BEGIN, _DEFAULT = "## ", "-- ", "@default -- "


class UndocumentedError(Exception):
    """Values without a comment; the message names them."""


@dataclass(frozen=True)
class Value:
    """One entry of ``values.yaml``."""

    path: tuple[str, ...]
    said: str
    """What its comment says; empty: it has none."""
    default: str
    kind: str
    children: tuple[Value, ...]
    section: str
    """Title of the part of the file that it stands in."""

    def documents(self) -> bool:
        """Whether it or anything below it has a comment."""
        return bool(self.said) or any(child.documents() for child in self.children)

    def rows(self) -> Iterator[Value]:
        """What stands in the tables: a map with documented children is opened, any other is one row."""
        if not any(child.documents() for child in self.children):
            yield self
            return
        for child in self.children:
            yield from child.rows()


def main() -> int:
    """Returns 1 if ``--check`` finds the README stale or a value is not documented, else 0."""
    parser = argparse.ArgumentParser(description="Write the chart's README.")
    parser.add_argument("--check", action="store_true", help="change nothing, say whether it is stale")
    asked = parser.parse_args()
    try:
        wanted = readme(
            (_CHART / "README.head.md").read_text(encoding="utf-8"),
            (_CHART / "Chart.yaml").read_text(encoding="utf-8"),
            (_CHART / "values.yaml").read_text(encoding="utf-8"),
        )
    except UndocumentedError as error:
        sys.stdout.write(f"values.yaml: {error}\n")
        return 1
    stale = not _README.is_file() or _README.read_text(encoding="utf-8") != wanted
    if stale and asked.check:
        sys.stdout.write("stale: chart/README.md\nRun: python deploy/k8s/readme.py\n")
        return 1
    if stale:
        _README.write_text(wanted, encoding="utf-8")
        sys.stdout.write("updated: chart/README.md\n")
    return 0


def readme(head: str, chart: str, values: str) -> str:
    """The README.

    Args:
        head: its first part; ``@VERSIONS@`` stands for the versions of chart, Vitrine and Kubernetes.
        chart: ``Chart.yaml``.
        values: ``values.yaml``.

    Raises:
        UndocumentedError: a value has no comment.
    """
    about = yaml.safe_load(chart)
    kubernetes = about["kubeVersion"].removeprefix(">=").partition("-")[0]
    versions = f"Chart {about['version']}, Vitrine {about['appVersion']}, Kubernetes {kubernetes} or newer"
    top = values_of(values)
    silent = [".".join(row.path) for value in top for row in value.rows() if not row.said]
    if silent:
        raise UndocumentedError(f"no comment `# -- …` above {', '.join(silent)}")
    parts = [
        "<!-- Written by deploy/k8s/readme.py: change values.yaml or README.head.md and run it again. -->",
        head.replace(_VERSIONS, versions).strip(),
        "## Values",
    ]
    for title, group in itertools.groupby(top, key=lambda value: value.section):
        rows = [row for value in group for row in value.rows()]
        lines = [
            f"| `{'.'.join(row.path)}` | {row.kind} | {row.default} | {_cell(row.said)} |" for row in rows
        ]
        parts += [f"### {title}", "\n".join(["| key | type | default | |", "|---|---|---|---|", *lines])]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def values_of(text: str) -> tuple[Value, ...]:
    """The entries of a ``values.yaml``, with what their comments say."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return _children(node, (), text.splitlines()) if isinstance(node, yaml.MappingNode) else ()


def _children(node: yaml.MappingNode, path: tuple[str, ...], lines: Sequence[str]) -> tuple[Value, ...]:
    return tuple(_value(key, value, path, lines) for key, value in node.value)


def _value(key: Any, node: yaml.Node, path: tuple[str, ...], lines: Sequence[str]) -> Value:
    above = key.start_mark.line
    # In `{a: 1}` the comment above is about the whole.
    alone = not lines[above][: key.start_mark.column].strip()
    said, default = _comment(lines, above) if alone else ("", "")
    here = (*path, str(key.value))
    value = yaml.SafeLoader("").construct_object(node, deep=True)
    children = _children(node, here, lines) if isinstance(node, yaml.MappingNode) else ()
    written = default or f"`{_cell(json.dumps(value, ensure_ascii=False))}`"
    return Value(here, said, written, _TYPES.get(type(value), "null"), children, _section(lines, above))


def _section(lines: Sequence[str], line: int) -> str:
    titles = (one.removeprefix(_SECTION) for one in reversed(lines[:line]) if one.startswith(_SECTION))
    return next(titles, "General")


def _comment(lines: Sequence[str], line: int) -> tuple[str, str]:
    """What the comment above a line says, and what it says of the default."""
    block: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].lstrip().removeprefix("#").removeprefix(" "))
    begins = [number for number, words in enumerate(block) if words.startswith(_BEGIN)]
    if not begins:
        return "", ""
    words = [words.strip() for words in block[begins[-1] :]]
    default = next((one.removeprefix(_DEFAULT) for one in words if one.startswith(_DEFAULT)), "")
    return " ".join(one for one in words if one and one[0] != "@").removeprefix(_BEGIN), default


if __name__ == "__main__":
    sys.exit(main())
