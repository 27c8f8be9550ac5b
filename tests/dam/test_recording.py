"""Answers of the pipeline, alone and in batches, and what the catalogue makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.assets.services import asset_create, asset_request_tags
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Prediction, Tag
from dam.tagging.services import Answer, Recorded, answers_record, result_record, try_create
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import PictureFacts, encode_embedding
from tests.dam.tagging_scene import SURE, answer, failure, picture, shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]


def test_an_answer_tags_its_asset_and_closes_its_job(asset: Asset) -> None:
    job = TaggingJob.objects.get()
    assert result_record(result=answer(job, SURE), words=vocabulary()) is Recorded.TAGGED
    asset.refresh_from_db()
    job.refresh_from_db()
    assert (asset.state, job.state) == ("tagged", "done")
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested"}
    assert set(asset.tag_ids) == set(
        Tag.objects.filter(slug__in=["beagle", "dog", "animal"]).values_list("id", flat=True)
    )
    assert asset.current_version.renditions["grid"]["key"] == "k/grid.jpg"
    assert Prediction.objects.get().scores == sorted(SURE.values(), reverse=True)
    assert ledger().agrees


def test_the_same_answer_twice_changes_nothing(asset: Asset) -> None:
    job = TaggingJob.objects.get()
    result_record(result=answer(job, SURE), words=vocabulary())
    claims = list(Claim.objects.order_by("id").values())
    assert result_record(result=answer(job, SURE), words=vocabulary()) is Recorded.IGNORED
    assert list(Claim.objects.order_by("id").values()) == claims
    assert Prediction.objects.count() == 1


def test_an_answer_to_an_unknown_job_is_ignored(asset: Asset) -> None:
    job = TaggingJob.objects.get()
    stranger = answer(job, SURE).model_copy(update={"job_id": job.pk + 1000})
    assert result_record(result=stranger, words=vocabulary()) is Recorded.IGNORED
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("of_another", [answer, failure], ids=["tagged", "failed"])
def test_an_answer_to_another_picture_of_the_same_job_number_changes_nothing(
    asset: Asset, of_another
) -> None:
    """As after a restore, which gives numbers of jobs out again."""
    job = TaggingJob.objects.get()
    made = of_another(job, SURE) if of_another is answer else of_another(job)
    stranger = made.model_copy(update={"sha256": "0" * 64})
    assert result_record(result=stranger, words=vocabulary()) is Recorded.IGNORED
    asset.refresh_from_db()
    job.refresh_from_db()
    assert (asset.state, job.state) == ("pending", "queued")
    assert Prediction.objects.count() == 0
    ours = answer(job, SURE).model_copy(update={"sha256": job.sha256})
    assert result_record(result=ours, words=vocabulary()) is Recorded.TAGGED


def test_an_answer_of_an_older_generation_is_superseded(asset: Asset) -> None:
    old = TaggingJob.objects.get()
    new = asset_request_tags(asset=asset)
    assert result_record(result=answer(new, {"espresso": 0.9}), words=vocabulary()) is Recorded.TAGGED
    assert result_record(result=answer(old, SURE), words=vocabulary()) is Recorded.SUPERSEDED
    assert shown(asset) == {"espresso": "suggested"}
    assert ledger().jobs == {"issued": 2, "queued": 0, "published": 0, "done": 2, "failed": 0}


def test_a_bad_picture_fails_its_asset_with_the_reason(asset: Asset) -> None:
    assert result_record(result=failure(TaggingJob.objects.get()), words=vocabulary()) is Recorded.FAILED
    asset.refresh_from_db()
    assert (asset.state, asset.reason, asset.detail) == ("failed", "corrupt", "The file ends too early.")
    assert ledger().failed_by_reason == {"corrupt": 1}
    assert ledger().agrees


def test_a_failed_campaign_leaves_a_tagged_asset_as_it_was(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    again = asset_request_tags(asset=asset, purpose=TaggingJob.Purpose.CAMPAIGN)
    result_record(result=failure(again), words=vocabulary())
    asset.refresh_from_db()
    assert asset.state == "tagged"
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested"}


def test_a_shadow_answer_is_stored_and_seen_by_nobody(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    shadow = asset_request_tags(asset=asset, purpose=TaggingJob.Purpose.SHADOW)
    result_record(result=answer(shadow, {"espresso": 0.9}, version=2), words=vocabulary())
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested"}
    assert Prediction.objects.count() == 2


def test_a_batch_records_each_answer_as_if_it_came_alone(person: User) -> None:
    assets = [
        asset_create(stream=picture(shade), filename=f"{shade}.png", user=person).asset for shade in range(5)
    ]
    tagged, failing, shadowed, outdated, silent = [TaggingJob.objects.get(asset=asset) for asset in assets]
    shadow = asset_request_tags(asset=assets[2], purpose=TaggingJob.Purpose.SHADOW)
    newer = asset_request_tags(asset=assets[3])
    attempt = try_create(stream=picture(9), user=person)
    expected = [
        (answer(tagged, SURE), Recorded.TAGGED),
        (failure(failing), Recorded.FAILED),
        (answer(shadow, {"espresso": 0.9}, version=2), Recorded.ANSWERED),
        (answer(outdated, SURE), Recorded.SUPERSEDED),
        (answer(newer, {"espresso": 0.9, "lynx": 0.4}), Recorded.TAGGED),
        (answer(attempt, SURE), Recorded.ANSWERED),
        (failure(tagged), Recorded.IGNORED),
        (answer(silent, SURE).model_copy(update={"generation": 7}), Recorded.IGNORED),
        (answer(shadowed, {"dog": 0.5}), Recorded.TAGGED),
    ]
    answers = [Answer.of(result) for result, _ in expected]
    assert answers_record(answers=answers, words=vocabulary()) == [word for _, word in expected]
    assert [shown(asset) for asset in assets] == [
        {"beagle": "suggested", "dog": "suggested"},
        {},
        {"dog": "suggested"},
        {"espresso": "suggested"},
        {},
    ]
    states = dict(Asset.objects.values_list("pk", "state"))
    assert [states[asset.pk] for asset in assets] == ["tagged", "failed", "tagged", "tagged", "pending"]
    assert dict(TaggingJob.objects.values_list("pk", "state")) == {
        tagged.pk: "done",
        failing.pk: "failed",
        shadowed.pk: "done",
        outdated.pk: "done",
        silent.pk: "queued",
        shadow.pk: "done",
        newer.pk: "done",
        attempt.pk: "done",
    }
    assert ledger().agrees
    assert set(answers_record(answers=answers, words=vocabulary())) == {Recorded.IGNORED}


def test_one_answer_without_a_model_spoils_its_batch_which_is_recorded_not_at_all(person: User) -> None:
    jobs = [
        TaggingJob.objects.get(asset=asset_create(stream=picture(shade), filename="a.png", user=person).asset)
        for shade in range(2)
    ]
    answers = [
        Answer.of(answer(jobs[0], SURE)),
        Answer.of(answer(jobs[1], SURE).model_copy(update={"model": None})),
    ]
    with pytest.raises(ValueError, match=f"job {jobs[1].pk} names no model"):
        answers_record(answers=answers, words=vocabulary())
    assert Prediction.objects.count() == 0
    assert ledger().jobs["queued"] == 2


def claim_rows(asset: Asset) -> dict[str, tuple[object, ...]]:
    """What each claim says, with the place of its row in the table, which any write changes."""
    rows = Claim.objects.filter(asset=asset).extra(select={"place": "tagging_claim.ctid::text"})
    return {row[0]: row[1:] for row in rows.values_list("tag__slug", "place", "pk", "score")}


def test_a_later_answer_rewrites_only_the_claims_that_it_changes(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    before = claim_rows(asset)
    again = asset_request_tags(asset=asset)
    result_record(result=answer(again, SURE | {"beagle": 0.7, "espresso": 0.6}), words=vocabulary())
    after = claim_rows(asset)
    assert after["dog"] == before["dog"]
    assert after["beagle"][1:] == (before["beagle"][1], 0.7)
    assert after["espresso"][2] == 0.6
    third = asset_request_tags(asset=asset)
    result_record(result=answer(third, {"espresso": 0.6}), words=vocabulary())
    assert claim_rows(asset) == {"espresso": after["espresso"]}


def test_what_is_stored_is_what_was_answered(asset: Asset) -> None:
    vector = np.random.default_rng(0).normal(size=320).astype(np.float32)
    vector /= np.linalg.norm(vector)
    told = answer(TaggingJob.objects.get(), SURE)
    told = told.model_copy(
        update={
            "embedding_f32": encode_embedding(vector),
            "picture": PictureFacts(width=48, height=64),
            "predict_share_ms": 3.5,
        }
    )
    result_record(result=told, words=vocabulary())
    stored = Prediction.objects.get()
    assert stored.predict_ms == 3.5
    ids = {tag.slug: tag.pk for tag in Tag.objects.all()}
    best_first = sorted(SURE, key=lambda label: -SURE[label])
    assert stored.tag_ids == [ids[label] for label in best_first]
    assert stored.scores == [SURE[label] for label in best_first]
    assert np.abs(np.array(stored.embedding) - vector).max() < 1e-3
    asset.refresh_from_db()
    assert (asset.width, asset.height) == (48, 64)


def test_an_answer_without_scores_or_embedding_tags_an_asset_with_nothing(asset: Asset) -> None:
    bare = answer(TaggingJob.objects.get(), {}).model_copy(
        update={"embedding_f32": "", "picture": None, "renditions": ()}
    )
    assert result_record(result=bare, words=vocabulary()) is Recorded.TAGGED
    asset.refresh_from_db()
    stored = Prediction.objects.get()
    assert (asset.state, asset.tag_ids, asset.width) == ("tagged", [], 64)
    assert (stored.tag_ids, stored.scores, stored.embedding) == ([], [], None)
    # A worker of before does not tell how long it took.
    assert stored.predict_ms is None


def test_a_try_is_answered_without_an_asset(person: User) -> None:
    job = try_create(stream=picture(), user=person)
    assert result_record(result=answer(job, SURE), words=vocabulary()) is Recorded.ANSWERED
    job.refresh_from_db()
    assert [tag["tag_id"] for tag in job.answer["tags"]] == [
        Tag.objects.get(slug=slug).pk for slug in ("dog", "beagle")
    ]
    assert Asset.objects.count() == 0
    assert ledger().jobs["issued"] == 0
