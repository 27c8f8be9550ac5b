"""Names of the chart that the page on operations uses are those of the chart."""

from __future__ import annotations

import re

from tests.deploy.monitoring_files import ROOT
from tests.deploy.rendered import CHART, is_value, own_values


def page() -> str:
    return (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_value_that_it_names_is_one_of_the_chart() -> None:
    values = own_values()
    named = {
        name
        for name in re.findall(r"`([a-z]\w+(?:\.\w+)+)(?:: \w+)?`", page())
        if name.split(".")[0] in values
    }
    assert len(named) > 15
    assert {name for name in named if not is_value(values, name)} == set()


def test_every_secret_that_it_makes_is_one_that_the_chart_reads() -> None:
    made = dict(re.findall(r"create secret generic (vitrine-\S+) +--from-literal=([\w-]+)=", page()))
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert len(made) > 4
    for name, key in made.items():
        # The object store's has no name by default: a role may stand in for it.
        assert name == "vitrine-object-store" or f"name: {name}" in values, name
        assert re.search(rf"[kK]ey: {key}\b", values), key


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"\bdeploy/(?:k8s|monitoring)/[\w./-]+\w", page()))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()
