"""Measured numbers in people's words: no more digits than the numbers are worth."""

from __future__ import annotations

from dam.rollout.intervals import Interval

_MINUS = "\u2212"
_SMALL = 0.095


def share(value: float | None) -> str:
    """0.934 → ``93 %``, 0.0123 → ``1.2 %``; what is not quite nothing or all is not called so."""
    if value is None:
        return "–"
    percent = value * 100
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99 < percent < 100:
        return f"{min(99.9, percent):.1f} %"
    return f"{percent:.0f} %" if value >= _SMALL else f"{round(percent, 1):g} %"


def points(value: float) -> str:
    """A difference of shares in percentage points: -0.083 → ``−8``."""
    rounded = round(value * 100)
    sign = _MINUS if rounded < 0 else "+" if rounded > 0 else "±"
    return f"{sign}{abs(rounded)}"


def points_between(interval: Interval) -> str:
    """``−15 to +1``."""
    return f"{points(interval.low)} to {points(interval.high)}".replace("±", "")


def difference(interval: Interval | None) -> str:
    """A difference of shares in points with its interval: ``−8 (−15 to +1)``."""
    if interval is None:
        return "too few to tell"
    if interval.low == interval.high == 0:
        return "the same"
    return f"{points(interval.estimate)} ({points_between(interval)})"


def verdict(interval: Interval | None) -> str:
    """Whether a difference is surely ``worse`` or surely ``better``, or still ``open``."""
    if interval is None:
        return "open"
    return "worse" if interval.high < 0 else "better" if interval.low > 0 else "open"


def duration(milliseconds: float | None) -> str:
    """0.83 → ``0.8 ms``, 12.4 → ``12 ms``, 2400 → ``2.4 s``."""
    if milliseconds is None:
        return "–"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
