"""CHANGELOG.md in the form of Keep a Changelog: its sections, and a new one for a release."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from places import ReleaseError

_HEADING = re.compile(r"^## \[(?P<name>[^]]+)\](?: - (?P<date>\S+))?[ \t]*$", re.MULTILINE)
_UNRELEASED = "Unreleased"


@dataclass(frozen=True)
class Section:
    """What changed in a version. ``date`` is empty for what is not released."""

    name: str
    date: str
    text: str


def sections(changelog: str) -> list[Section]:
    """The sections of a changelog, in its order, which is newest first."""
    found = list(_HEADING.finditer(changelog))
    ends = [*(match.start() for match in found[1:]), len(changelog)]
    return [
        Section(match["name"], match["date"] or "", changelog[match.end() : end].strip())
        for match, end in zip(found, ends, strict=True)
    ]


def notes_of(changelog: str, version: str) -> str:
    """What changed in a version, as Markdown.

    Raises:
        ReleaseError: there is no section, or two; it is not the newest; it has no date, or nothing in it.
    """
    known = sections(changelog)
    named = [section for section in known if section.name == version]
    if len(named) != 1:
        raise ReleaseError(
            f"CHANGELOG.md has {len(named) or 'no'} sections [{version}]: `make release-version`"
        )
    section = named[0]
    try:
        dt.date.fromisoformat(section.date)
    except ValueError as error:
        raise ReleaseError(f"CHANGELOG.md: section [{version}] has no date such as 2026-12-24") from error
    if not re.search(r"^- ", section.text, re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md: section [{version}] says nothing")
    newest = next(each for each in known if each.name != _UNRELEASED)
    if newest is not section:
        raise ReleaseError(
            f"CHANGELOG.md: [{newest.name}] stands above [{version}], which has to be the newest"
        )
    return section.text


def with_release(changelog: str, version: str, date: dt.date) -> str:
    """The changelog with what was not released as the section of a version, and an empty one above it.

    Raises:
        ReleaseError: the version has a section already, or there is nothing to release.
    """
    known = sections(changelog)
    if any(section.name == version for section in known):
        raise ReleaseError(f"CHANGELOG.md has a section [{version}] already")
    waiting = next((section for section in known if section.name == _UNRELEASED), None)
    if waiting is None or not waiting.text:
        raise ReleaseError(f"CHANGELOG.md has nothing below [{_UNRELEASED}]: what is to be released?")
    heading = f"## [{_UNRELEASED}]"
    return changelog.replace(heading, f"{heading}\n\n## [{version}] - {date.isoformat()}", 1)
