"""Shares, differences and times in words."""

from __future__ import annotations

import pytest

from dam.library import figures
from dam.rollout.intervals import Interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.0123, "1.2 %"),
        (0.05, "5 %"),
        (0.934, "93 %"),
        (0.996, "99.6 %"),
        (0.9999, "99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_have_no_more_digits_than_they_are_worth(value: float | None, shown: str) -> None:
    assert figures.share(value) == shown


@pytest.mark.parametrize(
    ("interval", "shown", "verdict"),
    [
        (None, "too few to tell", "open"),
        (Interval(-0.083, -0.152, -0.01), "−8 (−15 to −1)", "worse"),
        (Interval(0.2, 0.05, 0.4), "+20 (+5 to +40)", "better"),
        (Interval(0.001, -0.002, 0.1), "±0 (0 to +10)", "open"),
        (Interval(0.0, 0.0, 0.0), "the same", "open"),
    ],
)
def test_differences_are_told_in_points(interval: Interval | None, shown: str, verdict: str) -> None:
    assert figures.difference(interval) == shown
    assert figures.verdict(interval) == verdict


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(None, "–"), (0.83, "0.8 ms"), (12.4, "12 ms"), (2400.0, "2.4 s")]
)
def test_times_are_told_in_units_that_fit(milliseconds: float | None, shown: str) -> None:
    assert figures.duration(milliseconds) == shown
