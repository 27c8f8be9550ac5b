"""The regular rounds of the relays: each is done by one, when it is due."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from dam.jobs.models import TaggingJob
from dam.jobs.services import round_begin, round_give_back
from dam.loops import housekeeping
from pipeline.ports import TransportDownError
from pipeline.postgres_queue import PostgresTransport
from tests.dam.relaying import SOON, in_threads, queue_jobs, relays, take
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def age_round(name: str, *, by: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_round SET begun_at = begun_at - %s::interval WHERE name = %s", [by, name])


def test_of_many_relays_one_begins_a_round_until_it_is_due_again() -> None:
    begun: list[bool] = []
    every = timedelta(hours=1)

    def begin() -> None:
        begun.append(round_begin(name="orphans", every=every))

    with in_threads(*[begin] * 4):
        pass
    assert sorted(begun) == [False, False, False, True]
    age_round("orphans", by="59 minutes")
    assert not round_begin(name="orphans", every=every)
    age_round("orphans", by="1 minute")
    assert round_begin(name="orphans", every=every)
    round_give_back(name="orphans", every=every)
    assert round_begin(name="orphans", every=every)
    assert not round_begin(name="orphans", every=every)


def test_of_many_relays_none_begins_a_round_at_once_that_waits_first() -> None:
    every = timedelta(hours=1)
    begun: list[bool] = []

    def begin() -> None:
        begun.append(round_begin(name="orphans", every=every, waits_first=True))

    with in_threads(*[begin] * 4):
        pass
    assert begun == [False] * 4
    age_round("orphans", by="1 hour")
    assert round_begin(name="orphans", every=every, waits_first=True)
    round_give_back(name="orphans", every=every)
    assert round_begin(name="orphans", every=every, waits_first=True)


def test_a_running_relay_publishes_again_what_has_no_answer_for_too_long(
    broker: PostgresTransport, monkeypatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_EVERY_S", 0.1)
    (job_id,) = queue_jobs(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_taggingjob SET state = 'published', attempts = 1, "
            "published_at = now() - interval '2 hours'"
        )
    with relays():
        wait_for(
            lambda: TaggingJob.objects.get().attempts == 2, within_s=SOON, what=lambda: "the second attempt"
        )
    assert take(broker) == [job_id]
    assert TaggingJob.objects.get().generation == 1


def test_a_store_that_is_down_stops_no_other_round_and_is_asked_again(monkeypatch) -> None:
    done: list[str] = []

    def down(_should_stop) -> dict[str, int]:
        done.append("down")
        raise TransportDownError("no store")

    def works(_should_stop) -> dict[str, int]:
        done.append("works")
        return {}

    every = housekeeping.ROUNDS[0].every
    rounds = [housekeeping.Round("a", every, down), housekeeping.Round("b", every, works)]
    monkeypatch.setattr(housekeeping, "ROUNDS", rounds)
    for _ in range(2):
        housekeeping.do_rounds(lambda: False)
    assert done == ["down", "works", "down"]
