"""What the controller reports is in service, and what follows from it."""

from __future__ import annotations

import pytest

from dam.jobs.models import Routing
from dam.rollout.models import Rollout
from dam.rollout.selectors import rollout_get, shadow_progress, steps_list, versions_list
from dam.rollout.services import (
    canary_set,
    rollback,
    serving_report,
)
from dam.tagging.models import ModelVersion
from dam.tagging.services import claims_derive
from tests.dam.factories import UserFactory
from tests.dam.rollout_scene import promoted, reviewed_library, versions
from tests.dam.rollout_steps import done, routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


def test_the_first_report_puts_the_labels_in_use():
    (one,) = versions(1)
    assert rollout_get().champion is None
    serving_report(champion=one, challenger=one, predecessor=one)
    rollout = rollout_get()
    assert (rollout.champion, rollout.challenger, rollout.predecessor) == (one, None, None)
    assert rollout.reported_at >= rollout.promoted_at
    assert ModelVersion.objects.get().alias == "champion"
    assert routes() == ("champion", "challenger", 0)
    assert done() == ["promote"]


def test_the_same_report_again_changes_nothing_but_when_it_came():
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    before = rollout_get()
    serving_report(champion=one, challenger=two)
    after = rollout_get()
    assert after.reported_at > before.reported_at
    assert (after.promoted_at, after.challenged_at) == (before.promoted_at, before.challenged_at)
    assert done() == ["promote", "challenge"]


def test_aliases_follow_the_labels():
    one, two, three = versions(3)
    serving_report(champion=one, challenger=two)
    serving_report(champion=two, challenger=three, predecessor=one)
    assert dict(ModelVersion.objects.values_list("version", "alias")) == {
        1: "predecessor",
        2: "champion",
        3: "challenger",
    }
    serving_report(champion=two)
    assert dict(ModelVersion.objects.values_list("version", "alias")) == {1: "", 2: "champion", 3: ""}


def test_a_new_challenger_begins_without_a_canary(user):
    one, two, three = versions(3)
    serving_report(champion=one, challenger=two)
    canary_set(share=0.5, user=user, force=True, reason="try")
    assert routes() == ("champion", "challenger", 0.5)
    salt = Routing.objects.get().salt
    serving_report(champion=one, challenger=two)
    assert routes()[2] == 0.5
    serving_report(champion=one, challenger=three)
    assert rollout_get().canary_share == 0
    assert routes()[2] == 0
    assert Routing.objects.get().salt != salt
    serving_report(champion=one)
    assert rollout_get().challenged_at is None


def test_a_champion_that_nobody_asked_for_is_recorded_as_the_registrys():
    one, two = versions(2)
    promoted(two, one)
    step = steps_list()[0]
    assert (step.kind, step.state, step.source, step.version, step.before) == (
        "promote",
        "done",
        "registry",
        two,
        one,
    )


# --------------------------------------------------------------------- reads


def test_versions_are_listed_with_what_became_of_their_answers(user):
    one, two = versions(2)
    promoted(two, one)
    reviewed_library(one, two, pictures=3)
    claims_derive(asset=two.predictions.first().asset)
    first, second = versions_list()
    assert (first.version, second.version) == (two, one)
    assert [str(number) for number in (second.predictions, second.decisions)] == ["3", "6"]
    # The newest live answer is the second's; people decided on the tag, which stays theirs and the model's.
    assert second.claims.value == 1
    assert first.followed is None
    rollback(reason="bad", user=user)
    assert versions_list(version_id=two.pk)[0].followed == 0


def test_what_the_challenger_saw_is_counted():
    one, two = versions(2)
    assert shadow_progress() is None
    serving_report(champion=one, challenger=two)
    reviewed_library(one, two, pictures=3)
    progress = shadow_progress()
    assert (progress.answered.value, progress.open, progress.wanted) == (3, 0, Rollout().sample_size)
