"""Where Vitrine's version is written, for reading it and for writing the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_VERSION = r"\d+\.\d+\.\d+"
_FORM = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class ReleaseError(Exception):
    """What keeps a release from being made, in words for whoever makes it."""


@dataclass(frozen=True)
class Place:
    """A pattern of one line of a file, with the version as its only group."""

    file: str
    line: str
    """Every match counts: a file may say it more than once."""


PLACES = (
    Place("pyproject.toml", rf'^version = "({_VERSION})"$'),
    Place("dam/settings.py", rf'^    "VERSION": "({_VERSION})",$'),
    Place("deploy/k8s/chart/Chart.yaml", rf"^version: ({_VERSION})$"),
    Place("deploy/k8s/chart/Chart.yaml", rf'^appVersion: "({_VERSION})"$'),
    Place("deploy/k8s/examples/restore.yaml", rf'"vitrine/catalogue:({_VERSION})"'),
    Place("docker/compose.yaml", rf"\$\{{VITRINE_VERSION:-({_VERSION})\}}"),
    Place("docker/compose.local.yaml", rf"\$\{{VITRINE_VERSION:-({_VERSION})\}}"),
    Place("docker/catalogue.Dockerfile", rf"-t vitrine/catalogue:({_VERSION}) "),
    Place("docker/training.Dockerfile", rf"-t vitrine/training:({_VERSION}) "),
    Place("docker/worker.Dockerfile", rf"-t vitrine/worker:({_VERSION}) "),
)


def version_of(text: str) -> str:
    """A version as people give it, ``1.2.3`` or its tag ``v1.2.3``, without the letter.

    Raises:
        ReleaseError: it is no such version. Pre-releases are none: Python and Helm write them differently.
    """
    version = text.removeprefix("v")
    if not _FORM.fullmatch(version):
        raise ReleaseError(f"{text!r} is no version: three numbers such as 1.2.3, or their tag v1.2.3")
    return version


def written(root: Path) -> Iterator[tuple[str, str]]:
    """Each place as ``FILE:LINE`` with the version that it names.

    Raises:
        ReleaseError: a file does not say it any more.
    """
    for place in PLACES:
        text = _read(root, place)
        found = list(re.finditer(place.line, text, re.MULTILINE))
        if not found:
            raise ReleaseError(f"{place.file} names no version where one is expected: {place.line}")
        for match in found:
            yield f"{place.file}:{text.count(chr(10), 0, match.start()) + 1}", match[1]


def write(root: Path, version: str) -> None:
    """Name another version in every place.

    Raises:
        ReleaseError: a file has no such place; nothing was written then.
    """
    texts: dict[str, str] = {}
    for place in PLACES:
        before = texts.get(place.file) or _read(root, place)
        after, count = re.subn(
            place.line, lambda match: match[0].replace(match[1], version), before, flags=re.MULTILINE
        )
        if not count:
            raise ReleaseError(f"{place.file} names no version where one is expected: {place.line}")
        texts[place.file] = after
    for file, text in texts.items():
        (root / file).write_text(text, encoding="utf-8")


def _read(root: Path, place: Place) -> str:
    try:
        return (root / place.file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReleaseError(f"{place.file} is missing, which names the version") from error
