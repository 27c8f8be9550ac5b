"""A model version is undone: everything that people see is as if it had never answered, and back again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.assets.services import asset_request_tags
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging.models import Decision, ModelVersion, Prediction, Tag
from dam.tagging.services import decision_make
from dam.tagging.undo import (
    version_assets_left,
    version_follow,
    versions_follow,
)
from tests.dam.tagging_scene import SURE, shown
from tests.dam.undo.undoing import decisions, reinstate, retag, say, seen, version, withdraw

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]
Purpose = TaggingJob.Purpose


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


# -------------------------------------------------- decisions and provenance


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
