"""The example for Alertmanager: whom an alert reaches, and which one keeps quiet beside which."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring_files import ALERTMANAGER, alerts
from tests.plugins.processes import wait_for
from tests.plugins.prometheus import Alertmanager


def amtool(*words: str) -> str:
    done = subprocess.run(["amtool", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid(prometheus_installed: None) -> None:
    amtool("check-config", str(ALERTMANAGER))


@pytest.mark.parametrize("name", alerts())
def test_an_alert_goes_to_those_who_can_do_something(name: str, prometheus_installed: None) -> None:
    severity = alerts()[name]["labels"]["severity"]
    about_tags = name in {"VitrineScoreDrift", "VitrineReviewedPrecisionFalls"}
    wanted = "on-call" if severity == "critical" else "content-managers" if about_tags else "tickets"
    labels = (f"alertname={name}", f"severity={severity}", "vitrine=main")
    said = amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels)
    assert said.split() == [wanted]


def test_inhibition_names_alerts_that_there_are() -> None:
    rules = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
    matchers = [one for rule in rules for one in (*rule["source_matchers"], *rule["target_matchers"])]
    patterns = [part for one in matchers for part in re.findall(r'alertname=~?"([^"]+)"', one)]
    named = [name for pattern in patterns for name in pattern.split("|")]
    assert len(named) > len(rules)
    unknown = {name for name in named if not any(re.fullmatch(name, alert) for alert in alerts())}
    assert unknown == set()
    assert all("vitrine" in rule["equal"] for rule in rules)


def test_consequences_are_quiet_while_their_cause_is_told(
    alertmanager: Callable[[Path], Alertmanager],
) -> None:
    running = alertmanager(ALERTMANAGER)

    def tell(alertname: str, vitrine: str = "main", **labels: str) -> dict[str, str]:
        severity = alerts()[alertname]["labels"]["severity"]
        told = {"alertname": alertname, "severity": severity, "vitrine": vitrine, **labels}
        running.tell(told)
        return told

    cause = tell("VitrineModelServerDown", service="model-server")
    quiet = [
        tell("VitrineWorkersWait", service="worker"),
        tell("VitrineProcessDown", service="model-server", instance="a"),
        tell("VitrineTimeToTaggedBurnsFast", lane="interactive"),
    ]
    loud = [
        cause,
        tell("VitrineProcessDown", service="relay", instance="b"),
        tell("VitrineLedgerDoesNotAgree"),
        tell("VitrineDiskFillsUp", place="home"),
        # A disk that is almost full says nothing of another disk, nor of another installation.
        tell("VitrineDiskAlmostFull", place="blobs"),
        tell("VitrineWorkersWait", vitrine="another", service="worker"),
    ]

    def states() -> dict[bool, list[dict[str, str]]]:
        found: dict[bool, list[dict[str, str]]] = {True: [], False: []}
        for alert in running.alerts():
            found[bool(alert["status"]["inhibitedBy"])].append(alert["labels"])
        return found

    def by_name(labels: dict[str, str]) -> str:
        return str(sorted(labels.items()))

    # What is inhibited is worked out when the alerts' groups are sent, after ten seconds.
    wait_for(lambda: len(states()[True]) == len(quiet), 60, "the consequences to be quiet")
    assert sorted(states()[True], key=by_name) == sorted(quiet, key=by_name)
    assert sorted(states()[False], key=by_name) == sorted(loud, key=by_name)
