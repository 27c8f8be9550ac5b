"""A version is undone while others work on the same pictures."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from dam.assets.models import Asset
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.loops import housekeeping
from dam.tagging.models import ModelVersion, Tag
from dam.tagging.services import result_record
from dam.tagging.undo import (
    version_follow,
    versions_follow,
)
from dam.tagging.vocabulary import vocabulary
from tests.dam.relaying import SOON, in_threads
from tests.dam.tagging_scene import SURE, answer, shown
from tests.dam.undo.undoing import say, version, withdraw
from tests.plugins.system import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_waits_for_an_answer_that_is_being_recorded(make, monkeypatch) -> None:
    """Otherwise the answer would be stored behind its back, and nobody would derive that asset again."""
    asset, other = make(), make()
    say(other, SURE, version=1)
    say(other, SURE, version=2)
    job = TaggingJob.objects.get(asset=asset)
    recorded, go_on = threading.Event(), threading.Event()

    def record() -> None:
        with transaction.atomic():
            result_record(result=answer(job, SURE, version=2), words=vocabulary())
            recorded.set()
            assert go_on.wait(SOON)

    withdrawn = threading.Event()

    def undo() -> None:
        withdraw(2)
        withdrawn.set()

    with in_threads(record):
        assert recorded.wait(SOON)
        with in_threads(undo):
            wait_for(_somebody_waits, within_s=SOON, what=lambda: "a wait for the lock")
            assert not withdrawn.is_set()
            go_on.set()
    versions_follow()
    assert shown(asset) == {}
    assert Asset.objects.get(pk=asset.pk).state == "pending"
    assert ledger().agrees


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return cursor.fetchone()[0] > 0


@pytest.mark.django_db(transaction=True)
def test_of_two_that_follow_at_once_one_does_it(make) -> None:
    asset = make()
    say(asset, SURE, version=2)
    undone = withdraw(2)
    followed: list[int] = []

    def follow() -> None:
        followed.append(version_follow(version=undone))

    with transaction.atomic():
        ModelVersion.objects.select_for_update(no_key=True).get(pk=undone.pk)
        with in_threads(follow):
            pass
    assert followed == [0]
    assert version_follow(version=undone) == 1


@pytest.mark.django_db(transaction=True)
def test_a_regular_round_follows_and_derives_what_waits_for_it(make, monkeypatch) -> None:
    asset = make()
    say(asset, SURE | {"lynx": 0.9}, version=1)
    say(asset, {"espresso": 0.9}, version=2)
    withdraw(2)
    rounds = [one for one in housekeeping.ROUNDS if one.name == "follow"]
    monkeypatch.setattr(housekeeping, "ROUNDS", rounds)
    Tag.objects.filter(slug="lynx").update(active=True, kind="leaf", derive_pending=True)
    housekeeping.do_rounds(lambda: False)
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested", "lynx": "suggested"}
    assert version(2).followed_to is None
    assert not Tag.objects.filter(derive_pending=True).exists()
