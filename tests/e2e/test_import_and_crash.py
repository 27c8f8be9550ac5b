"""An import with bad files among it, through a kill -9 of the whole system: nothing lost, nothing twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psycopg
import pytest

from dam.embedded.state import database_url
from tests.plugins.photos import write_photos
from tests.plugins.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

GOOD = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 photographs and ten bad files: six that are refused at the door, four that fail to decode."""
    folder = tmp_path_factory.mktemp("pictures")
    photos = write_photos(folder / "good", GOOD, long_side=320)
    bad = folder / "bad"
    bad.mkdir()
    for number in range(3):
        (bad / f"text_{number}.jpg").write_text(f"This is no picture. {number}")
    (bad / "empty.jpg").touch()
    (bad / "page.png").write_text("<html></html>")
    (bad / "archive.webp").write_bytes(b"PK\x03\x04" + bytes(200))
    for number in range(4):
        whole = photos[number].read_bytes()
        (bad / f"truncated_{number}.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


def rows(home: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url(home)) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def test_an_import_survives_a_kill_of_everything(own_system: System, folder: Path) -> None:
    own_system.start()
    first = own_system.cli_started("import", str(folder))
    # In the middle: some are tagged, most are not.
    wait_for(lambda: own_system.ledger()["tagged"] >= 60, within_s=240, what=lambda: str(own_system.ledger()))
    before = own_system.ledger()
    assert before["pending"] > 0, "the kill must come in the middle of the work"
    own_system.kill_everything()
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)

    own_system.start()
    assert own_system.ledger()["tagged"] >= before["tagged"]
    ended = own_system.cli("import", str(folder), "--wait", "--json", check=False)
    assert ended.returncode == 1, ended.stderr  # six are refused
    report = json.loads(ended.stdout)

    ledger = own_system.ledger()
    assert ledger["agrees"]
    assert (ledger["assets"], ledger["tagged"], ledger["pending"], ledger["failed"]) == (
        GOOD + 4,
        GOOD,
        0,
        4,
    )
    assert ledger["failed_by_reason"] == {"corrupt": 4}
    assert ledger["jobs"]["queued"] == ledger["jobs"]["published"] == 0
    assert report["new"] + report["duplicate"] == GOOD + 4
    assert report["refused"] == 6

    blamed = {
        Path(file["path"]).name: (file["outcome"], file["reason"])
        for file in report["files"]
        if Path(file["path"]).parent.name == "bad"
    }
    assert blamed == {
        **{f"text_{number}.jpg": ("refused", "not-a-picture") for number in range(3)},
        "empty.jpg": ("refused", "empty"),
        "page.png": ("refused", "not-a-picture"),
        "archive.webp": ("refused", "not-a-picture"),
        **{f"truncated_{number}.jpg": ("failed", "corrupt") for number in range(4)},
    }

    home = own_system.home
    nothing_twice = [
        "SELECT current_version_id FROM assets_asset GROUP BY 1 HAVING count(*) > 1",
        "SELECT blob_id FROM assets_assetversion GROUP BY 1 HAVING count(*) > 1",
        "SELECT asset_id FROM tagging_prediction GROUP BY 1 HAVING count(*) > 1",
        "SELECT asset_id, tag_id FROM tagging_claim GROUP BY 1, 2 HAVING count(*) > 1",
    ]
    assert [rows(home, sql) for sql in nothing_twice] == [[], [], [], []]
    stored = {path.parent.name for path in (home / "blobs").glob("??/??/*/original")}
    assert stored == {sha for (sha,) in rows(home, "SELECT sha256 FROM assets_blob")}
