"""A database that an earlier version made and filled becomes this version's, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from dam.embedded.state import ROOT
from pipeline.transports import transport_from_url
from tests.plugins.photos import write_photos
from tests.upgrade.earlier import ALL, BEFORE_CLOUD, FIRST, FROM, Earlier, environment, run, take_out
from tests.upgrade.rows import all_rows, lost, schema

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_HERE = Path(__file__).parent
IMPORTED, UPLOADED = 5, 4
BEGINNINGS = [ALL[os.environ[FROM]]] if os.environ.get(FROM) else [FIRST, BEFORE_CLOUD]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_photos(folder / "imported", IMPORTED, seed=31, long_side=240)
    for path in write_photos(folder / "uploaded", UPLOADED, seed=32, long_side=240):
        path.rename(path.with_name(f"flower {path.name}"))
    return folder


@pytest.fixture(scope="module")
def fresh_schema(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a database that this version made."""
    home, name = tmp_path_factory.mktemp("fresh"), f"fresh_{uuid4().hex}"
    url = re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", postgres)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        run(ROOT, environment(ROOT, home, url), "-m", "dam.cli", "migrate", "--verbosity", "0")
        with transport_from_url(url) as broker:
            broker.declare()
        found = schema(url)
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    return found


def newest(url: str) -> dict[str, str]:
    """App of ours → its newest migration that is applied."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT app, max(name) FROM django_migrations"
            " WHERE app IN ('assets', 'jobs', 'rollout', 'tagging', 'integrity') GROUP BY app"
        )
        return dict(rows.fetchall())


# The one between the last two is where an upgrade under load begins.
# The oldest and the newest; `VITRINE_UPGRADE_FROM=before-rollout` is another one.
@pytest.mark.parametrize("earlier", BEGINNINGS, ids=lambda earlier: str(earlier.name))
def test_nothing_is_lost_and_work_goes_on(
    earlier: Earlier, pictures: Path, new_database: Callable[[], str], fresh_schema: str, tmp_path: Path
) -> None:
    tree = take_out(earlier, tmp_path / "tree")
    url = new_database()
    run(tree, environment(tree, tmp_path / "home", url), str(_HERE / "fill.py"), str(pictures))
    assert newest(url) == earlier.newest
    before = all_rows(url)
    assert all(before[f"public.{table}"] for table in ("assets_asset", "tagging_decision", "jobs_taggingjob"))

    ours = environment(ROOT, tmp_path / "home", url)
    said = run(ROOT, ours, "-m", "dam.cli", "migrate")

    assert lost(before, all_rows(url)) == {}, said
    run(ROOT, ours, str(_HERE / "look.py"), str(tmp_path / "told.json"))
    told = json.loads((tmp_path / "told.json").read_text())
    assert set(told["pages"].values()) == {200}, told["pages"]
    assert told["signs in"]
    tagged = IMPORTED + UPLOADED - 2  # one is corrupt, and one has just come
    states = ("tagged", "pending", "failed")
    assert told["ledger"]["agrees"]
    assert [told["ledger"][state] for state in states] == [tagged, 1, 1]
    assert len(told["found"]["dog"]) == tagged
    assert len(told["found"]["flower"]) == UPLOADED
    assert set(told["jobs"]) == {"done", "failed"}
    assert told["jobs"].count("failed") == 1
    assert told["ledger after"]["agrees"]
    assert [told["ledger after"][state] for state in states] == [tagged + 1, 0, 1]
    # With the queue's tables, which are brought up to date by whoever uses them first.
    assert schema(url) == fresh_schema
