"""An upgrade while people look and upload: no request fails, and every upload is tagged once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.plugins.photos import write_photos
from tests.plugins.rabbitmq import require_rabbitmq
from tests.plugins.system import wait_for
from tests.upgrade.earlier import ALL, BEFORE_TRACES, FROM, take_out
from tests.upgrade.load import Load, SlowUpload
from tests.upgrade.two_versions import TwoVersions

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

_WITHIN_S = 180
_MORE = 3
"""Pictures that have to be tagged in each state of the system on the way."""


@pytest.fixture
def plant(tmp_path: Path, model_dir: Path) -> Iterator[TwoVersions]:
    require_rabbitmq()
    earlier = ALL[os.environ.get(FROM) or BEFORE_TRACES.name]
    tree = take_out(earlier, tmp_path / "tree")
    with TwoVersions(tmp_path / "plant", tree=tree, models=model_dir) as plant:
        yield plant


@pytest.fixture
def load(plant: TwoVersions, tmp_path: Path) -> Load:
    said = plant.vitrine("sign_in_link", "admin", "--base-url", plant.ingress.address).stdout
    link = re.search(r"http\S+/sign-in/link/\S+", said)
    assert link, said
    plant.api().close()  # makes the token, before several threads ask for it
    pictures = write_photos(tmp_path / "pictures", 20, seed=41, long_side=320)
    return Load(plant.ingress.address, link=link.group(), api=plant.api, pictures=pictures)


@contextmanager
def goes_on(plant: TwoVersions, load: Load) -> Iterator[None]:
    """After the block, pictures that come in are tagged as before."""
    yield
    uploaded = len(load.uploaded)
    wait_for(lambda: len(load.uploaded) >= uploaded + _MORE, within_s=_WITHIN_S, what=plant.last_words)
    newest = max(load.uploaded)
    done = "SELECT count(*) FROM jobs_taggingjob WHERE state = 'done' AND asset_id >= %s"
    wait_for(lambda: plant.rows(done, newest)[0][0] > 0, within_s=_WITHIN_S, what=plant.last_words)


def test_an_upgrade_under_load_fails_no_request_and_tags_every_upload_once(
    plant: TwoVersions, load: Load, tmp_path: Path
) -> None:
    (slow,) = write_photos(tmp_path / "slow", 1, seed=42, long_side=640)
    first, last = plant.workers
    with load:
        with goes_on(plant, load):
            assert all(map(plant.runs_earlier, plant.everything()))
        # 1. The tables, while everything old goes on: it works with the new ones.
        with goes_on(plant, load):
            plant.commands_of_this_version()
            said = plant.vitrine("migrate").stdout
        # 2. A new worker beside the old relay and the old writer; new pages are on their way.
        old, plant.webs = plant.webs, [plant.new_web(), plant.new_web()]
        with goes_on(plant, load):
            plant.change(first)
        # 3. The pages one by one: a new process has to be ready before an old one goes.
        for before, new in zip(old, plant.webs, strict=True):
            with goes_on(plant, load):
                plant.admit(new)
                assert plant.retire(before) == 0, before.kept.tail()
        # 4. The old worker beside the new relay, then beside the new writer; then it goes, too.
        for process in (plant.relay, plant.writer, last):
            with goes_on(plant, load):
                plant.change(process)
        assert not any(map(plant.runs_earlier, plant.everything()))
        # 5. And back by one version, which leaves the tables as they are.
        again = plant.new_web(earlier=True)
        with goes_on(plant, load):
            for process in (plant.writer, first):
                plant.change(process, to_earlier=True)
        with goes_on(plant, load), SlowUpload(plant.webs[0].address, plant.api, slow) as upload:
            plant.admit(again)
            assert plant.retire(plant.webs[0], under_way=upload.finish) == 0, plant.webs[0].kept.tail()
        load.uploaded.append(upload.asset)

    assert "Applying" in said
    assert load.failures == []
    assert {status for _, status in load.answers} <= {200, 201, 302}
    assert len(plant.ingress.answered) == 5
    open_ = "SELECT count(*) FROM jobs_taggingjob WHERE state IN ('queued', 'published')"
    wait_for(lambda: plant.rows(open_)[0][0] == 0, within_s=_WITHIN_S, what=plant.last_words)
    ledger = plant.ledger()
    assert ledger["agrees"]
    assert (ledger["tagged"], ledger["failed"]) == (len(load.uploaded), 0)
    assert ledger["dead_letters"] == 0
    assert len(set(load.uploaded)) == len(load.uploaded)
    once = "SELECT count(*), count(DISTINCT asset_id) FROM {} WHERE asset_id = ANY(%s)"
    for table in ("jobs_taggingjob", "tagging_prediction"):
        assert plant.rows(once.format(table), load.uploaded) == [(len(load.uploaded),) * 2], table
    assert plant.rows("SELECT DISTINCT attempts FROM jobs_taggingjob") == [(1,)]
    wait_for(lambda: not plant.queues_with_messages(), within_s=_WITHIN_S, what=plant.last_words)
    assert plant.keeper.unmeant_exits() == {}
    print(f"{sum(load.answers.values())} requests, the slowest {load.slowest_s:.2f} s: {load.answers}")
