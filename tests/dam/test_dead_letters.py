"""What the queue gave up is kept once, shown, and replayed or dropped; what cannot be replayed says why."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from dam.assets.models import Asset
from dam.assets.replays import ReplayRefusedError, dead_letter_replay
from dam.jobs.ledger import ledger
from dam.jobs.models import DeadLetter, TaggingJob
from dam.jobs.services import dead_letter_drop, dead_letter_keep, job_enqueue
from pipeline.blobs import original_key
from pipeline.messages import Purpose, TagRequest
from tests.dam.factories import AssetFactory, TaggingJobFactory, job_close

pytestmark = pytest.mark.django_db


def request_of(job: TaggingJob) -> bytes:
    request = TagRequest(
        job_id=job.pk,
        generation=job.generation,
        purpose=Purpose(job.purpose),
        asset_id=job.asset_id,
        blob_key=job.blob_key,
        sha256=job.sha256,
        media_type=job.media_type,
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return request.model_dump_json().encode()


def keep(body: bytes, job: TaggingJob | None = None, *, queue: str = "tagging.bulk.dead", **facts):
    facts = {"reason": "delivery limit", "delivery_count": 6, "message_id": "m"} | facts
    return dead_letter_keep(
        queue=queue,
        body=body,
        job_id=job.pk if job else None,
        generation=job.generation if job else None,
        **facts,
    )


def given_up(*, purpose: str = "live", asset: Asset | None = None) -> DeadLetter:
    """The letter of a job that failed as dead-lettered, as the writer leaves it."""
    if asset is None:
        asset = AssetFactory(state="failed", reason="dead-lettered")
    job = TaggingJobFactory(asset=asset, purpose=purpose)
    job_close(job, failed=True, reason="dead-lettered")
    return keep(request_of(job), job)


def delete_asset(asset: Asset) -> None:
    Asset.objects.filter(pk=asset.pk).update(current_version=None)
    Asset.objects.filter(pk=asset.pk).delete()


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("dead_letters", *words, stdout=out, stderr=out)
    return out.getvalue()


def run_refused(*words: str) -> str:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("dead_letters", *words, stdout=out, stderr=out)
    assert ended.value.code == 1
    return out.getvalue()


# ------------------------------------------------------------------ keeping


def test_the_same_message_read_twice_is_one_letter_and_one_of_a_newer_generation_another():
    job = TaggingJobFactory()
    first = keep(request_of(job), job)
    again = keep(request_of(job), job, delivery_count=7, reason="read again")
    assert (again.pk, again.delivery_count, again.reason) == (first.pk, 6, "delivery limit")
    job.generation = 2
    job.save()
    assert keep(request_of(job), job).pk != first.pk
    assert DeadLetter.objects.count() == ledger().dead_letters == 2


def test_a_message_stays_settled_when_it_is_read_once_more():
    letter = keep(b"junk")
    dead_letter_drop(letter=letter)
    assert keep(b"junk").state == "dropped"
    assert ledger().dead_letters == 0


@pytest.mark.parametrize(
    ("job_id", "generation"), [(None, None), (12345, 1), (2**70, 2**40), (-1, -1), (0, 0)], ids=str
)
def test_a_message_that_names_no_job_is_kept_too(job_id, generation):
    letter = dead_letter_keep(
        queue="tagging.results.dead",
        message_id="\0" + "x" * 500,
        body=b"\0\xff",
        reason="\0" + "y" * 900,
        delivery_count=1,
        job_id=job_id,
        generation=generation,
    )
    letter.refresh_from_db()
    assert letter.job is None
    assert bytes(letter.body) == b"\0\xff"


def test_a_letter_outlives_its_asset():
    letter = given_up()
    delete_asset(letter.job.asset)
    letter.refresh_from_db()
    assert (letter.state, letter.job) == ("kept", None)


# ---------------------------------------------------------------- replaying


def test_a_replay_is_a_job_of_the_next_generation_behind_those_that_people_wait_for():
    letter = given_up()
    replay = dead_letter_replay(letter=letter)
    asset = Asset.objects.get()
    job = replay.job
    assert (job.asset_id, job.generation, job.bulk, job.state) == (asset.pk, 2, True, "queued")
    assert (asset.state, asset.generation) == ("pending", 2)
    letter.refresh_from_db()
    assert (letter.state, letter.replayed_job) == ("replayed", job)
    assert ledger().agrees


def test_replaying_twice_issues_one_job():
    letter = given_up()
    first, second = dead_letter_replay(letter=letter), dead_letter_replay(letter=letter)
    assert (first.new, second.new, second.job) == (True, False, first.job)


def test_two_letters_of_one_picture_are_replayed_by_one_job():
    asset = AssetFactory(state="failed", reason="dead-lettered")
    older = given_up(asset=asset)
    asset.generation = 2
    asset.save()
    newer = given_up(asset=asset)
    assert dead_letter_replay(letter=older).new
    assert not dead_letter_replay(letter=newer).new
    assert TaggingJob.objects.filter(state="queued").count() == 1


def test_a_picture_that_was_tagged_meanwhile_is_replayed_only_by_force():
    letter = given_up()
    job_close(TaggingJobFactory(asset=letter.job.asset, generation=2))
    Asset.objects.update(state="tagged", reason="", generation=2)
    with pytest.raises(ReplayRefusedError, match="tagged meanwhile"):
        dead_letter_replay(letter=letter)
    assert dead_letter_replay(letter=letter, force=True).job.generation == 3
    assert Asset.objects.get().state == "tagged"


def test_an_answer_that_was_tagged_before_can_be_asked_for_again():
    """A picture tagged once, whose second tagging was given up, keeps its tags and may be replayed."""
    asset = AssetFactory(generation=1)
    job_close(TaggingJobFactory(asset=asset))
    asset.generation = 2
    asset.save()
    assert dead_letter_replay(letter=given_up(asset=asset)).job.generation == 3


def test_a_shadow_is_replayed_as_a_shadow_whatever_became_of_the_tags_people_see():
    asset = AssetFactory(generation=1)
    letter = given_up(asset=asset, purpose="shadow")
    job_close(TaggingJobFactory(asset=asset, generation=2))
    Asset.objects.update(generation=2)
    assert dead_letter_replay(letter=letter).job.purpose == "shadow"


def a_try() -> DeadLetter:
    job = job_enqueue(
        purpose=TaggingJob.Purpose.TRY,
        blob_key=original_key("0" * 64),
        sha256="0" * 64,
        media_type="image/png",
    )
    return keep(request_of(job), job)


def a_swept_try() -> DeadLetter:
    letter = a_try()
    TaggingJob.objects.all().delete()
    return letter


def of_a_deleted_picture() -> DeadLetter:
    letter = given_up()
    delete_asset(letter.job.asset)
    return letter


def dropped() -> DeadLetter:
    letter = given_up()
    dead_letter_drop(letter=letter)
    return letter


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (a_try, "it is a try"),
        (a_swept_try, "it is a try"),
        (lambda: keep(b"not json"), "nobody can read it"),
        (of_a_deleted_picture, "its picture was deleted"),
        (dropped, "it was dropped"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_reason(make, why):
    letter = make()
    issued = TaggingJob.objects.count()
    for force in (False, True):
        with pytest.raises(ReplayRefusedError, match=why):
            dead_letter_replay(letter=letter, force=force)
    assert TaggingJob.objects.count() == issued


# ------------------------------------------------------------ on the server


def test_the_list_shows_what_waits_for_a_decision():
    letter, junk = given_up(), keep(b"junk", reason="not [ours]", queue="tagging.results.dead")
    dead_letter_drop(letter=keep(b"old junk"))
    listed = json.loads(run("list", "--json"))
    assert listed["count"] == 2
    assert [one["id"] for one in listed["dead_letters"]] == [letter.pk, junk.pk]
    assert listed["dead_letters"][0]["asset"] == letter.job.asset_id
    assert json.loads(run("list", "--reason", "ours", "--json"))["count"] == 1
    assert json.loads(run("list", "--state", "any", "--json"))["count"] == 3
    table = run("list")
    assert "not [ours]" in table
    assert "unreadable" in table
    assert "1 more" in run("list", "--limit", "1")
    DeadLetter.objects.all().delete()
    assert run("list") == "There are none.\n"


def test_one_is_shown_with_its_message():
    letter = given_up()
    shown = run("show", str(letter.pk))
    assert "delivery limit" in shown
    assert f'"asset_id": {letter.job.asset_id}' in shown
    assert json.loads(run("show", str(letter.pk), "--json"))["deliveries"] == 6
    with pytest.raises(CommandError, match="no dead letter 99999"):
        run("show", "99999")


@pytest.mark.parametrize(
    "body", [b"\xff\x1b[2Jjunk", b'{"a": "\\u009b2J\x7f"}', b"[" * 100_000, b"", b'"' + b"x" * 9999]
)
def test_a_hostile_message_is_shown_without_commanding_the_terminal(body):
    shown = run("show", str(keep(body).pk))
    assert all(sign.isprintable() or sign == "\n" for sign in shown)


def test_a_long_value_is_cut():
    shown = run("show", str(keep(json.dumps({"embedding_f32": "A" * 3000}).encode()).pk))
    assert "3,000 characters" in shown
    assert "A" * 100 not in shown


def test_replaying_all_tells_what_was_refused_and_why():
    letter, junk = given_up(), keep(b"junk")
    said = run_refused("replay", "--all")
    assert "replayed: 1, new jobs: 1, refused: 1" in said
    assert f"{junk.pk}: nobody can read it" in said
    assert TaggingJob.objects.get(state="queued").asset_id == letter.job.asset_id
    # Again: what is replayed is not kept any more, what is refused still is.
    assert "replayed: 0, new jobs: 0, refused: 1" in run_refused("replay", "--all")


def test_letters_are_replayed_by_id_and_by_reason():
    first, second = given_up(), given_up()
    DeadLetter.objects.filter(pk=second.pk).update(reason="it kills every worker")
    assert json.loads(run("replay", "--all", "--reason", "kills", "--json")) == {
        "replayed": 1,
        "jobs_issued": 1,
        "refused": {},
    }
    first.refresh_from_db()
    assert first.state == "kept"
    run("replay", str(first.pk))
    assert json.loads(run("replay", str(first.pk), "--json"))["jobs_issued"] == 0
    assert TaggingJob.objects.filter(state="queued").count() == 2


def test_dropping_settles_letters_and_changes_nothing_else():
    letter, junk, replayed = given_up(), keep(b"junk"), given_up()
    dead_letter_replay(letter=replayed)
    assert "dropped: 2, refused: 0" in run("drop", str(letter.pk), str(junk.pk))
    assert "dropped: 0, refused: 0" in run("drop", str(letter.pk), str(junk.pk))
    assert f"{replayed.pk}: it was replayed" in run_refused("drop", str(replayed.pk))
    assert letter.job.asset.state == "failed"
    assert ledger().dead_letters == 0


@pytest.mark.parametrize("todo", ["replay", "drop"])
def test_an_unknown_id_stops_everything_before_it_begins(todo):
    letter = given_up()
    with pytest.raises(CommandError, match="99999"):
        run(todo, str(letter.pk), "99999")
    with pytest.raises(CommandError, match="either"):
        run(todo)
    letter.refresh_from_db()
    assert letter.state == "kept"
