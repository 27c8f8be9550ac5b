"""Grafana's dashboards: written by their script, complete, laid out without overlaps, with valid queries."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring_files import (
    GRAFANA,
    METRICS,
    RUNBOOK,
    anchors,
    dashboards,
    panel_queries,
    panels,
    recordings,
)
from tests.deploy.promql import base_name, metrics_in

_OF_CLIENTS = {
    "ALERTS",
    "up",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
}
"""Of Prometheus itself, and what its client for Python tells of every process."""


def build(to: Path, *words: str) -> dict[str, str]:
    subprocess.run(
        [sys.executable, "-B", str(GRAFANA / "build.py"), "--to", str(to), *words], check=True, timeout=60
    )
    return {path.name: path.read_text(encoding="utf-8") for path in to.glob("*.json")}


def test_the_dashboards_are_what_the_script_writes(tmp_path: Path) -> None:
    files = (GRAFANA / "dashboards").glob("*.json")
    assert build(tmp_path) == {path.name: path.read_text(encoding="utf-8") for path in files}


def test_who_installs_them_says_where_the_runbook_is(tmp_path: Path) -> None:
    for text in build(tmp_path, "--docs", "https://vitrine.example.com/").values():
        (docs,) = (each for each in json.loads(text)["templating"]["list"] if each["name"] == "docs")
        assert docs["query"] == docs["current"]["value"] == "https://vitrine.example.com/"


def test_there_is_a_dashboard_for_each_concern() -> None:
    assert set(dashboards()) == {
        f"vitrine-{name}" for name in ("overview", "pipeline", "serving", "catalogue", "quality", "capacity")
    }


@pytest.mark.parametrize("uid", dashboards())
def test_a_dashboard_leads_to_the_others_and_to_the_runbook(uid: str) -> None:
    dashboard = dashboards()[uid]
    assert dashboard["uid"] == uid
    assert dashboard["schemaVersion"] >= 39
    others, runbook = dashboard["links"]
    assert set(others["tags"]) <= set(dashboard["tags"])
    assert runbook["url"] == "${docs}docs/runbook.md"
    assert RUNBOOK.is_file()
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "docs"]


@pytest.mark.parametrize("uid", dashboards())
def test_every_panel_answers_a_question_in_a_unit_from_the_chosen_source(uid: str) -> None:
    dashboard = dashboards()[uid]
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)
    for panel in panels(dashboard):
        assert "?" in panel["description"] or panel["description"].startswith("The same"), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        for link in panel.get("links", ()):
            page, _, anchor = link["url"].removeprefix("${docs}").partition("#")
            assert page == "docs/runbook.md"
            assert anchor in anchors(RUNBOOK), panel["title"]


@pytest.mark.parametrize("uid", dashboards())
def test_panels_fill_their_lines_and_do_not_overlap(uid: str) -> None:
    everything = dashboards()[uid]["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: dict[tuple[int, int], str] = {}
    for panel in everything:
        place = panel["gridPos"] if panel["type"] != "row" else {**panel["gridPos"], "w": 24, "h": 1}
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    heights = {y for _, y in taken}
    assert set(taken) == set(itertools.product(range(24), range(max(heights) + 1)))


def test_every_query_is_valid(tmp_path: Path, prometheus_installed: None) -> None:
    queries = panel_queries()
    rules = [
        {"record": f"query:number:{number}", "expr": query.runnable()} for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


def test_queries_use_metrics_that_are_documented() -> None:
    documented = METRICS.read_text(encoding="utf-8")
    unknown = {
        name
        for query in panel_queries()
        for name in metrics_in(query.runnable()) - set(recordings()) - _OF_CLIENTS
        if name not in documented and base_name(name) not in documented
    }
    assert not unknown


def test_no_variable_is_left_but_those_that_grafana_knows() -> None:
    for query in panel_queries():
        left = re.findall(r"\$\{?\w+\}?", query.runnable())
        # What is matched by a group of `label_replace` is written like a variable.
        assert set(left) <= {"${1}"}, query
