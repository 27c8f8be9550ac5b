"""The files of ``deploy/monitoring``, and what is in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
RULES = MONITORING / "prometheus" / "rules"
RULE_TESTS = MONITORING / "prometheus" / "tests"
GRAFANA = MONITORING / "grafana"
ALERTMANAGER = MONITORING / "alertmanager" / "alertmanager.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
METRICS = ROOT / "docs" / "metrics.md"


def alerts() -> dict[str, dict[str, Any]]:
    """Every alerting rule by its name."""
    return {rule["alert"]: rule for rule in _rules("alerts.yml")}


def recordings() -> dict[str, str]:
    """What every recording rule computes, by the name under which it is kept."""
    return {rule["record"]: rule["expr"] for rule in _rules("recording.yml")}


def _rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel, or of a dashboard's annotations."""

    dashboard: str
    panel: str
    legend: str
    expression: str

    def runnable(self, window: str = "1m", whole: str = "1h") -> str:
        """The query without Grafana's variables.

        Args:
            window: for ``$__rate_interval``.
            whole: for ``$__range``.
        """
        return self.expression.replace("$__rate_interval", window).replace("$__range", whole)


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by its uid."""
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels, without the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def panel_queries() -> list[PanelQuery]:
    """Every query of every dashboard."""
    return [
        PanelQuery(uid, panel["title"], target["legendFormat"], target["expr"])
        for uid, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may end with, as the usual viewers of Markdown make it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
