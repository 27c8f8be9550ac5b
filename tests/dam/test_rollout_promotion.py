"""Versions are promoted, and tried on a share of live traffic."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from dam.rollout import promotion
from dam.rollout.errors import (
    AlreadyServesError,
    BusyError,
    ConflictError,
    GateRefusedError,
    NoChallengerError,
    SettledError,
)
from dam.rollout.models import Step
from dam.rollout.selectors import rollout_get, step_asked
from dam.rollout.services import (
    canary_set,
    promotion_ask,
    serving_report,
    shadow_set,
    step_settle,
)
from tests.dam.factories import UserFactory
from tests.dam.rollout_scene import reviewed_library, versions
from tests.dam.rollout_steps import done, routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


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


# -------------------------------------------------------------------- canary


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
