"""Answers that come after the withdrawal of their version."""

from __future__ import annotations

import pytest

from dam.assets.models import Asset
from dam.assets.services import asset_request_tags
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_ask_again_withdrawn, jobs_publish
from dam.tagging.models import Prediction
from dam.tagging.services import Answer, Recorded, answers_record, result_record
from dam.tagging.undo import (
    versions_follow,
)
from dam.tagging.vocabulary import vocabulary
from tests.dam.tagging_scene import SURE, answer, failure, shown
from tests.dam.undo.undoing import published_job, say, withdraw

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]
Purpose = TaggingJob.Purpose


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
