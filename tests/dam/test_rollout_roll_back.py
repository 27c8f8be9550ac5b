"""Versions are rolled back and undone."""

from __future__ import annotations

import pytest
from django.utils import timezone

from dam.assets.services import asset_request_tags
from dam.jobs.models import TaggingJob
from dam.rollout.errors import (
    AlreadyServesError,
    BusyError,
    GateRefusedError,
    NoWayBackError,
    WithdrawnError,
)
from dam.rollout.selectors import rollout_get, step_asked, steps_list
from dam.rollout.services import (
    canary_set,
    promotion_ask,
    rollback,
    serving_report,
    version_take_back,
    version_undo,
    withdrawn_ask_again,
)
from dam.tagging.models import Claim, ModelVersion
from dam.tagging.services import claims_derive
from dam.tagging.undo import versions_follow
from tests.dam.factories import AssetFactory, TagFactory, UserFactory
from tests.dam.rollout_scene import answered, promoted, reviewed_library, versions
from tests.dam.rollout_steps import routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


def test_a_roll_back_is_in_effect_at_once_and_done_when_the_labels_have_moved(user):
    one, two, three = versions(3)
    promoted(two, one)
    serving_report(champion=two, predecessor=one, challenger=three)
    canary_set(share=0.5, user=user, force=True, reason="try")
    step = rollback(reason="it sees cats everywhere", user=user)
    assert (step.kind, step.state, step.source, step.version) == ("roll-back", "asked", "person", two)
    two.refresh_from_db()
    assert two.withdrawn_at is not None
    assert routes() == ("predecessor", "challenger", 0)
    # The controller still reports as it was: nothing is sent to the withdrawn version.
    serving_report(champion=two, predecessor=one, challenger=three)
    assert routes() == ("predecessor", "challenger", 0)
    assert step_asked() == step
    serving_report(champion=one, challenger=three)
    step.refresh_from_db()
    assert step.state == "done"
    assert routes() == ("champion", "challenger", 0)
    assert rollout_get().baseline == {}
    assert [each.kind for each in steps_list()[:1]] == ["roll-back"]


def test_without_a_version_before_there_is_no_way_back(user):
    one, two = versions(2)
    with pytest.raises(NoWayBackError):
        rollback(reason="why not", user=user)
    serving_report(champion=two)
    with pytest.raises(NoWayBackError):
        rollback(reason="why not", user=user)
    serving_report(champion=two, predecessor=one)
    version_undo(version=one, user=user, reason="it was bad")
    with pytest.raises(NoWayBackError):
        rollback(reason="why not", user=user)
    two.refresh_from_db()
    assert two.withdrawn_at is None


def test_a_roll_back_goes_before_a_promotion_that_waits(user):
    one, two, three = versions(3)
    promoted(two, one)
    waiting = promotion_ask(version=three, user=user, force=True, reason="next")
    step = rollback(reason="stop", user=user)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.detail) == ("failed", "A roll-back came first.")
    assert step_asked() == step
    with pytest.raises(BusyError):
        rollback(reason="stop", user=user)
    # The controller was in the middle of it: what serves then is watched, the withdrawn one is gone.
    serving_report(champion=three, predecessor=one)
    step.refresh_from_db()
    assert step.state == "done"
    assert rollout_get().baseline
    assert routes()[0] == "champion"


def test_who_means_another_champion_rolls_nothing_back(user):
    one, two = versions(2)
    promoted(two, one)
    with pytest.raises(BusyError, match="is tagger v2 by now"):
        rollback(reason="stop", user=user, of=one)
    assert step_asked() is None


# ---------------------------------------------------------------------- undo


def test_undoing_the_champion_is_a_roll_back(user):
    one, two = versions(2)
    promoted(two, one)
    step = version_undo(version=two, user=user, reason="bad")
    assert (step.kind, step.state) == ("roll-back", "asked")
    with pytest.raises(NoWayBackError, match="serves in the place"):
        version_undo(version=one, user=user, reason="bad too")
    with pytest.raises(BusyError):
        version_take_back(version=two, user=user)
    with pytest.raises(AlreadyServesError, match="though withdrawn: take that back"):
        promotion_ask(version=two, user=user, force=True, reason="again")


def test_undoing_a_challenger_ends_its_canary_and_its_promotion(user):
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    canary_set(share=0.5, user=user, force=True, reason="try")
    asked = promotion_ask(version=two, user=user, force=True, reason="go")
    step = version_undo(version=two, user=user, reason="bad")
    asked.refresh_from_db()
    assert (step.kind, step.state, step.reason) == ("undo", "done", "bad")
    assert (asked.state, asked.detail) == ("failed", "It was undone meanwhile.")
    assert routes() == ("champion", "challenger", 0)
    with pytest.raises(WithdrawnError):
        canary_set(share=0.5, user=user, force=True, reason="try")
    with pytest.raises(WithdrawnError):
        version_undo(version=two, user=user, reason="bad")


def test_an_undone_version_is_taken_back(user):
    one, two = versions(2)
    serving_report(champion=one)
    with pytest.raises(WithdrawnError):
        version_take_back(version=two, user=user)
    version_undo(version=two, user=user, reason="bad")
    step = version_take_back(version=two, user=user)
    assert (step.kind, step.state) == ("reinstate", "done")
    assert ModelVersion.objects.get(pk=two.pk).withdrawn_at is None


def test_an_undone_version_serves_again_by_force_only(user):
    one, two = versions(2)
    serving_report(champion=one)
    reviewed_library(one, two)
    version_undo(version=two, user=user, reason="bad")
    with pytest.raises(GateRefusedError) as refused:
        promotion_ask(version=two, user=user)
    assert refused.value.reasons == ("tagger v2 is withdrawn.",)
    promotion_ask(version=two, user=user, force=True, reason="it was the labels")
    assert ModelVersion.objects.get(pk=two.pk).withdrawn_at is not None
    serving_report(champion=two, predecessor=one)
    assert ModelVersion.objects.get(pk=two.pk).withdrawn_at is None
    assert routes()[0] == "champion"


def test_claims_follow_an_undone_version_and_its_return(user):
    one, two = versions(2)
    dog, cat = TagFactory(name="dog"), TagFactory(name="cat")
    asset = AssetFactory()
    answered(asset, one, dog)
    answered(asset, two, cat)
    claims_derive(asset=asset)

    def shown():
        versions_follow()
        return list(Claim.objects.values_list("tag__slug", "model_version"))

    promoted(two, one)
    assert shown() == [("cat", two.pk)]
    rollback(reason="bad", user=user)
    assert shown() == [("dog", one.pk)]
    serving_report(champion=one)
    version_take_back(version=two, user=user)
    assert shown() == [("cat", two.pk)]


def test_what_a_withdrawn_version_answered_is_asked_again_only_of_another(user):
    one, two = versions(2)
    asset = AssetFactory()
    job = asset_request_tags(asset=asset)

    def withdrawn_answer():
        TaggingJob.objects.filter(pk=job.pk).update(
            state="published", reason="withdrawn", published_at=timezone.now()
        )

    assert withdrawn_ask_again() == 0
    promoted(two, one)
    withdrawn_answer()
    rollback(reason="bad", user=user)
    assert TaggingJob.objects.get(pk=job.pk).state == "queued"
    # Nothing that is loaded may answer: it would come back the same way.
    ModelVersion.objects.update(withdrawn_at=timezone.now())
    withdrawn_answer()
    assert withdrawn_ask_again() == 0
    assert TaggingJob.objects.get(pk=job.pk).state == "published"
