"""Rows and dashboards in Grafana's JSON (schema 39, which Grafana 10.3 and later read)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from panels import SOURCE, Json, Panel

SCHEMA_VERSION = 39
PLACEHOLDER_DOCS = "https://docs.example.org/vitrine/"
"""Until whoever installs it says where ``docs/`` can be read (``build.py --docs``)."""

_COLUMNS = 24


@dataclass(frozen=True)
class Row:
    """Panels side by side below a heading; ``lines`` of them, each of a height."""

    title: str
    lines: Sequence[tuple[int, Sequence[Panel]]]


def line(height: int, *panels: Panel) -> tuple[int, Sequence[Panel]]:
    """Panels of one height that fill the width."""
    return height, panels


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; its file is named like its uid."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]

    def json(self, docs: str) -> Json:
        """What Grafana reads."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["vitrine"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": _variables(docs)},
            "annotations": {"list": [_ALERTS]},
            "links": [
                {
                    "type": "dashboards",
                    "title": "Vitrine",
                    "tags": ["vitrine"],
                    "asDropdown": True,
                    "keepTime": True,
                    "includeVars": True,
                },
                {
                    "type": "link",
                    "title": "Runbook",
                    "url": "${docs}docs/runbook.md",
                    "icon": "doc",
                    "targetBlank": True,
                },
            ],
            "panels": list(self._panels()),
        }

    def _panels(self) -> Iterator[Json]:
        number, top = 0, 0
        for row in self.rows:
            number += 1
            heading = {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": []}
            yield heading | {"gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1}}
            top += 1
            for height, panels in row.lines:
                left = 0
                for panel, width in zip(panels, _widths(panels), strict=True):
                    number += 1
                    yield panel.json(number, {"x": left, "y": top, "w": width, "h": height})
                    left += width
                top += height


def _widths(panels: Sequence[Panel]) -> list[int]:
    free = _COLUMNS - sum(panel.width for panel in panels)
    sharing = sum(panel.width == 0 for panel in panels)
    widths = [panel.width or free // sharing for panel in panels]
    # What does not divide goes to the last one.
    widths[-1] += _COLUMNS - sum(widths)
    return widths


def _variables(docs: str) -> list[Json]:
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "current": {},
    }
    place = {"name": "docs", "type": "constant", "query": docs, "hide": 2}
    return [source, place | {"current": {"value": docs, "text": docs, "selected": True}}]


_ALERTS = {
    "name": "Alerts",
    "enable": True,
    "hide": False,
    "iconColor": "red",
    "datasource": SOURCE,
    "expr": 'ALERTS{alertstate="firing",alertname=~"Vitrine.*"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{severity}} {{service}} {{queue}} {{lane}}",
    "step": "60s",
}
