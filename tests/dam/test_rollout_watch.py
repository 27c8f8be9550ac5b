"""A new champion goes by itself when it is surely worse than what served before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dam.jobs.models import TaggingJob
from dam.rollout.models import Rollout, Step
from dam.rollout.round import rollout_round
from dam.rollout.selectors import step_asked, watch_standing
from dam.rollout.services import rollback, serving_report, version_undo
from dam.rollout.standing import typical_ms
from dam.rollout.watch import champion_watch
from dam.tagging.models import ModelVersion, Prediction
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    PredictionFactory,
    TagFactory,
    TaggingJobFactory,
    job_close,
)
from tests.dam.rollout_scene import promoted, versions

pytestmark = pytest.mark.django_db


@pytest.fixture
def asset():
    return AssetFactory()


def review(version, *, accepted=0, rejected=0):
    asset = AssetFactory()
    for place, verdict in enumerate(["accepted"] * accepted + ["rejected"] * rejected):
        DecisionFactory(
            asset=asset,
            tag=TagFactory(name=f"tag {place}"),
            verdict=verdict,
            model_version=version,
            decided_by=None,
        )


def jobs(asset, *, done=0, failed=0, reason="dead-lettered", **facts):
    for place in range(done + failed):
        number = TaggingJob.objects.count() + 1
        job = TaggingJobFactory(asset=asset, generation=number, **facts)
        job_close(job, failed=place < failed, reason=reason if place < failed else "")


def answers(asset, version, *times, purpose="live"):
    for ms in times:
        PredictionFactory(
            asset=asset,
            model_version=version,
            generation=Prediction.objects.count() + 1,
            predict_ms=ms,
            purpose=purpose,
        )


def check(name):
    return next(each for each in watch_standing().checks if each.name == name)


# ---------------------------------------------------------------- precision


def test_a_champion_that_people_reject_is_rolled_back_with_the_evidence():
    one, two = versions(2)
    review(one, accepted=90, rejected=10)
    promoted(two, one)
    review(two, accepted=10, rejected=10)
    assert rollout_round(bool) == {"rolled_back": 1, "asked_again": 0, "shadowed": 0}
    step = step_asked()
    assert (step.kind, step.source, step.version, step.by) == ("roll-back", "watch", two, None)
    assert step.reason == (
        "People accept 50 % of 20 of its suggestions, and accepted 90 % of 100 before it: "
        "surely more than 5 points less."
    )
    (precision, _, _) = step.evidence["watch"]["checks"]
    assert precision["high"] < -0.05
    assert precision["breached"]
    assert ModelVersion.objects.get(pk=two.pk).withdrawn_at is not None
    # Once is enough.
    assert champion_watch() is None
    assert Step.objects.filter(kind="roll-back").count() == 1


def test_a_few_decisions_prove_nothing():
    one, two = versions(2)
    review(one, accepted=100)
    promoted(two, one)
    review(two, rejected=19)
    found = check("precision")
    assert (found.judged, found.now_of, found.needed, found.change) == (False, 19, 20, None)
    assert champion_watch() is None


def test_a_champion_that_is_perhaps_worse_stays():
    one, two = versions(2)
    review(one, accepted=90, rejected=10)
    promoted(two, one)
    review(two, accepted=16, rejected=4)
    found = check("precision")
    assert found.change == pytest.approx(-0.1)
    assert 0 < found.room == pytest.approx(found.high + 0.05)
    assert champion_watch() is None


def test_what_was_said_before_the_promotion_is_not_held_against_the_champion():
    one, two = versions(2)
    review(one, accepted=100)
    review(two, rejected=30)
    promoted(two, one)
    assert check("precision").now_of == 0


def test_where_little_was_said_of_the_predecessor_all_that_was_said_before_counts():
    one, two, three, undone = versions(4)
    review(one, accepted=100)
    review(undone, rejected=100)
    version_undo(version=undone, user=None, reason="bad")
    promoted(two, one)
    review(two, accepted=5)
    serving_report(champion=three, predecessor=two)
    review(three, rejected=20)
    assert check("precision").before_of == 105
    assert champion_watch().version == three


def test_what_people_added_themselves_is_no_suggestion(asset):
    one, two = versions(2)
    review(one, accepted=30)
    promoted(two, one)
    for number in range(30):
        DecisionFactory(asset=asset, tag=TagFactory(name=f"t{number}"), verdict="added", model_version=two)
    assert check("precision").now_of == 0


# ------------------------------------------------------------------- errors


def test_a_champion_under_which_jobs_fail_is_rolled_back(asset):
    one, two = versions(2)
    jobs(asset, done=100)
    promoted(two, one)
    jobs(asset, done=20, failed=10)
    found = check("errors")
    assert (found.before_of, found.now_of, found.now) == (100, 30, pytest.approx(1 / 3))
    assert found.low > 0.02
    assert champion_watch().reason == (
        "33.3 % of 30 jobs fail without the picture's fault, and 0.0 % of 100 before it: "
        "surely more than 2 points more."
    )


def test_pictures_that_are_bad_themselves_and_canaries_do_not_count(asset):
    one, two = versions(2)
    jobs(asset, done=100)
    promoted(two, one)
    jobs(asset, done=20, failed=20, reason="corrupt")
    jobs(asset, failed=20, model_label="challenger")
    jobs(asset, failed=20, purpose="shadow", model_label="challenger")
    found = check("errors")
    assert (found.now, found.now_of) == (0, 40)
    assert champion_watch() is None


def test_a_job_that_was_open_at_the_promotion_counts_when_it_is_closed(asset):
    one, two = versions(2)
    waiting = TaggingJobFactory(asset=asset, generation=1)
    TaggingJobFactory(asset=asset, generation=2)
    promoted(two, one)
    job_close(waiting, failed=True, reason="dead-lettered")
    assert check("errors").now_of == 1


# --------------------------------------------------------------------- time


def test_a_champion_that_takes_twice_as_long_is_rolled_back(asset):
    one, two = versions(2)
    answers(asset, one, *[10] * 60)
    answers(asset, two, *[10] * 60)
    promoted(two, one)
    answers(asset, two, *[25] * 49)
    assert not check("time").judged
    answers(asset, two, 25)
    found = check("time")
    assert (found.before, found.now, found.change, found.now_of) == (10, 25, 2.5, 50)
    assert champion_watch().reason == (
        "It takes 25.0 ms for a picture, 2.5 times as long as the version before; 2 times are allowed."
    )


def test_a_hiccup_of_the_machine_is_not_the_models(asset):
    one, two = versions(2)
    answers(asset, one, *[10] * 60)
    promoted(two, one)
    answers(asset, two, *[11] * 58, 30_000, 20_000)
    assert check("time").change == pytest.approx(1.1)


def test_the_slowest_tenth_is_left_out():
    assert typical_ms([]) is None
    assert typical_ms([5]) == 5
    assert typical_ms([*range(1, 10), 1000]) == 5


def test_a_few_milliseconds_more_are_no_reason_to_go_back(asset):
    one, two = versions(2)
    answers(asset, one, *[1] * 60)
    promoted(two, one)
    answers(asset, two, *[4] * 60)
    assert check("time").change == 4
    assert champion_watch() is None


def test_what_the_challenger_did_in_the_shadow_says_nothing_of_live_answers(asset):
    one, two = versions(2)
    answers(asset, one, *[10] * 60)
    promoted(two, one)
    answers(asset, two, *[90] * 60, purpose="shadow")
    assert check("time").now_of == 0


# ------------------------------------------------------------------ watched


def test_nothing_is_watched_without_a_way_back():
    one, two = versions(2)
    assert watch_standing() is None
    serving_report(champion=one)
    assert watch_standing() is None
    assert champion_watch() is None
    promoted(two, one)
    assert watch_standing().champion == two
    serving_report(champion=two)
    assert watch_standing() is None


def test_the_watch_ends_after_its_hours():
    one, two = versions(2)
    review(one, accepted=100)
    promoted(two, one)
    review(two, rejected=50)
    Rollout.objects.update(promoted_at=timezone.now() - timedelta(hours=73))
    assert champion_watch() is None
    Rollout.objects.update(watch_hours=74)
    assert champion_watch() is not None


def test_what_came_back_is_not_watched():
    one, two, three = versions(3)
    promoted(two, one)
    rollback(reason="bad")
    serving_report(champion=one, predecessor=three)
    assert watch_standing() is None
