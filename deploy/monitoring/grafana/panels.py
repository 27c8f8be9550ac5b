"""A panel in Grafana's JSON, and the kinds of panels that there are.

By hand and not with Grafana's Foundation SDK: that is an alpha whose releases are numbered so that every
resolver takes the one for Grafana 10.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]
Steps = Sequence[tuple[float | None, str]]
"""From which value on (None: from the lowest) which colour."""

GOOD: Steps = ((None, "green"),)
NONE_IS_GOOD: Steps = ((None, "green"), (1, "red"))
ALL_IS_GOOD: Steps = ((None, "red"), (1, "green"))


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: ``{{label}}`` is a label's value."""

    expr: str
    legend: str = ""


@dataclass
class Panel:
    """One panel. Its ``question`` is what somebody wants to know who looks at it."""

    kind: str
    title: str
    question: str
    queries: Sequence[Query]
    unit: str
    steps: Steps = GOOD
    width: int = 0
    """Of 24 columns; 0: an equal share of what the others of the row leave."""
    runbook: str = ""
    """The page's heading in docs/runbook.md."""
    defaults: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    overrides: list[Json] = field(default_factory=list)
    instant: bool = False
    format: str = "time_series"
    transformations: list[Json] = field(default_factory=list)

    def json(self, number: int, place: Json) -> Json:
        """The panel in a dashboard.

        Args:
            number: its id there.
            place: ``gridPos``.
        """
        made: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.question,
            "datasource": SOURCE,
            "gridPos": place,
            "targets": [self._target(number, query) for number, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "thresholds": {"mode": "absolute", "steps": _steps(self.steps)},
                    **self.defaults,
                },
                "overrides": self.overrides,
            },
            "options": self.options,
        }
        if self.runbook:
            made["links"] = [_runbook_link(self.runbook)]
        if self.transformations:
            made["transformations"] = self.transformations
        return made

    def _target(self, number: int, query: Query) -> Json:
        return {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": " ".join(query.expr.split()),
            "legendFormat": query.legend or "__auto",
            "format": self.format,
            "instant": self.instant,
            "range": not self.instant,
        }


def _steps(steps: Steps) -> list[Json]:
    return [{"value": value, "color": colour} for value, colour in steps]


def _runbook_link(heading: str) -> Json:
    url = "${docs}docs/runbook.md#" + heading.lower()
    return {"title": f"Runbook: {heading}", "url": url, "targetBlank": True}


def stat(
    title: str, question: str, *queries: Query, unit: str, texts: dict[str, str] | None = None, **more: Any
) -> Panel:
    """One number, coloured by its thresholds; ``texts`` are words for some values."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value_and_name" if len(queries) > 1 else "value",
        "justifyMode": "center",
        "orientation": "auto",
    }
    defaults: Json = {"color": {"mode": "thresholds"}}
    if texts:
        words = {value: {"text": text, "index": number} for number, (value, text) in enumerate(texts.items())}
        defaults["mappings"] = [{"type": "value", "options": words}]
    return Panel("stat", title, question, queries, unit, defaults=defaults, options=options, **more)


def gauge(title: str, question: str, query: Query, *, least: float, steps: Steps, **more: Any) -> Panel:
    """A share between ``least`` and 1."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
    }
    defaults = {"min": least, "max": 1, "decimals": 2, "color": {"mode": "thresholds"}}
    return Panel(
        "gauge",
        title,
        question,
        (query,),
        "percentunit",
        steps,
        defaults=defaults,
        options=options,
        instant=True,
        **more,
    )


def series(  # noqa: PLR0913 - each is a choice of its own
    title: str,
    question: str,
    *queries: Query,
    unit: str,
    stacked: bool = False,
    most: float | None = None,
    least: float | None = 0,
    logarithmic: bool = False,
    **more: Any,
) -> Panel:
    """Lines over time; thresholds other than green are drawn as dashed lines."""
    steps = more.get("steps", GOOD)
    defaults: Json = {
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
            "scaleDistribution": {"type": "log", "log": 10} if logarithmic else {"type": "linear"},
        },
    }
    if least is not None and not logarithmic:
        defaults["min"] = least
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["mean", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, question, queries, unit, defaults=defaults, options=options, **more)


def bars(title: str, question: str, query: Query, *, unit: str, **more: Any) -> Panel:
    """One bar for each series, as it is now."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
    }
    defaults = {"min": 0, "color": {"mode": "thresholds"}}
    return Panel(
        "bargauge", title, question, (query,), unit, defaults=defaults, options=options, instant=True, **more
    )


def table(
    title: str, question: str, query: Query, *, unit: str, columns: dict[str, str], **more: Any
) -> Panel:
    """One line for each series. ``columns``: label (or ``Value``) → heading; others are left out."""
    order = {name: number for number, name in enumerate(columns)}
    organize = {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True, "__name__": True}
            | ({} if "Value" in columns else {"Value": True}),
            "indexByName": order,
            "renameByName": dict(columns),
        },
    }
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
    defaults = {"color": {"mode": "thresholds"}, "custom": {"align": "auto"}}
    return Panel(
        "table",
        title,
        question,
        (query,),
        unit,
        defaults=defaults,
        options=options,
        instant=True,
        format="table",
        transformations=[organize],
        **more,
    )


def heatmap(title: str, question: str, query: Query, *, unit: str, **more: Any) -> Panel:
    """How a histogram's buckets fill over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
        "filterValues": {"le": 1e-9},
        "rowsFrame": {"layout": "auto"},
        "yAxis": {"axisPlacement": "left", "unit": unit},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
    }
    return Panel("heatmap", title, question, (query,), unit, options=options, format="heatmap", **more)


def states(title: str, question: str, query: Query, *, texts: dict[str, str], **more: Any) -> Panel:
    """A line of colours for each series: 0 red, 1 green."""
    words = {value: {"text": text, "index": number} for number, (value, text) in enumerate(texts.items())}
    defaults: Json = {
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "mappings": [{"type": "value", "options": words}],
    }
    options = {
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel(
        "state-timeline",
        title,
        question,
        (query,),
        "none",
        ALL_IS_GOOD,
        defaults=defaults,
        options=options,
        **more,
    )
