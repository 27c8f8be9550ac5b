"""Tag quality and drift, on real PostgreSQL; what is expected is worked out by hand or by plain loops."""

from __future__ import annotations

import itertools
import math
import random
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from dam.assets.models import Asset
from dam.monitoring import drift, quality
from dam.monitoring.drift import drift_read, stability_index
from dam.monitoring.quality import TagReviews, calibration_error, quality_read
from dam.rollout.models import Rollout
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from tests.dam.factories import (
    AssetFactory,
    ClaimFactory,
    DecisionFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def champion() -> ModelVersion:
    version = ModelVersionFactory(version=3)
    Rollout.objects.create(champion=version)
    return version


@pytest.fixture
def asset() -> Asset:
    return AssetFactory()


def review(
    tag: Tag,
    version: ModelVersion,
    *,
    accepted: bool,
    score: float | None = 0.8,
    when: datetime | None = None,
) -> Decision:
    """A person judged a tag on a picture of its own, which the version had answered."""
    decided_at = when or timezone.now()
    answer = PredictionFactory(
        model_version=version,
        tag_ids=[] if score is None else [tag.pk],
        scores=[] if score is None else [score],
    )
    Prediction.objects.filter(pk=answer.pk).update(created_at=decided_at - timedelta(minutes=1))
    verdict = Decision.Verdict.ACCEPTED if accepted else Decision.Verdict.REJECTED
    return DecisionFactory(
        asset=answer.asset, tag=tag, verdict=verdict, decided_at=decided_at, model_version=version
    )


def test_nothing_is_said_of_a_library_that_nobody_has_judged() -> None:
    found = quality_read()
    assert (found.precision, found.calibration_error, found.tags) == (None, None, ())
    assert (found.auto_accepted_share, found.reviewed_share) == (None, None)
    assert drift_read() is None


def test_precision_is_the_accepted_part_of_what_was_judged(champion: ModelVersion) -> None:
    dog, cat, rare = (TagFactory(name=name) for name in ("dog", "cat", "rare"))
    for number in range(12):
        review(dog, champion, accepted=number < 9)
    for number in range(8):
        review(cat, champion, accepted=number < 2)
    for number in range(4):
        review(rare, champion, accepted=number < 1)
    found = quality_read()
    assert found.precision == pytest.approx(12 / 24)
    # Four reviews prove nothing of a tag by itself.
    assert found.tags == (TagReviews("dog", 9, 3), TagReviews("cat", 2, 6))
    assert (found.other_accepted, found.other_rejected) == (1, 3)


def test_a_handful_of_reviews_is_no_precision(champion: ModelVersion) -> None:
    dog = TagFactory(name="dog")
    for _ in range(19):
        review(dog, champion, accepted=True)
    assert quality_read().precision is None
    review(dog, champion, accepted=False)
    assert quality_read().precision == pytest.approx(19 / 20)


def test_only_what_a_model_proposed_and_still_would_counts(champion: ModelVersion) -> None:
    dog = TagFactory(name="dog", threshold=0.5)
    gone = ModelVersionFactory(version=1, withdrawn_at=timezone.now())
    counted = [review(dog, champion, accepted=True, score=0.5) for _ in range(5)]
    # Below its threshold, never scored, of a version that was undone, too long ago, and added by hand.
    review(dog, champion, accepted=False, score=0.49)
    review(dog, champion, accepted=False, score=None)
    review(dog, gone, accepted=False)
    review(dog, champion, accepted=False, when=timezone.now() - 91 * DAY)
    DecisionFactory(tag=dog, verdict=Decision.Verdict.ADDED, model_version=champion)
    DecisionFactory(tag=dog, verdict=Decision.Verdict.REJECTED, model_version=None)
    found = quality_read()
    assert (found.accepted, found.rejected) == (len(counted), 0)


def test_the_score_that_the_person_saw_counts_and_not_a_later_one(champion: ModelVersion) -> None:
    dog = TagFactory(name="dog", threshold=0.5)
    seen = review(dog, champion, accepted=False, score=0.9, when=timezone.now() - DAY)
    PredictionFactory(asset=seen.asset, model_version=champion, generation=2, tag_ids=[dog.pk], scores=[0.1])
    assert quality_read().rejected == 1


def test_the_tags_with_a_value_of_their_own_are_few(
    champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MOST_TAGS", 2)
    for name, number in (("b", 6), ("a", 6), ("c", 7), ("d", 5)):
        tag = TagFactory(name=name)
        for _ in range(number):
            review(tag, champion, accepted=True)
    found = quality_read()
    assert [tag.slug for tag in found.tags] == ["c", "a"]
    assert found.other_accepted == 11


def test_shares_of_what_nobody_judged() -> None:
    person, tags = UserFactory(), [TagFactory() for _ in range(4)]
    asset, other = AssetFactory(), AssetFactory()
    AssetFactory.create_batch(2)
    for tag in tags[:3]:
        ClaimFactory(asset=asset, tag=tag)
    ClaimFactory(asset=asset, tag=tags[3], state=Claim.State.ACCEPTED, decided_by=person)
    ClaimFactory(asset=other, tag=tags[0], state=Claim.State.REJECTED, decided_by=person)
    for judged, tag in ((asset, tags[3]), (asset, tags[2]), (other, tags[0])):
        DecisionFactory(asset=judged, tag=tag)
    failed = AssetFactory(state=Asset.State.FAILED, reason="corrupt")
    DecisionFactory(asset=failed, tag=tags[0])
    found = quality_read()
    # Three suggested and one accepted are seen; two of four tagged pictures were judged.
    assert found.auto_accepted_share == pytest.approx(3 / 4)
    assert found.reviewed_share == pytest.approx(2 / 4)


# ------------------------------------------------------------- calibration


def test_calibration_needs_fifty_reviews_of_the_champion(champion: ModelVersion) -> None:
    predecessor, dog = ModelVersionFactory(version=2), TagFactory(name="dog")
    for number in range(49):
        review(dog, champion, accepted=number % 2 == 0, score=0.9)
    review(dog, predecessor, accepted=True, score=0.9)
    assert quality_read().calibration_error is None
    review(dog, champion, accepted=False, score=0.9)
    # 25 of 50 are right where each should have been right in nine of ten.
    assert quality_read().calibration_error == pytest.approx(0.4)


def test_scores_that_are_right_as_often_as_they_say_have_no_calibration_error() -> None:
    reviews = [(score / 10, number < score) for score in range(1, 10) for number in range(10) for _ in "12"]
    assert calibration_error(reviews) == pytest.approx(0.0, abs=1e-12)


def test_the_calibration_error_is_that_of_ten_bins_of_equal_mass() -> None:
    chance = random.Random(7)
    scores = sorted(chance.uniform(0.3, 1.0) for _ in range(400))
    reviews = [(score, chance.random() < score**2) for score in scores]
    by_hand = 0.0
    for begin in range(0, 400, 40):
        of_bin = reviews[begin : begin + 40]
        mean_score = sum(score for score, _ in of_bin) / 40
        mean_right = sum(right for _, right in of_bin) / 40
        by_hand += abs(mean_right - mean_score) * 40 / 400
    chance.shuffle(reviews)
    assert calibration_error(reviews) == pytest.approx(by_hand)
    assert by_hand > 0.1


def test_few_reviews_have_few_bins() -> None:
    # With ten bins of five each, chance alone would make an error of a tenth and more.
    reviews = [(0.5 + number / 1000, number % 2 == 0) for number in range(60)]
    assert calibration_error(reviews) == pytest.approx(0.0295)


# ------------------------------------------------------------------- drift


def psi_by_hand(reference: list[float], recent: list[float]) -> float:
    """Count by plain loops, in bins (-inf, d1], (d1, d2] … between the deciles of the reference."""
    ordered = sorted(reference)
    deciles = sorted({ordered[math.ceil(len(ordered) * tenth / 10) - 1] for tenth in range(1, 10)})
    bounds = [-math.inf, *deciles, math.inf]
    total = 0.0
    for low, high in itertools.pairwise(bounds):
        p = sum(low < value <= high for value in reference) + 0.5
        q = sum(low < value <= high for value in recent) + 0.5
        p /= len(reference) + 0.5 * (len(bounds) - 1)
        q /= len(recent) + 0.5 * (len(bounds) - 1)
        total += (q - p) * math.log(q / p)
    return total


def test_the_index_is_that_of_the_formula() -> None:
    chance = random.Random(3)
    reference = [chance.betavariate(5, 2) for _ in range(1000)]
    shifted = [chance.betavariate(4, 3) for _ in range(500)]
    assert stability_index(reference, shifted) == pytest.approx(psi_by_hand(reference, shifted))
    assert stability_index(reference, shifted) > 0.25
    assert stability_index(reference, reference) == pytest.approx(0.0, abs=1e-12)


def test_small_whole_numbers_and_one_value_only_have_an_index() -> None:
    reference = [1] * 500 + [2] * 300 + [3] * 200
    recent = [1] * 100 + [2] * 100 + [4] * 100
    assert stability_index(reference, recent) == pytest.approx(psi_by_hand(reference, recent))
    assert stability_index([2] * 1000, [2] * 200) == pytest.approx(0.0, abs=0.01)


def test_the_same_pictures_again_are_below_the_rule_of_thumb() -> None:
    chance = random.Random(11)
    indexes = [
        stability_index([chance.random() for _ in range(1000)], [chance.random() for _ in range(200)])
        for _ in range(50)
    ]
    # (bins - 1)(1/n + 1/m), as the literature says.
    assert sum(indexes) / len(indexes) == pytest.approx(9 * (1 / 1000 + 1 / 200), rel=0.25)


def answers(
    asset: Asset, version: ModelVersion, scores: list[list[float]], tags: list[Tag], purpose: str = "live"
) -> None:
    first = Prediction.objects.count() + 1
    Prediction.objects.bulk_create(
        Prediction(
            asset=asset,
            asset_version=asset.current_version,
            model_version=version,
            generation=number,
            purpose=purpose,
            tag_ids=[tag.pk for tag in tags[: len(of_picture)]],
            scores=of_picture,
        )
        for number, of_picture in enumerate(scores, first)
    )


def test_drift_compares_the_newest_answers_of_the_champion_with_its_first(
    champion: ModelVersion, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "REFERENCE_ANSWERS", 40)
    monkeypatch.setattr(drift, "RECENT_ANSWERS", 30)
    monkeypatch.setattr(drift, "MIN_RECENT", 20)
    chance = random.Random(5)
    tags = [TagFactory(threshold=0.5) for _ in range(4)]

    def picture(low: float, high: float) -> list[float]:
        return sorted((chance.uniform(low, high) for _ in range(chance.randint(0, 4))), reverse=True)

    first = [picture(0.3, 1.0) for _ in range(40)]
    newest = [picture(0.1, 0.6) for _ in range(30)]
    between = [picture(0.9, 1.0) for _ in range(15)]
    other = ModelVersionFactory(version=9)
    answers(asset, other, [[0.1]] * 10, tags)
    answers(asset, champion, first[:25], tags, purpose="shadow")
    answers(asset, champion, [[0.1]] * 10, tags, purpose="campaign")
    answers(asset, champion, first[25:], tags)
    assert drift_read() is None
    answers(asset, champion, between, tags)
    assert drift_read() is None
    answers(asset, other, [[0.1]] * 10, tags)
    answers(asset, champion, newest, tags)

    found = drift_read()
    assert found is not None
    assert (found.version, found.recent) == (3, 30)
    best = [[max(of_picture, default=0.0) for of_picture in part] for part in (first, newest)]
    shown = [[float(sum(s >= 0.5 for s in of_picture)) for of_picture in part] for part in (first, newest)]
    assert found.psi == {
        "top_score": pytest.approx(psi_by_hand(*best)),
        "tags_per_picture": pytest.approx(psi_by_hand(*shown)),
    }
    assert found.psi["top_score"] > 0.25


def test_without_a_controller_the_version_that_answered_last_is_the_champion(asset: Asset) -> None:
    old, new = ModelVersionFactory(version=1), ModelVersionFactory(version=2)
    answers(asset, old, [[0.9]], [TagFactory()])
    answers(asset, new, [[0.9]], [TagFactory()])
    answers(asset, old, [[0.9]], [TagFactory()], purpose="shadow")
    assert quality.champion() == new
