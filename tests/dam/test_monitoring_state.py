"""What the monitor, the status page and the doctor read of the catalogue, on real PostgreSQL."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.jobs.models import DeadLetter, Round, TaggingJob
from dam.monitoring.places import blob_store_outage, database_read, disks_read
from dam.monitoring.recent import (
    dead_letters_newest,
    failed_jobs_newest,
    first_answer_since,
    throughput_read,
)
from dam.monitoring.state import models_in_service, rounds_read, state_read, sums_read
from dam.rollout.models import Rollout
from dam.tagging.models import Prediction
from tests.dam.factories import (
    AssetFactory,
    ModelVersionFactory,
    PredictionFactory,
    TaggingJobFactory,
    job_close,
)

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def pending(age: timedelta, **facts: object) -> TaggingJob:
    """A pending picture whose job was issued so long ago."""
    job = TaggingJobFactory(**facts)
    TaggingJob.objects.filter(pk=job.pk).update(created_at=timezone.now() - age)
    return job


def letter(queue: str, **facts: object) -> DeadLetter:
    number = DeadLetter.objects.count()
    return DeadLetter.objects.create(digest=f"{number:064d}", queue=queue, body=b"{}", **facts)


def test_an_empty_catalogue_has_nothing_of_anything() -> None:
    state = state_read()
    assert (state.assets.total, state.assets.tagged, state.assets.pending, state.assets.failed) == (
        0,
        0,
        0,
        0,
    )
    assert state.assets.failed_by_reason == {}
    assert set(state.assets.pending_older_than.values()) == {0}
    assert state.jobs.counts == {}
    assert set(state.jobs.oldest_s.values()) == {0.0}
    assert len(state.jobs.oldest_s) == 6
    assert state.dead_letters == {}
    assert abs(state.read_at - timezone.now()) < MINUTE
    assert throughput_read().last_hour == 0
    assert models_in_service() == rounds_read() == ()


def test_pictures_are_counted_by_what_became_of_them() -> None:
    AssetFactory.create_batch(3)
    for reason in ("corrupt", "corrupt", "too-large"):
        AssetFactory(state=Asset.State.FAILED, reason=reason)
    pending(MINUTE)
    assets = state_read().assets
    assert (assets.total, assets.tagged, assets.pending, assets.failed) == (7, 3, 1, 3)
    assert assets.failed_by_reason == {"corrupt": 2, "too-large": 1}


def test_pending_pictures_are_counted_by_how_long_they_wait_for_their_answer() -> None:
    for age in (timedelta(seconds=5), 2 * MINUTE, 30 * MINUTE, 2 * HOUR, 3 * DAY):
        pending(age)
    # Uploaded long ago, asked again just now; a comparison that waits for days holds nobody up.
    again = pending(timedelta())
    Asset.objects.filter(pk=again.asset_id).update(created_at=timezone.now() - 300 * DAY)
    pending(5 * DAY, purpose=TaggingJob.Purpose.SHADOW, asset=again.asset, generation=2)
    assert state_read().assets.pending_older_than == {"0s": 6, "1m": 4, "10m": 3, "1h": 2, "1d": 1}


def test_a_pending_picture_that_was_forgotten_waits_since_its_upload() -> None:
    asset = AssetFactory(state=Asset.State.PENDING)
    Asset.objects.filter(pk=asset.pk).update(created_at=timezone.now() - 2 * HOUR)
    assert state_read().assets.pending_older_than["1h"] == 1


def test_open_jobs_are_counted_and_the_oldest_of_each_lane_has_its_age() -> None:
    pending(10 * MINUTE)
    pending(20 * MINUTE, bulk=True)
    pending(30 * MINUTE, bulk=True, state=TaggingJob.State.PUBLISHED)
    pending(40 * MINUTE, bulk=True, purpose=TaggingJob.Purpose.CAMPAIGN, state=TaggingJob.State.PUBLISHED)
    pending(50 * MINUTE, bulk=True, purpose=TaggingJob.Purpose.SHADOW)
    pending(5 * MINUTE, asset=None, purpose=TaggingJob.Purpose.TRY)
    job_close(pending(HOUR))
    jobs = state_read().jobs
    assert jobs.counts == {
        ("live", "queued"): 2,
        ("live", "published"): 1,
        ("campaign", "published"): 1,
        ("shadow", "queued"): 1,
        ("try", "queued"): 1,
    }
    minutes = {place: round(age_s / 60) for place, age_s in jobs.oldest_s.items()}
    assert minutes == {
        ("queued", "interactive"): 10,
        ("queued", "bulk"): 20,
        ("queued", "shadow"): 50,
        ("published", "interactive"): 0,
        ("published", "bulk"): 40,
        ("published", "shadow"): 0,
    }


def test_dead_letters_count_until_somebody_settles_them() -> None:
    for _ in range(2):
        letter("tagging.bulk.dead", reason="delivery limit")
    letter("tagging.results.dead")
    letter("tagging.bulk.dead", state=DeadLetter.State.DROPPED, settled_at=timezone.now())
    assert state_read().dead_letters == {"tagging.bulk.dead": 2, "tagging.results.dead": 1}
    newest = dead_letters_newest(2)
    assert [one.queue for one in newest] == ["tagging.results.dead", "tagging.bulk.dead"]
    assert newest[1].reason == "delivery limit"


def test_the_sums_count_closed_jobs_too_and_bring_the_ledger() -> None:
    job_close(pending(HOUR))
    job_close(pending(HOUR), failed=True, reason="corrupt")
    pending(HOUR, purpose=TaggingJob.Purpose.CAMPAIGN)
    sums = sums_read()
    assert sums.jobs == {("live", "done"): 1, ("live", "failed"): 1, ("campaign", "queued"): 1}
    # Jobs were closed behind the back of their pictures, which the ledger sees.
    assert not sums.ledger.agrees
    assert sums.ledger.forgotten == 2


def test_what_failed_last_is_named_first_with_its_reason() -> None:
    now = timezone.now()
    for number in range(3):
        job = pending(DAY, asset__filename=f"{number}.jpg", request_id=f"request-{number}")
        job_close(job, failed=True, reason="corrupt")
        TaggingJob.objects.filter(pk=job.pk).update(
            detail="The file ends too early.", closed_at=now - number * HOUR
        )
    job_close(pending(DAY))
    first, second = failed_jobs_newest(2)
    assert (first.filename, first.reason, first.detail) == ("0.jpg", "corrupt", "The file ends too early.")
    assert (first.at, first.request_id, second.filename) == (now, "request-0", "1.jpg")


def test_throughput_counts_what_was_tagged_lately_for_people() -> None:
    ages = (DAY, 2 * HOUR, 59 * MINUTE, 6 * MINUTE, 4 * MINUTE, timedelta(seconds=1))
    model = ModelVersionFactory()
    answers = [PredictionFactory(model_version=model) for _ in ages]
    ids = [answer.pk for answer in answers]
    # Gaps in the ids, as a rolled back transaction leaves them.
    answers[1].delete()
    PredictionFactory(model_version=model, purpose="shadow")
    for pk, age in zip(ids, ages, strict=True):
        Prediction.objects.filter(pk=pk).update(created_at=timezone.now() - age)
    throughput = throughput_read()
    assert (throughput.last_5_minutes, throughput.last_hour) == (2, 4)
    assert first_answer_since(timezone.now() - HOUR) in {ids[1], ids[2]}
    assert first_answer_since(timezone.now() + HOUR) > max(ids)
    assert first_answer_since(timezone.now() - 2 * DAY) == ids[0]


def test_models_in_service_and_rounds_are_those_that_were_reported() -> None:
    champion, challenger = ModelVersionFactory(version=7), ModelVersionFactory(version=8)
    Rollout.objects.create(champion=champion, challenger=challenger)
    begun = timezone.now() - HOUR
    Round.objects.create(name="tries", begun_at=begun)
    assert [(one.name, one.version, one.role) for one in models_in_service()] == [
        ("tagger", 7, "champion"),
        ("tagger", 8, "challenger"),
    ]
    assert [(one.name, one.begun_at) for one in rounds_read()] == [("tries", begun)]


def test_the_state_is_one_statement_and_reads_by_partial_indexes(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    pending(MINUTE)
    with django_assert_num_queries(1) as asked:
        state_read()
    (statement,) = (query["sql"] for query in asked.captured_queries)
    with connection.cursor() as cursor:
        # A table of a few rows is read whole anyway: the question is which indexes would do.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    for index in ("asset_not_tagged", "job_queued", "job_published", "deadletter_kept"):
        assert index in plan
    assert "Seq Scan" not in plan


def test_the_database_tells_its_connections_size_and_cache(database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT 1")
        found = database_read()
        ((most,),) = other.execute("SELECT setting::int FROM pg_settings WHERE name = 'max_connections'")
    assert found.connections["active"] >= 1
    # To whichever database of the server: that is what the limit is about.
    assert found.connections["idle in transaction"] >= 1
    assert sum(found.connections.values()) < found.connections_limit < most
    assert found.size_bytes > 1_000_000
    assert found.blocks_from_cache > found.blocks_from_disk > 0


def test_disks_have_room_and_a_blob_store_that_is_gone_is_told(settings: Settings, tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    settings.BLOB_URL = blobs.as_uri()
    blob_store.cache_clear()
    try:
        assert blob_store_outage() == ""
        disks = {disk.place: disk for disk in disks_read()}
        assert (set(disks), disks["blobs"].path) == ({"home", "blobs"}, blobs)
        assert 0 < disks["home"].free_bytes <= disks["home"].size_bytes
        shutil.rmtree(blobs)
        assert "there is no blob store" in blob_store_outage()
        assert {disk.place for disk in disks_read()} == {"home"}
        settings.BLOB_URL = "s3://bucket/prefix"
        assert {disk.place for disk in disks_read()} == {"home"}
    finally:
        blob_store.cache_clear()
