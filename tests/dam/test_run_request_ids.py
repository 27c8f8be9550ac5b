"""One run of a command that takes pictures is one request, whose id it tells and its jobs carry on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from dam.jobs.models import TaggingJob
from tests.dam.commands.calling import paint, run, run_json
from tests.dam.factories import StaffFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _administrator() -> None:
    StaffFactory(username="root")


def ids() -> list[str]:
    return list(TaggingJob.objects.order_by("pk").values_list("request_id", flat=True))


def test_an_import_tells_the_id_that_all_its_jobs_carry(tmp_path: Path) -> None:
    for shade in range(3):
        paint(tmp_path / f"{shade}.png", shade)
    first = run_json("import", str(tmp_path))["request_id"]
    assert len(first) == 32
    assert ids() == [first] * 3
    paint(tmp_path / "later.png", 9)
    second = run("import", str(tmp_path))
    assert ids()[3] != first
    assert ids()[3] in second


@pytest.mark.usefixtures("signals_as_before")
def test_a_watch_has_its_id_in_every_line_and_every_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_LOG_FORMAT", "json")
    paint(tmp_path / "a.png", 1)
    paint(tmp_path / "b.png", 2)
    call_command("watch", str(tmp_path), "--once", "--settle", "0")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [line for line in lines if line["event"] in {"watching", "took"}]
    assert [line["event"] for line in told] == ["watching", "took", "took"]
    assert {line["service"] for line in lines} == {"watch"}
    (watch_id,) = {line["request_id"] for line in told}
    assert ids() == [watch_id] * 2
