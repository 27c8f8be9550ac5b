"""What the catalogue says of versions, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

_MOST_TAGS = 20


def comparison_tables(told: Mapping[str, Any]) -> Iterator[Table]:
    """Champion and challenger: what they get right, how long they take, and where they differ."""
    champion, challenger = (_version(told[role]) for role in ("champion", "challenger"))
    cut = ", the newest of them" if told["cut"] else ""
    table = Table(
        title=f"{champion} and {challenger} on {told['pictures']} pictures{cut}; {told['reviews']} decisions"
    )
    for heading in ("", "champion", "challenger", "challenger − champion (95 %)"):
        table.add_column(heading)
    for measure in ("precision", "recall"):
        table.add_row(measure, *_measured(told[measure]))
    times = told["predict_ms"]
    ratio = times["ratio"]
    table.add_row(
        "ms for a picture",
        _number(times["champion"], ".1f"),
        _number(times["challenger"], ".1f"),
        "" if ratio is None else f"x {ratio:.2f}",
    )
    unknown = told["unknown"]
    table.add_row("tags nobody decided on", str(unknown["champion"]), str(unknown["challenger"]), "")
    yield table

    table = Table(title="tags that people decided on, the most decisions first")
    for heading in ("tag", "decisions", "precision", "", "recall", "", "gained", "lost"):
        table.add_column(heading)
    tags = sorted(told["tags"], key=lambda tag: -int(tag["reviews"]))[:_MOST_TAGS]
    for tag in tags:
        rates = [text for name in ("precision", "recall") for text in _measured(tag[name])[:2]]
        table.add_row(tag["slug"], str(tag["reviews"]), *rates, str(tag["gained"]), str(tag["lost"]))
    if tags:
        yield table


def status_tables(told: Mapping[str, Any]) -> Iterator[Table]:
    """What is in service, and what was done last."""
    table = Table(title=f"in service, as told at {told['reported_at'] or 'no time yet'}")
    for heading in ("", "version", "model", "in the registry", ""):
        table.add_column(heading)
    shares = {"challenger": f"shadow {told['shadow_share']:.0%}, canary {told['canary_share']:.0%}"}
    for role in ("champion", "challenger", "predecessor"):
        version = told[role]
        if version is None:
            table.add_row(role, "none")
            continue
        registered = version["registry_version"]
        more = "withdrawn" if version["withdrawn"] else shares.get(role, "")
        number = "" if registered is None else str(registered)
        table.add_row(role, str(version["version"]), version["name"], number, more)
    yield table

    table = Table(title="steps")
    for heading in ("", "when", "what", "version", "state", "by", "why"):
        table.add_column(heading)
    for step in told["steps"]:
        table.add_row(
            str(step["id"]),
            str(step["created_at"])[:16].replace("T", " "),
            step["kind"] + (" (forced)" if step["forced"] else ""),
            str(step["version"]["version"]),
            step["state"],
            escape(step["by"] or step["source"]),
            escape(step["detail"] or step["reason"]),
        )
    if told["steps"]:
        yield table


def _version(told: Mapping[str, Any]) -> str:
    return f"{told['name']} v{told['version']}"


def _measured(measure: Mapping[str, Any]) -> tuple[str, str, str]:
    difference = measure["difference"]
    said = (
        ""
        if difference is None
        else f"{difference['estimate']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"
    )
    return _rate(measure["champion"]), _rate(measure["challenger"]), said


def _rate(rate: Mapping[str, Any]) -> str:
    return f"{_number(rate['value'], '.3f')} of {rate['of']}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
