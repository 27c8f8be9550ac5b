"""What is in service, and the steps by which versions come and go."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.utils import timezone

from dam.assets.services import asset_request_tags
from dam.jobs.models import Routing, TaggingJob
from dam.rollout import promotion
from dam.rollout.errors import (
    AlreadyServesError,
    BusyError,
    ConflictError,
    GateRefusedError,
    NoChallengerError,
    NoWayBackError,
    SettledError,
    VersionTakenError,
    WithdrawnError,
)
from dam.rollout.models import Rollout, Step
from dam.rollout.selectors import rollout_get, shadow_progress, step_asked, steps_list, versions_list
from dam.rollout.services import (
    canary_set,
    promotion_ask,
    rollback,
    serving_report,
    shadow_set,
    step_settle,
    version_register,
    version_take_back,
    version_undo,
    withdrawn_ask_again,
)
from dam.tagging.models import Claim, ModelVersion, Tag
from dam.tagging.services import claims_derive
from dam.tagging.undo import versions_follow
from dam.tagging.vocabulary import VocabularyEntry
from tests.dam.factories import AssetFactory, TagFactory, UserFactory
from tests.dam.rollout_scene import answered, promoted, reviewed_library, versions

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


def routes():
    row = Routing.objects.get()
    return row.live_label, row.trial_label, row.trial_share


def done():
    """Kinds of the steps that are settled well, oldest first."""
    return [step.kind for step in reversed(steps_list()) if step.state == "done"]


# ------------------------------------------------------------------ reports


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


# ---------------------------------------------------------------- promotion


def test_a_promotion_is_asked_for_with_its_evidence_and_done_by_the_next_report(user):
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    reviewed_library(one, two)
    step = promotion_ask(version=two, user=user)
    assert (step.state, step.before, step.by) == ("asked", one, user)
    assert step.evidence["verdict"]["passes"]
    assert step.evidence["comparison"]["pictures"] == 60
    assert step_asked() == step
    serving_report(champion=one, challenger=two)
    assert step_asked() == step
    serving_report(champion=two, predecessor=one)
    step.refresh_from_db()
    assert (step.state, step.settled_at is not None) == ("done", True)
    assert (rollout_get().champion, rollout_get().predecessor) == (two, one)
    assert done() == ["promote", "challenge", "promote"]


def test_the_gate_refuses_with_reasons_and_keeps_them(user):
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    with pytest.raises(GateRefusedError) as refused:
        promotion_ask(version=two, user=user)
    assert refused.value.reasons[0] == "Both versions have answered 0 pictures; 50 are needed."
    step = Step.objects.get(state="refused")
    assert (step, step.version, step.before) == (refused.value.step, two, one)
    assert step.detail.startswith("Both versions")
    assert step.evidence["verdict"]["reasons"] == list(refused.value.reasons)
    assert step_asked() is None


def test_force_goes_on_nevertheless_and_says_why(user):
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    with pytest.raises(ValueError, match="why"):
        promotion_ask(version=two, user=user, force=True)
    step = promotion_ask(version=two, user=user, force=True, reason="we looked")
    assert (step.state, step.forced, step.reason) == ("asked", True, "we looked")
    assert not step.evidence["verdict"]["passes"]


def test_the_first_champion_needs_no_gate(user):
    (one,) = versions(1)
    assert promotion_ask(version=one, user=user).state == "asked"


def test_one_thing_is_asked_for_at_a_time(user):
    one, two, three = versions(3)
    serving_report(champion=one)
    promotion_ask(version=two, user=user, force=True, reason="first")
    with pytest.raises(BusyError, match="The promotion of tagger v2 is asked for already"):
        promotion_ask(version=three, user=user, force=True, reason="second")
    with pytest.raises(AlreadyServesError):
        promotion_ask(version=one, user=user)


def test_what_could_not_be_done_is_settled_and_the_next_may_be_asked_for(user):
    one, two, three = versions(3)
    serving_report(champion=one)
    step = promotion_ask(version=two, user=user, force=True, reason="first")
    for _ in range(2):
        failed = step_settle(step=step, done=False, detail="the golden request was answered wrongly")
    assert (failed.state, failed.detail) == ("failed", "the golden request was answered wrongly")
    with pytest.raises(SettledError):
        step_settle(step=step, done=True)
    assert promotion_ask(version=three, user=user, force=True, reason="second").state == "asked"


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_promote_at_once_one_is_told_so(user, monkeypatch):
    one, two, three = versions(3)
    serving_report(champion=one)
    together = threading.Barrier(2, timeout=30)
    gather = promotion._evidence

    def compare_together(*args):
        found = gather(*args)
        together.wait()
        return found

    monkeypatch.setattr(promotion, "_evidence", compare_together)
    outcomes = []

    def ask(version):
        try:
            outcomes.append(promotion_ask(version=version, user=user, force=True, reason="now").version)
        except BusyError as error:
            outcomes.append(str(error))
        finally:
            connection.close()

    people = [threading.Thread(target=ask, args=(version,)) for version in (two, three)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    asked = Step.objects.get(state="asked")
    told = "is asked for already, and the controller has not done it yet."
    assert asked.version in outcomes
    assert [outcome for outcome in outcomes if outcome != asked.version] == [
        f"The promotion of {asked.version} {told}"
    ]


def test_a_champion_that_changed_while_it_was_compared_is_noticed(user, monkeypatch):
    one, two, three = versions(3)
    serving_report(champion=one)
    gather = promotion._evidence

    def compare_meanwhile(*args):
        serving_report(champion=three)
        return gather(*args)

    monkeypatch.setattr(promotion, "_evidence", compare_meanwhile)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        promotion_ask(version=two, user=user, force=True, reason="now")
    assert step_asked() is None


# ------------------------------------------------------------------- canary


def test_a_canary_passes_the_gate_or_is_forced(user):
    one, two = versions(2)
    serving_report(champion=one)
    with pytest.raises(NoChallengerError):
        canary_set(share=0.1, user=user)
    serving_report(champion=one, challenger=two)
    with pytest.raises(GateRefusedError):
        canary_set(share=0.1, user=user)
    assert rollout_get().canary_share == 0
    canary_set(share=0.4, user=user, force=True, reason="in a hurry")
    # Less of it needs no evidence.
    step = canary_set(share=0.2, user=user)
    assert (step.kind, step.state, step.evidence) == ("canary", "done", {"share": 0.2})
    assert routes() == ("champion", "challenger", 0.2)
    reviewed_library(one, two)
    assert canary_set(share=0.9, user=user).evidence["verdict"]["passes"]


def test_the_shadows_share_is_set(user):
    shadow_set(share=0.25, user=user)
    assert rollout_get().shadow_share == 0.25
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            shadow_set(share=share, user=user)
        with pytest.raises(ValueError, match="between 0 and 1"):
            canary_set(share=share, user=user)


# ----------------------------------------------------------------- roll-back


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


# --------------------------------------------------------------------- undo


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


# ------------------------------------------------------------- registration


def register(**changes):
    facts = {
        "name": "tagger",
        "version": 7,
        "registry_version": 3,
        "preprocess_id": "p",
        "vocabulary_id": "v",
        "embedding_id": "e",
        "metrics": {"map": 0.5},
        "vocabulary": [
            VocabularyEntry(slug="animal", name="animal", kind="ancestor"),
            VocabularyEntry(slug="dog", name="hound", parents=["animal"]),
        ],
    }
    return version_register(**facts | changes)


def test_registering_again_changes_nothing_but_what_is_told_of_it():
    first = register()
    again = register(metrics={"map": 0.6})
    assert first == again
    assert ModelVersion.objects.get().metrics == {"map": 0.6}
    with pytest.raises(VersionTakenError, match="embedding_id"):
        register(embedding_id="other")


def test_a_version_on_trial_adds_tags_and_renames_none():
    TagFactory(name="dog")
    TagFactory(name="animal", kind="unnamed", active=False)
    register()
    assert dict(Tag.objects.values_list("slug", "name")) == {"dog": "dog", "animal": "animal"}
    assert Tag.objects.get(slug="animal").kind == "ancestor"
    register(refresh=True)
    dog = Tag.objects.get(slug="dog")
    assert (dog.name, [parent.slug for parent in dog.parents.all()]) == ("hound", ["animal"])


def test_a_parent_that_nobody_knows_is_refused_and_nothing_is_kept():
    with pytest.raises(ValueError, match="unknown parent tags: plant"):
        register(vocabulary=[VocabularyEntry(slug="oak", name="oak", parents=["plant"])])
    assert not ModelVersion.objects.exists()


# -------------------------------------------------------------------- reads


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
