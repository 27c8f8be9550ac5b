"""The tests' own shortening of waits: it must leave everything else as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring_files import RULES
from tests.plugins.faster_rules import faster

_RULES = """
groups:
  - name: some
    interval: 1m
    rules:
      - record: lane:late:rate5m
        expr: sum by (lane) (rate(late_total{window="5m"}[5m])) > 300 or x[1h:10m] offset 7d
      - alert: Late
        expr: lane:late:rate5m > 5 and time() - at > 3600
        for: 1h30m
        annotations: {description: for 5m}
"""


def test_every_duration_is_divided_and_nothing_else() -> None:
    (group,) = yaml.safe_load(faster(_RULES, 30))["groups"]
    assert group["interval"] == "2s"
    recording, alert = group["rules"]
    assert recording == {
        "record": "lane:late:rate5m",
        "expr": 'sum by (lane) (rate(late_total{window="5m"}[10s])) > 300 or x[120s:20s] offset 20160s',
    }
    assert alert == {
        "alert": "Late",
        "expr": "lane:late:rate5m > 5 and time() - at > 3600",
        "for": "180s",
        "annotations": {"description": "for 5m"},
    }


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yml")), ids=lambda path: path.name)
def test_our_rules_are_the_same_but_for_their_durations(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    as_it_is, shortened = (yaml.safe_load(each) for each in (text, faster(text, 30)))
    assert shortened != as_it_is
    assert _without_durations(shortened) == _without_durations(as_it_is)


def _without_durations(rules: dict) -> list[dict]:
    """Each rule, its ranges blotted out wherever brackets stand."""
    return [
        {
            **{key: value for key, value in rule.items() if key != "for"},
            "waits": "for" in rule,
            "expr": re.sub(r"\[[^\]]*\]|offset \w+", "[…]", rule["expr"]),
        }
        for group in rules["groups"]
        for rule in group["rules"]
    ]
