"""What a running system tells after some work is what ``docs/metrics.md`` lists, process by process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from dam.embedded.scraping import targets_file
from tests.plugins.metrics_page import documented
from tests.plugins.processes import asked
from tests.plugins.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SOON = 120.0
CHAPTERS = {
    "web": "Pages and interface",
    "relay": "Relay",
    "writer": "Results writer",
    "worker": "Worker",
    "model-server": "Model server",
    "controller": "Controller",
    "monitor": "Monitor",
}
LATER = {
    # Not before the next look at quality, people have judged something, a model has answered a thousand
    # pictures, something fails, or somebody names an endpoint.
    *("vitrine_auto_accepted_share", "vitrine_taggings_reviewed_share"),
    *("vitrine_reviewed_precision", "vitrine_tag_reviewed_precision", "vitrine_calibration_error"),
    *("vitrine_score_drift_psi", "vitrine_assets_failed", "vitrine_certificate_expiry_timestamp_seconds"),
}


def exposition(target: dict[str, Any]) -> str:
    """What a process answers; empty while it does not."""
    (place,) = target["targets"]
    path = target["labels"].get("__metrics_path__", "/metrics")
    answer = asked(f"http://{place}{path}")
    return "" if answer is None else answer.text


def name_of(family: Metric) -> str:
    """As the page has it; TensorFlow Serving's counters have no ``_total``."""
    counted = family.type == "counter" and not family.name.startswith(":")
    return f"{family.name}_total" if counted else family.name


def labels_of(family: Metric) -> set[str] | None:
    """Without the bounds of buckets; None: it has no samples."""
    found = [set(sample.labels) - {"le"} for sample in family.samples]
    return set.union(*found) if found else None


def families(text: str) -> dict[str, Metric]:
    return {name_of(family): family for family in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def targets(system: System, photos: list[Path]) -> dict[str, dict[str, Any]]:
    """Where each process tells of itself, after a picture has gone the whole way and was found whole."""
    api = system.api()
    with photos[0].open("rb") as file:
        upload = api.post(f"{system.address}/api/v1/assets/", files={"file": file}, timeout=60)
    assert upload.ok, upload.text
    address = f"{system.address}/api/v1/assets/{upload.json()['id']}/"
    wait_for(
        lambda: api.get(address, timeout=60).json()["state"] == "tagged", within_s=SOON, what=system.said
    )
    system.cli("integrity")
    found = json.loads(targets_file(system.home).read_text(encoding="utf-8"))
    return {target["labels"]["service"]: target for target in found}


@pytest.fixture(params=CHAPTERS)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def expected(service: str) -> Iterator[str]:
    """What a process always has after some work."""
    for one in documented():
        by_itself = one.name.startswith(("vitrine_", ":tensorflow"))
        if one.chapter == CHAPTERS[service] and by_itself and one.name not in LATER:
            yield one.name


def test_a_running_process_tells_what_the_page_lists_and_nothing_else(
    targets: dict[str, dict[str, Any]], service: str
) -> None:
    def missing() -> set[str]:
        return set(expected(service)) - set(families(exposition(targets[service])))

    wait_for(lambda: not missing(), within_s=SOON, what=lambda: f"{service} without {missing()}")
    page = {one.name: one for one in documented()}
    for name, family in families(exposition(targets[service])).items():
        assert name in page, f"{service} tells {name}, which the page does not list"
        assert family.type == page[name].type, name
        labels = labels_of(family)
        assert labels is None or labels == set(page[name].labels), name


@pytest.mark.usefixtures("prometheus_installed")
def test_promtool_finds_nothing_wrong_with_our_metrics(
    targets: dict[str, dict[str, Any]], service: str
) -> None:
    text = exposition(targets[service])
    assert text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    # Names of libraries and of TensorFlow Serving are what they are.
    theirs = ("django_", ":tensorflow")
    complaints = [line for line in (checked.stdout + checked.stderr).splitlines() if line]
    assert [line for line in complaints if not line.startswith(theirs)] == []
