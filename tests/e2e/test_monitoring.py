"""Dashboards and alerts on the real system: every number is there, and what breaks is told of."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dam.embedded.state import ROOT
from tests.deploy.monitoring_files import PanelQuery, dashboards, panel_queries, recordings
from tests.deploy.promql import base_name, metrics_in
from tests.plugins.monitored_plant import MonitoredPlant, Work, describe, watched
from tests.plugins.processes import wait_for
from tests.plugins.prometheus import Alertmanager, Prometheus, require_prometheus
from tests.plugins.rabbitmq import require_rabbitmq

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

_WITHIN_S = 180
# Rates over half a minute; shares over all that this test did.
_WINDOW, _RANGE = "30s", "30m"

EMPTY_WHEN_HEALTHY = {"Alerts that fire": "nothing is wrong"}
"""Panels of which data would be bad news."""

NOT_SHORTENED = {"VitrineDiskFillsUp": "what comes in three days is guessed from twelve minutes"}
"""Alerts in which a number of seconds stands, which stays as it is while waits and ranges are shortened."""


class Watched:
    """The system, its work, and who watches it."""

    def __init__(self, plant: MonitoredPlant, prometheus: Prometheus, alertmanager: Alertmanager) -> None:
        self.plant = plant
        self.prometheus = prometheus
        self.alertmanager = alertmanager

    def firing(self) -> set[str]:
        """Names of alerts that fire now."""
        samples = self.prometheus.query('ALERTS{alertstate="firing"}')
        return {sample["metric"]["alertname"] for sample in samples} - set(NOT_SHORTENED)

    def fires(self, name: str, **labels: str) -> dict[str, Any]:
        """Wait until it fires and Alertmanager knows it; gives the alert as Alertmanager has it."""
        self.prometheus.await_firing(name, within_s=_WITHIN_S, **labels)
        wanted = {"alertname": name, "vitrine": "test", **labels}
        found: list[dict[str, Any]] = []

        def told() -> bool:
            alerts = self.alertmanager.alerts()
            found[:] = [alert for alert in alerts if wanted.items() <= alert["labels"].items()]
            return bool(found)

        wait_for(told, _WITHIN_S, f"Alertmanager to hear of {wanted}")
        return found[0]

    def is_resolved(self, name: str, **labels: str) -> None:
        """Wait until it does not fire any more."""
        self.prometheus.await_resolved(name, within_s=_WITHIN_S, **labels)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[Watched]:
    require_prometheus()
    require_rabbitmq()
    folder = tmp_path_factory.mktemp("monitored")
    with ExitStack() as stack:
        plant = stack.enter_context(MonitoredPlant(folder / "plant", models=model_dir))
        prometheus, alertmanager = stack.enter_context(watched(plant, folder))
        work = stack.enter_context(Work(plant))
        yield Watched(plant, prometheus, alertmanager)
    assert not work.problem


def is_data(sample: dict[str, Any]) -> bool:
    return sample["value"][1] != "NaN"


def write_table(path: Path, values: dict[PanelQuery, list[dict[str, Any]]]) -> None:
    """A table of Markdown: each query, how many series it gave, and the first of them."""
    lines = ["| dashboard | panel | series | for instance |", "| --- | --- | --- | --- |"]
    for query, samples in values.items():
        first = describe(samples[0]) if samples else EMPTY_WHEN_HEALTHY[query.panel]
        first = first.replace(f"{ROOT}/", "")  # where this checkout lies is nobody's business
        name = query.dashboard.removeprefix("vitrine-")
        lines.append(f"| {name} | {query.panel} | {len(samples)} | {first.replace('|', '/')} |")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def test_every_panel_and_every_recording_rule_has_data_while_the_system_works(system: Watched) -> None:
    queries = panel_queries()
    values: dict[PanelQuery, list[dict[str, Any]]] = {}

    def ask() -> None:
        for query in queries:
            samples = [*filter(is_data, system.prometheus.query(query.runnable(_WINDOW, _RANGE)))]
            if samples or query not in values:
                values[query] = samples

    def missing() -> list[str]:
        return [
            f"{query.dashboard}, {query.panel}: {query.expression}"
            for query, samples in values.items()
            if not samples and query.panel not in EMPTY_WHEN_HEALTHY
        ]

    deadline = time.monotonic() + _WITHIN_S
    ask()
    while missing():
        assert time.monotonic() < deadline, "\n".join(missing())
        ask()

    for name in recordings():
        assert any(map(is_data, system.prometheus.query(name))), name
    assert system.firing() == set()
    healthy_and_empty = {query.panel for query, samples in values.items() if not samples}
    assert healthy_and_empty <= set(EMPTY_WHEN_HEALTHY)
    for dashboard in dashboards().values():
        for annotation in dashboard["annotations"]["list"]:
            found = system.prometheus.query(annotation["expr"])
            assert {one["metric"]["alertname"] for one in found} <= set(NOT_SHORTENED)
    if table := os.environ.get("VITRINE_PANEL_TABLE"):
        write_table(Path(table), values)


def test_every_metric_of_a_query_is_told_by_a_process(system: Watched) -> None:
    # A query that says `or vector(0)` has data even if its metric were misspelt.
    told = system.prometheus.metrics()
    used = {name for query in panel_queries() for name in metrics_in(query.runnable())}
    unknown = {
        name for name in used - set(recordings()) - {"up", "ALERTS"} if not {name, base_name(name)} & told
    }
    assert unknown == set()


def test_messages_that_nobody_can_read_are_told_of_until_somebody_settles_them(system: Watched) -> None:
    system.plant.poison(3)
    alert = system.fires("VitrineDeadLetters", queue="tagging.interactive.dead")
    assert alert["annotations"]["runbook_url"] == (
        "https://docs.example.org/docs/runbook.md#vitrinedeadletters"
    )
    # What serves to write the address is not carried along.
    assert "vitrine_docs" not in alert["labels"]
    system.plant.vitrine("dead_letters", "drop", "--all")
    system.is_resolved("VitrineDeadLetters")


def test_a_model_server_that_stopped_is_told_of_until_it_answers(system: Watched) -> None:
    system.plant.model_server.pause()
    try:
        alert = system.fires("VitrineModelServerDown")
    finally:
        system.plant.model_server.resume()
    assert alert["labels"]["severity"] == "critical"
    assert [receiver["name"] for receiver in alert["receivers"]] == ["on-call"]
    system.is_resolved("VitrineModelServerDown")


def test_a_worker_that_was_killed_is_told_of_until_there_is_one_again(system: Watched) -> None:
    (worker,) = system.plant.workers
    worker.kill(again=False)
    system.fires("VitrineProcessDown", service="worker")
    system.fires("VitrineQueueWithoutConsumer", queue="tagging.interactive")
    worker.start()
    system.is_resolved("VitrineProcessDown")
    system.is_resolved("VitrineQueueWithoutConsumer")


def test_in_the_end_nothing_is_lost_and_nothing_is_left_to_tell(system: Watched) -> None:
    wait_for(lambda: not system.firing(), _WITHIN_S, "alerts to be resolved")
    assert system.plant.ledger()["agrees"]
