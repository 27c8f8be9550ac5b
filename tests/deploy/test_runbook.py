"""What the runbook tells people to type and to open has to be there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.deploy.monitoring_files import ROOT, anchors, dashboards, panels

PAGES = ("runbook.md", "monitoring.md", "operations.md", "administration.md")
SAID_BY_THE_SITE = "Try again later"


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "at_least"), [("runbook.md", 10), ("operations.md", 15), ("containers.md", 4)]
)
def test_every_command_can_be_typed_so(page: str, at_least: int) -> None:
    text = text_of(page)
    # In a sentence, on a line of its own, or in a pod or container.
    typed = {
        *re.findall(r"`vitrine ([^`]+)`", text),
        *re.findall(r"^vitrine ([^\n]+)", text, re.MULTILINE),
        *re.findall(r"(?:--|exec catalogue|run --rm backup) +vitrine ([^`\n]+)", text),
    }
    assert len(typed) > at_least
    for words in typed:
        if words.split()[0] == "version":
            # `dam.cli` answers it itself, before there are settings.
            continue
        name, *options = shlex.split(re.sub(r"\b(?:ID|VERSION)\b", "1", words), comments=True)
        parser = load_command_class(get_commands()[name], name).create_parser("vitrine", name)
        if options:
            # What is wrong is raised.
            parser.parse_args(options)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = ROOT / "docs" / (file or page)
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_panels_that_it_names_are_on_a_dashboard() -> None:
    titles = {panel["title"] for dashboard in dashboards().values() for panel in panels(dashboard)}
    quoted = set(re.findall(r"\"([A-Z][^\"]*)\"", text_of("runbook.md"))) - {SAID_BY_THE_SITE}
    assert len(quoted) > 5
    assert {name for name in quoted if not any(name in title for title in titles)} == set()


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(
        r"`((?:prometheus|alertmanager|grafana|tensorflow-serving)/[\w./-]+)`", text_of("monitoring.md")
    )
    assert named
    missing = [name for name in named if not (ROOT / "deploy" / "monitoring" / Path(name)).exists()]
    assert missing == []
