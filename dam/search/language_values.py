"""What stands behind a filter's colon: numbers, days, scores and choices, or a sentence on what is wrong.

Every reader raises ``ValueError`` with a sentence for people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from dam.assets.naming import normalise

_COMPARED = re.compile(r"(>=|<=|>|<|=)?\s*(.+)", re.DOTALL)
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)")
_DAY = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?))?)?")
_AGE = re.compile(r"(\d{1,5})\s*([a-z]+)")
_SCORED = re.compile(r"(.*?[^<>=\s])\s*(>=|<=|>|<)\s*([\d.]+)\s*(%?)", re.DOTALL)
_AGES: Mapping[str, float] = {
    form: days
    for forms, days in (
        ("h hour hours", 1 / 24),
        ("d day days", 1),
        ("w week weeks", 7),
        ("m month months", 30),
        ("y year years", 365),
    )
    for form in forms.split()
}
_ID = re.compile(r"\d{1,18}")

BYTES: Mapping[str, int] = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
PIXELS: Mapping[str, int] = {"": 1, "px": 1}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whole numbers from ``low`` to ``high``, both included; None: no bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Moments from ``start`` on and before ``end``; None: no bound."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A tag by its name, and how sure the model has to be of it."""

    name: str
    lookup: str
    """``gt``, ``gte``, ``lt`` or ``lte``."""
    score: float


LOOKUPS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def read_bounds(text: str, units: Mapping[str, int]) -> Bounds:
    """``2000``, ``>2000``, ``<=2mb``, ``1000..2000``, ``..2mb``.

    A size with a unit is rounded as people read it: ``2mb`` is whatever is shown as 2 MB, 1.5 to 2.5.
    """
    if ".." in text:
        low_text, _, high_text = text.partition("..")
        low = _units(low_text, units)[0] if low_text.strip() else None
        high = _units(high_text, units)[0] if high_text.strip() else None
        if low is None and high is None:
            raise ValueError("There is no number on either side of “..”.")
        if low is not None and high is not None and low > high:
            raise ValueError(f"{low_text} is more than {high_text}.")
        return Bounds(low, high)
    sign, rest = _compared(text)
    number, step = _units(rest, units)
    if sign in {">", ">="}:
        return Bounds(low=number + (sign == ">"))
    if sign in {"<", "<="}:
        return Bounds(high=number - (sign == "<"))
    half = step // 2
    return Bounds(number - half, number + max(half - 1, 0))


def _compared(text: str) -> tuple[str, str]:
    found = _COMPARED.fullmatch(text.strip())
    if found is None:
        raise ValueError("Something is missing here.")
    return found[1] or "", found[2].strip()


def _units(text: str, units: Mapping[str, int]) -> tuple[int, int]:
    """The number, and what its last digit stands for."""
    found = _NUMBER.fullmatch(text.strip().casefold().replace(",", "").replace("_", ""))
    if found is None:
        raise ValueError(f"“{text.strip()}” is no number.")
    if found[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise ValueError(f"There is no unit “{found[2]}” here. Known: {known}.")
    unit = units[found[2]]
    digits = len(found[1].partition(".")[2])
    return int(Decimal(found[1]) * unit), max(unit // 10**digits, 1)


def read_span(text: str, now: datetime | None = None) -> Span:
    """``2024``, ``2024-05``, ``2024-05-03``, ``today``, ``2023..2024-05``, ``>=2024``, ``<7d``, ``>2w``.

    Days are those of UTC, as cameras' clocks are kept. ``<7d`` is what is younger than seven days; a month
    of an age has 30 days, a year 365.
    """
    now = now or timezone.now()
    if ".." in text:
        begins, _, ends = text.partition("..")
        return _between(begins.strip(), ends.strip(), now)
    sign, rest = _compared(text)
    age = _AGE.fullmatch(rest.casefold())
    if age is not None:
        moment = _ago(age, now)
        return Span(end=moment) if sign.startswith(">") else Span(start=moment)
    day = _day(rest, now)
    return {
        ">": Span(start=day.end),
        ">=": Span(start=day.start),
        "<": Span(end=day.start),
        "<=": Span(end=day.end),
    }.get(sign, day)


def _between(begins: str, ends: str, now: datetime) -> Span:
    if not begins and not ends:
        raise ValueError("There is no date on either side of “..”.")
    start = _day(begins, now).start if begins else None
    end = _day(ends, now).end if ends else None
    if start is not None and end is not None and start >= end:
        raise ValueError(f"{begins} is later than {ends}.")
    return Span(start, end)


def _ago(age: re.Match[str], now: datetime) -> datetime:
    days = _AGES.get(age[2])
    if days is None:
        raise ValueError(f"There is no unit “{age[2]}” here. Known: h, d, w, m, y (hours to years).")
    try:
        return now - timedelta(days=int(age[1]) * days)
    except OverflowError:
        raise ValueError(f"{age[0]} is too long ago.") from None


def _day(text: str, now: datetime) -> Span:
    """A year, a month or a day, from its first moment to the next one's."""
    named = {"today": 0, "yesterday": 1}.get(text.casefold())
    if named is not None:
        start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start -= timedelta(days=named)
        return Span(start, start + timedelta(days=1))
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError(f"“{text}” is no date. Write it as 2024, 2024-05 or 2024-05-03, or an age as <7d.")
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    if not 1000 <= year <= 9998:
        raise ValueError(f"There are no pictures of the year {found[1]}.")
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"There is no day {text} in the calendar.") from None
    if day is not None:
        return Span(start, start + timedelta(days=1))
    if month is not None:
        return Span(start, start.replace(year=year + month // 12, month=month % 12 + 1))
    return Span(start, start.replace(year=year + 1))


def read_scored(text: str) -> Scored:
    """``dog>0.9``, ``hot dog>=90%``."""
    found = _SCORED.fullmatch(text.strip())
    if found is None:
        raise ValueError("Write it as score:dog>0.9.")
    try:
        score = float(found[3]) / (100 if found[4] else 1)
    except ValueError:
        raise ValueError(f"“{found[3]}” is no number.") from None
    if score > 1:
        raise ValueError("A score lies between 0 and 1.")
    return Scored(name=found[1].strip(), lookup=LOOKUPS[found[2]], score=score)


def read_choice(text: str, choices: Mapping[str, str]) -> str:
    """One of these words, however it is spelt; the mapping gives what each means."""
    wanted = normalise(text).replace(" ", "-")
    if wanted not in choices:
        raise ValueError(f"There is no “{text}” here. Known: {', '.join(dict.fromkeys(choices.values()))}.")
    return choices[wanted]


def read_id(text: str) -> int:
    """The number of a picture."""
    number = read_number(text)
    if number is None:
        raise ValueError(f"“{text}” is not the number of a picture.")
    return number


def read_number(text: str) -> int | None:
    """The number of something, if the text is one."""
    return int(text) if _ID.fullmatch(text) and text.isascii() else None
