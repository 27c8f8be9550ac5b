"""``docs/metrics.md`` lists what the code can tell, and nothing else."""

from __future__ import annotations

import ast
import importlib
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from dam.monitoring.metrics import MONITOR_METRICS
from dam.monitoring.readings import Readings
from model_training.local_server import monitoring as model_server
from pipeline.telemetry import metrics as shared
from tests.plugins.metrics_page import Documented, documented

ROOT = Path(__file__).resolve().parents[2]

WHERE = {
    "pipeline.telemetry.metrics": ("Every process",),
    "dam.telemetry.metrics": ("Pages and interface", "Relay", "Results writer"),
    "workers.metrics": ("Worker",),
    "model_training.rollout.metrics": ("Controller",),
    "model_training.mirror.metrics": ("Mirror",),
}
"""Modules that define metrics, and the chapters that list them."""


def told_by(module: ModuleType) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name in the text format → type and labels, of what the module itself defines."""
    found = {}
    for place, one in vars(module).items():
        if isinstance(one, MetricWrapperBase) and (module is shared or not hasattr(shared, place)):
            (family,) = one.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, tuple(one._labelnames))
    return found


def ours(chapters: tuple[str, ...]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What the page says of our own metrics there."""
    return {
        one.name: (one.type, one.labels)
        for one in documented()
        if one.chapter in chapters and one.name.startswith("vitrine_")
    }


@pytest.mark.parametrize(("module", "chapters"), WHERE.items())
def test_the_page_lists_the_metrics_of_each_module(module: str, chapters: tuple[str, ...]) -> None:
    assert ours(chapters) == told_by(importlib.import_module(module))


def test_the_page_lists_the_metrics_of_the_monitor() -> None:
    told = {
        f"{metric.name}_total" if metric.kind == "counter" else metric.name: (metric.kind, metric.labels)
        for metric in MONITOR_METRICS
    }
    assert ours(("Monitor",)) == told


def test_the_page_lists_the_metrics_of_the_model_server() -> None:
    told = {family.name: family.type for family in text_string_to_metric_families(model_server.page())}
    assert {one.name: one.type for one in documented() if one.chapter == "Model server"} == told


def test_no_other_module_defines_metrics() -> None:
    found = set()
    for package in ("pipeline", "dam", "workers", "model_training"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = {name.name for name in node.names} if isinstance(node, ast.ImportFrom) else set()
                if names & {"Counter", "Gauge", "Histogram", "Summary", "Info"} and str(
                    getattr(node, "module", "")
                ).startswith("prometheus_client"):
                    found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert found == set(WHERE)


def test_each_metric_stands_once_and_has_a_unit_and_a_meaning() -> None:
    rows = documented()
    assert len({one.name for one in rows}) == len(rows)
    for one in rows:
        assert one.unit, one
        assert one.meaning, one


def test_our_names_follow_the_conventions() -> None:
    for one in documented():
        if not one.name.startswith("vitrine_"):
            continue
        assert (one.type == "counter") == one.name.endswith("_total"), one
        assert _unit_in(one) == {"seconds since 1970": "seconds"}.get(one.unit, one.unit), one
        if one.type == "counter" or one.name.endswith("_info"):
            continue
        assert not one.name.endswith(("_count", "_sum", "_bucket")), one


def _unit_in(one: Documented) -> str:
    """The base unit that the name ends with, or, without any, what is counted."""
    for unit in ("seconds", "bytes", "megapixels"):
        if one.name.removesuffix("_total").endswith(f"_{unit}"):
            return unit
    assert one.unit not in {"seconds", "bytes", "megapixels", "seconds since 1970"}
    return one.unit


@pytest.mark.usefixtures("prometheus_installed")
def test_promtool_finds_nothing_wrong_with_the_metrics_of_the_monitor() -> None:
    registry, readings = CollectorRegistry(), Readings()
    registry.register(readings)
    samples = [metric.of(1, *(f"some {label}" for label in metric.labels)) for metric in MONITOR_METRICS]
    readings.renew("everything", samples, good_for_s=60)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
