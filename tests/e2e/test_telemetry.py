"""Every process of a running system tells of itself, where the system says."""

from __future__ import annotations

import json

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from dam.embedded.scraping import targets_file
from tests.plugins.processes import asked
from tests.plugins.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TELLS = {
    "web": "django_http_requests_before_middlewares",
    "relay": "vitrine_round_runs",
    "writer": "vitrine_answers_recorded",
    "worker": "vitrine_pictures",
    "model-server": ":tensorflow:serving:request_count",
    "controller": "vitrine_controller_acts",
    "monitor": "vitrine_assets",
}


def test_each_process_answers_where_prometheus_is_told_to_look(system: System) -> None:
    targets = json.loads(targets_file(system.home).read_text(encoding="utf-8"))
    assert {target["labels"]["service"] for target in targets} == set(TELLS)
    for target in targets:
        service = target["labels"]["service"]
        (place,) = target["targets"]
        address = f"http://{place}" + target["labels"].get("__metrics_path__", "/metrics")

        def families(address: str = address) -> dict[str, list[float]]:
            answer = asked(address)
            if answer is None:
                return {}  # it is still starting
            return {
                family.name: [sample.value for sample in family.samples]
                for family in text_string_to_metric_families(answer.text)
            }

        def missing(name: str = TELLS[service], families=families) -> str:
            return f"{name} among {sorted(families())}"

        wait_for(lambda name=TELLS[service], families=families: name in families(), within_s=60, what=missing)
        if service != "model-server":
            wait_for(lambda families=families: families()["vitrine_ready"] == [1], within_s=60, what=missing)
            assert requests.get(f"http://{place}/healthz", timeout=30).json() == {"status": "ok"}
            ready = requests.get(f"http://{place}/readyz", timeout=30)
            assert ready.status_code == 200, ready.text


def test_its_logs_are_lines_for_people_that_name_their_process(system: System) -> None:
    services = {"relay": "relay", "results_writer": "writer", "web": "web", "monitor": "monitor"}
    for name, service in services.items():
        text = (system.home / "logs" / f"{name}.log").read_text(encoding="utf-8")
        assert "Traceback" not in text
        lines = text.splitlines()
        assert lines
        assert not [line for line in lines if f"service={service}" not in line]
