"""Rules and configuration of Prometheus: valid, tested both ways, and explained."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.monitoring_files import (
    METRICS,
    MONITORING,
    RULE_TESTS,
    RUNBOOK,
    alerts,
    anchors,
    panel_queries,
    recordings,
)
from tests.deploy.promql import base_name, metrics_in

_RUNBOOK_URL = "{{ $externalLabels.vitrine_docs }}docs/runbook.md#"
_OF_PROMETHEUS = {"up", "ALERTS"}


def promtool(*words: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rule_tests() -> list[dict[str, Any]]:
    files = sorted(RULE_TESTS.glob("*.yml"))
    return [test for path in files for test in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("name", ["prometheus.yml", "separate-processes.yml"])
def test_the_configuration_is_valid_and_finds_the_rules(name: str, prometheus_installed: None) -> None:
    said = promtool("check", "config", MONITORING / "prometheus" / name)
    assert f"{len(alerts())} rules found" in said
    assert f"{len(recordings())} rules found" in said


@pytest.mark.parametrize("path", sorted(RULE_TESTS.glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path, prometheus_installed: None) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_tested_firing_and_in_a_healthy_system() -> None:
    fires = {
        one["alertname"]
        for test in rule_tests()
        for one in test.get("alert_rule_test", ())
        if one.get("exp_alerts")
    }
    (healthy, *_) = yaml.safe_load((RULE_TESTS / "healthy.yml").read_text())["tests"]
    quiet = {one["alertname"] for one in healthy["alert_rule_test"] if not one.get("exp_alerts")}
    assert fires == set(alerts())
    assert quiet == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name: str) -> None:
    alert = alerts()[name]
    said = alert["annotations"]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(said) == {"summary", "description", "runbook_url"}
    assert "$value" in said["description"] or "{{ . | first | value" in said["description"]
    assert said["runbook_url"] == _RUNBOOK_URL + name.lower()
    assert name.lower() in anchors(RUNBOOK)


def test_the_runbook_has_no_page_for_an_alert_that_there_is_not() -> None:
    told = {anchor for anchor in anchors(RUNBOOK) if anchor.startswith("vitrine")}
    assert told == {name.lower() for name in alerts()}


def test_rules_use_metrics_that_are_documented() -> None:
    expressions = [*recordings().values(), *(alert["expr"] for alert in alerts().values())]
    used = {name for expression in expressions for name in metrics_in(expression)}
    documented = METRICS.read_text(encoding="utf-8")
    from_processes = used - set(recordings()) - _OF_PROMETHEUS
    missing = {
        name for name in from_processes if name not in documented and base_name(name) not in documented
    }
    assert from_processes > {"vitrine_ledger_agrees", "vitrine_time_to_tagged_seconds_bucket"}
    assert not missing


def test_every_recorded_series_is_used() -> None:
    expressions = [
        *recordings().values(),
        *(alert["expr"] for alert in alerts().values()),
        *(query.expression for query in panel_queries()),
    ]
    used = {name for expression in expressions for name in metrics_in(expression)}
    assert set(recordings()) - used == set()
