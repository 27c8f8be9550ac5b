"""A model version is undone: everything that people see is as if it had never answered, and back again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from dam.assets.models import Asset
from dam.assets.services import asset_create, asset_request_tags
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_ask_again_withdrawn, jobs_publish
from dam.loops import housekeeping
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from dam.tagging.services import Answer, Recorded, answers_record, decision_make, result_record
from dam.tagging.undo import (
    version_assets_left,
    version_follow,
    version_reinstate,
    version_withdraw,
    versions_follow,
)
from dam.tagging.vocabulary import vocabulary
from tests.dam.relaying import SOON, in_threads
from tests.dam.tagging_scene import SURE, answer, failure, picture, shown
from tests.plugins.system import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]

Purpose = TaggingJob.Purpose


@pytest.fixture
def make(person: User) -> Callable[[], Asset]:
    shades = iter(range(1, 256))

    def new() -> Asset:
        return asset_create(stream=picture(next(shades)), filename="a.png", user=person).asset

    return new


def say(asset: Asset, scores: dict[str, float], *, version: int, purpose: Any = Purpose.CAMPAIGN) -> None:
    """Have a version answer for an asset: its open job, or one of a campaign."""
    job = TaggingJob.objects.filter(asset=asset, state__in=("queued", "published")).first()
    job = job or asset_request_tags(asset=asset, purpose=purpose)
    result_record(result=answer(job, scores, version=version), words=vocabulary())


def version(number: int) -> ModelVersion:
    return ModelVersion.objects.get(version=number)


def withdraw(number: int) -> ModelVersion:
    found = version(number)
    with transaction.atomic():
        version_withdraw(version=found)
    return found


def reinstate(number: int) -> None:
    with transaction.atomic():
        version_reinstate(version=version(number))


def seen() -> dict[int, tuple[Any, ...]]:
    """Everything that people see of tags, asset by asset, with its provenance."""
    return {
        asset.pk: (
            asset.state,
            asset.tag_ids,
            sorted(
                Claim.objects.filter(asset=asset).values_list(
                    "tag__slug", "state", "source", "score", "threshold", "model_version__version"
                )
            ),
        )
        for asset in Asset.objects.all()
    }


def decisions() -> list[dict[str, Any]]:
    return list(Decision.objects.order_by("pk").values())


@pytest.fixture
def library(make, person: User) -> list[Asset]:
    """Six pictures that version 1 tagged and people decided on, and then version 2 tagged again."""
    assets = [make() for _ in range(6)]
    for asset in assets:
        say(asset, SURE, version=1)
    tags = {tag.slug: tag for tag in Tag.objects.all()}
    decision_make(asset=assets[0], tag=tags["beagle"], verdict=Decision.Verdict.REJECTED, user=person)
    decision_make(asset=assets[1], tag=tags["dog"], verdict=Decision.Verdict.ACCEPTED, user=person)
    decision_make(asset=assets[2], tag=tags["espresso"], verdict=Decision.Verdict.ADDED, user=person)
    return assets


def retag(assets: list[Asset]) -> None:
    for asset in assets:
        say(asset, {"espresso": 0.9, "beagle": 0.6}, version=2)


def test_undoing_a_version_brings_back_exactly_what_was_seen_before(library: list[Asset]) -> None:
    before = seen()
    retag(library[:5])
    after, decided = seen(), decisions()
    assert [asset.pk for asset in library if after[asset.pk] != before[asset.pk]] == [
        asset.pk for asset in library[:5]
    ]
    withdraw(2)
    assert versions_follow() == 5
    assert seen() == before
    assert decisions() == decided
    assert version(2).followed_to is None
    assert ledger().agrees
    reinstate(2)
    assert versions_follow() == 5
    assert seen() == after
    assert decisions() == decided
    assert Prediction.objects.count() == 11


def test_an_asset_that_only_that_version_saw_becomes_pending_with_a_job(make, person: User) -> None:
    only, both, decided = make(), make(), make()
    say(both, SURE, version=1)
    for asset in (only, both, decided):
        say(asset, {"espresso": 0.9}, version=2)
    tag = Tag.objects.get(slug="espresso")
    decision_make(asset=decided, tag=tag, verdict=Decision.Verdict.ACCEPTED, user=person)
    withdraw(2)
    versions_follow()
    states = dict(Asset.objects.values_list("pk", "state"))
    assert states == {only.pk: "pending", both.pk: "tagged", decided.pk: "pending"}
    assert (shown(only), shown(both)) == ({}, {"beagle": "suggested", "dog": "suggested"})
    assert shown(decided) == {"espresso": "accepted"}
    jobs = TaggingJob.objects.filter(state="queued").order_by("asset")
    assert list(jobs.values_list("asset", "purpose", "bulk", "model_label", "generation")) == [
        (only.pk, "campaign", True, "", 2),
        (decided.pk, "campaign", True, "", 2),
    ]
    assert ledger().agrees
    say(only, SURE, version=1)
    assert shown(only) == {"beagle": "suggested", "dog": "suggested"}
    # Reinstated, it tags what waits, but is older than the answer that came meanwhile.
    reinstate(2)
    versions_follow()
    assert set(Asset.objects.values_list("state", flat=True)) == {"tagged"}
    assert shown(only) == {"beagle": "suggested", "dog": "suggested"}
    assert shown(decided) == {"espresso": "accepted"}
    assert ledger().agrees


def test_a_job_that_is_open_already_is_not_issued_twice(make) -> None:
    asset = make()
    say(asset, SURE, version=2)
    again = asset_request_tags(asset=asset)
    withdraw(2)
    versions_follow()
    assert list(TaggingJob.objects.filter(state="queued")) == [again]
    assert Asset.objects.get().state == "pending"
    assert ledger().agrees


def test_the_ledger_agrees_at_every_moment_and_what_is_stopped_half_way_goes_on(make) -> None:
    assets = [make() for _ in range(5)]
    for asset in assets:
        say(asset, SURE, version=2)
    undone = withdraw(2)
    assert version_assets_left(version=undone) == 5
    assert ledger().agrees
    told: list[int] = []
    assert version_follow(version=undone, limit=2) == 2
    assert ledger().agrees
    assert [shown(asset) == {} for asset in assets] == [True, True, False, False, False]
    assert versions_follow(should_stop=lambda: True) == 0
    assert version_assets_left(version=undone) == 3
    assert versions_follow(advance=told.append) == sum(told) == 3
    assert ledger().pending == 5
    assert ledger().agrees
    assert versions_follow() == 0


def test_a_withdrawal_that_is_taken_back_half_way_leaves_no_trace(library: list[Asset]) -> None:
    retag(library)
    after = seen()
    undone = withdraw(2)
    version_follow(version=undone, limit=3)
    assert seen() != after
    reinstate(2)
    assert ledger().agrees
    versions_follow()
    assert seen() == after


def test_two_versions_undone_at_once_leave_what_the_third_said(library: list[Asset]) -> None:
    before = seen()
    retag(library[:4])
    for asset in library[2:]:
        say(asset, {"animal": 0.9}, version=3)
    for number in (2, 3):
        withdraw(number)
    versions_follow()
    assert seen() == before
    assert ledger().agrees


def test_shadow_answers_are_no_reason_to_derive_anything(library: list[Asset]) -> None:
    for asset in library:
        say(asset, {"espresso": 0.9}, version=2, purpose=Purpose.SHADOW)
    before = seen()
    withdraw(2)
    assert versions_follow() == 0
    assert seen() == before
    # It still answers, and nobody sees it.
    say(library[0], {"espresso": 0.8}, version=2, purpose=Purpose.SHADOW)
    assert Prediction.objects.filter(model_version__version=2).count() == 7
    assert ledger().jobs["queued"] == 0


def test_withdrawing_twice_follows_once(library: list[Asset]) -> None:
    retag(library)
    first = withdraw(2)
    versions_follow()
    second = withdraw(2)
    assert (second.withdrawn_at, second.followed_to) == (first.withdrawn_at, None)


# ------------------------------------------- answers that come after the withdrawal


def published_job(asset: Asset) -> TaggingJob:
    TaggingJob.objects.filter(asset=asset, state="queued").update(state="published", attempts=1)
    return TaggingJob.objects.get(asset=asset, state="published")


def test_an_answer_of_a_withdrawn_version_leaves_its_job_open_until_another_one_answers(make) -> None:
    first, second = make(), make()
    say(first, SURE, version=2)
    withdraw(2)
    job = published_job(second)
    late = answer(job, {"espresso": 0.9}, version=2)
    assert result_record(result=late, words=vocabulary()) is Recorded.WITHDRAWN
    job.refresh_from_db()
    assert (job.state, job.reason, job.closed_at) == ("published", "withdrawn", None)
    assert Asset.objects.get(pk=second.pk).state == "pending"
    assert Prediction.objects.count() == 1
    assert ledger().agrees
    TaggingJob.objects.update(model_label="challenger")
    assert jobs_ask_again_withdrawn() == 1
    assert jobs_ask_again_withdrawn() == 0
    job.refresh_from_db()
    assert (job.state, job.reason, job.model_label) == ("queued", "", "")
    assert result_record(result=answer(job, SURE, version=1), words=vocabulary()) is Recorded.TAGGED
    assert shown(second) == {"beagle": "suggested", "dog": "suggested"}
    assert ledger().agrees


def test_in_one_batch_the_answer_that_counts_is_that_of_the_version_that_stands(make) -> None:
    asset = make()
    say(make(), SURE, version=2)
    withdraw(2)
    job = published_job(asset)
    answers = [Answer.of(answer(job, {"espresso": 0.9}, version=2)), Answer.of(answer(job, SURE))]
    assert answers_record(answers=answers, words=vocabulary()) == [Recorded.WITHDRAWN, Recorded.TAGGED]
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested"}


def test_an_old_answer_of_a_withdrawn_version_is_superseded_as_any_other(make) -> None:
    asset = make()
    say(make(), SURE, version=2)
    withdraw(2)
    old = published_job(asset)
    asset_request_tags(asset=asset)
    assert result_record(result=answer(old, SURE, version=2), words=vocabulary()) is Recorded.SUPERSEDED
    assert ledger().agrees


def test_publishing_again_forgets_that_a_withdrawn_version_answered(make) -> None:
    asset = make()
    published_job(asset)
    TaggingJob.objects.update(reason="withdrawn", state="queued")

    class Anywhere:
        def publish(self, messages) -> None:
            pass

    assert jobs_publish(publisher=Anywhere()) == 1  # type: ignore[arg-type]
    assert TaggingJob.objects.get().reason == ""


@pytest.mark.parametrize("followed", [True, False])
def test_a_picture_whose_only_tags_are_undone_fails_when_its_new_job_does(make, *, followed: bool) -> None:
    asset = make()
    say(asset, SURE, version=2)
    asset_request_tags(asset=asset, purpose=Purpose.CAMPAIGN)
    withdraw(2)
    if followed:
        versions_follow()
    job = TaggingJob.objects.get(asset=asset, state="queued")
    result_record(result=failure(job), words=vocabulary())
    # Not reached yet, it still has the tags of before, and a job when it is reached.
    expected = ("failed", 0) if followed else ("pending", 1)
    versions_follow()
    assert Asset.objects.get().state == expected[0]
    assert TaggingJob.objects.filter(state="queued").count() == expected[1]
    assert shown(asset) == {}
    assert ledger().agrees


# ----------------------------------------------------- decisions and provenance


def test_a_decision_notes_whose_answer_was_seen(make, person: User) -> None:
    asset, unseen = make(), make()
    say(asset, SURE, version=1)
    espresso, beagle, dog = [Tag.objects.get(slug=slug) for slug in ("espresso", "beagle", "dog")]

    def decide(tag: Tag, picture: Asset = asset) -> ModelVersion | None:
        decision_make(asset=picture, tag=tag, verdict=Decision.Verdict.ACCEPTED, user=person)
        return Decision.objects.get(asset=picture, tag=tag).model_version

    assert decide(espresso, unseen) is None
    assert decide(espresso) == version(1)
    say(asset, SURE, version=2)
    say(asset, SURE, version=3, purpose=Purpose.SHADOW)
    assert decide(beagle) == version(2)
    undone = withdraw(2)
    # What people see follows a moment later.
    assert decide(dog) == undone
    versions_follow()
    assert decide(dog) == version(1)


# ------------------------------------------------------------------ side by side


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
