"""A campaign in the running system, started by Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugins.airflow_runs import Airflow, vitrine_program
from tests.plugins.photos import write_photos
from tests.plugins.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_campaign_tags_again_what_a_query_finds_and_waits_for_the_answers(
    airflow: Airflow, system: System, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    for number, path in enumerate(write_photos(folder, 3, seed=44)):
        path.rename(folder / f"zeppelin {number}.jpg")
    system.cli("import", str(folder), "--wait")
    done = system.ledger()["jobs"]["done"]

    environment = system.environment | {"VITRINE_BIN": vitrine_program(tmp_path / "vitrine")}
    run = airflow.run("retag_campaign", {"query": "zeppelin", "again": True, "open": 2}, **environment)

    assert run.code == 0, run.log
    assert '{"found": 3, "issued": 3, "open": 0, "dry_run": false}' in run.log
    ledger = system.ledger()
    assert ledger["agrees"], json.dumps(ledger)
    assert ledger["jobs"]["done"] == done + 3
