"""Answers of the pipeline and words of people, and what the catalogue makes of them."""

from __future__ import annotations

import io
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from PIL import Image

from dam.assets.models import Asset
from dam.assets.services import asset_create, asset_request_tags
from dam.assets.storage import blob_store
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, Prediction, Tag
from dam.tagging.services import (
    Recorded,
    claims_derive,
    claims_derive_all,
    decision_make,
    decision_withdraw,
    result_record,
    tag_get_or_create,
    tag_update,
    tries_sweep,
    try_create,
)
from dam.tagging.vocabulary import VocabularyEntry, ancestors_refresh, vocabulary, vocabulary_register
from pipeline.messages import (
    FailureReason,
    LabelScore,
    ModelIdentity,
    Outcome,
    PictureFacts,
    Purpose,
    Rendition,
    TagResult,
    encode_embedding,
)

pytestmark = pytest.mark.django_db

MODEL = ModelIdentity(name="tagger", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")


def picture(shade: int = 0) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 30, 30)).save(stream, "PNG")
    stream.seek(0)
    return stream


@pytest.fixture
def person() -> User:
    return User.objects.create_user("person")


@pytest.fixture(autouse=True)
def words() -> None:
    vocabulary_register(
        entries=[
            VocabularyEntry(slug="animal", name="animal", kind="ancestor", threshold=0.3),
            VocabularyEntry(slug="dog", name="dog", kind="ancestor", parents=["animal"], threshold=0.3),
            VocabularyEntry(slug="beagle", name="beagle", parents=["dog"], synonyms=["hound"], threshold=0.3),
            VocabularyEntry(slug="espresso", name="espresso", threshold=0.3),
        ]
    )


@pytest.fixture
def asset(person: User) -> Asset:
    return asset_create(stream=picture(), filename="dog.png", user=person).asset


def answer(job: TaggingJob, scores: dict[str, float], *, version: int = 1) -> TagResult:
    return TagResult(
        job_id=job.pk,
        generation=job.generation,
        purpose=Purpose(job.purpose),
        outcome=Outcome.TAGGED,
        model=MODEL.model_copy(update={"version": version}),
        scores=[LabelScore(label=label, score=score) for label, score in scores.items()],
        embedding_f32=encode_embedding(np.full(320, 320**-0.5, dtype=np.float32)),
        picture=PictureFacts(width=64, height=48, placeholder="data:image/jpeg;base64,AA=="),
        renditions=[Rendition(name="grid", key="k/grid.jpg", width=64, height=48)],
    )


def failure(job: TaggingJob) -> TagResult:
    return TagResult(
        job_id=job.pk,
        generation=job.generation,
        purpose=Purpose(job.purpose),
        outcome=Outcome.FAILED,
        reason=FailureReason.CORRUPT,
        detail="The file ends too early.",
    )


def shown(asset: Asset) -> dict[str, str]:
    return dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))


SURE = {"beagle": 0.8, "dog": 0.9, "animal": 0.95, "espresso": 0.02}


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


def test_what_a_person_decided_no_model_overrides(asset: Asset, person: User) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    tag = {tag.slug: tag for tag in Tag.objects.all()}
    decision_make(asset=asset, tag=tag["beagle"], verdict=Decision.Verdict.REJECTED, user=person)
    decision_make(asset=asset, tag=tag["espresso"], verdict=Decision.Verdict.ADDED, user=person)
    again = asset_request_tags(asset=asset, purpose=TaggingJob.Purpose.CAMPAIGN)
    result_record(result=answer(again, SURE, version=2), words=vocabulary())
    assert shown(asset) == {"dog": "suggested", "beagle": "rejected", "espresso": "accepted"}


def test_a_withdrawn_decision_gives_the_model_its_word_back(asset: Asset, person: User) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    beagle = Tag.objects.get(slug="beagle")
    decision_make(asset=asset, tag=beagle, verdict=Decision.Verdict.REJECTED, user=person)
    decision_withdraw(asset=asset, tag=beagle)
    assert shown(asset) == {"beagle": "suggested", "dog": "suggested"}


def test_a_new_threshold_counts_when_claims_are_derived_again(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    tag_update(tag=Tag.objects.get(slug="beagle"), threshold=0.85)
    claims_derive(asset=asset)
    assert shown(asset) == {"dog": "suggested"}


def test_registering_a_vocabulary_again_keeps_the_curators_threshold() -> None:
    tag_update(tag=Tag.objects.get(slug="beagle"), threshold=0.85)
    entry = VocabularyEntry(slug="beagle", name="Beagle", parents=["dog"], threshold=0.3)
    assert vocabulary_register(entries=[entry]) == 0
    beagle = Tag.objects.get(slug="beagle")
    assert (beagle.name, beagle.threshold) == ("Beagle", 0.85)


def test_a_vocabulary_with_an_unknown_parent_is_refused_whole() -> None:
    with pytest.raises(ValueError, match="unknown parent"):
        vocabulary_register(entries=[VocabularyEntry(slug="x", name="x", parents=["nowhere"])])
    assert not Tag.objects.filter(slug="x").exists()


def test_a_circle_of_parents_is_refused() -> None:
    Tag.objects.get(slug="animal").parents.add(Tag.objects.get(slug="beagle"))
    with pytest.raises(ValueError, match="own ancestor"):
        ancestors_refresh()


def test_labels_without_a_vocabulary_are_kept_unseen_until_it_is_registered(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), {"lynx": 0.9}), words=vocabulary())
    assert shown(asset) == {}
    vocabulary_register(entries=[VocabularyEntry(slug="lynx", name="lynx", threshold=0.3)])
    assert list(Tag.objects.filter(derive_pending=True).values_list("slug", flat=True)) == ["lynx"]
    assert claims_derive_all() == 1
    assert shown(asset) == {"lynx": "suggested"}
    assert not Tag.objects.filter(derive_pending=True).exists()


def test_new_parents_of_a_tag_reach_the_search_ids_of_pictures_tagged_before(asset: Asset) -> None:
    result_record(result=answer(TaggingJob.objects.get(), {"espresso": 0.9}), words=vocabulary())
    vocabulary_register(
        entries=[
            VocabularyEntry(slug="beverage", name="beverage", kind="ancestor", threshold=0.3),
            VocabularyEntry(slug="espresso", name="espresso", parents=["beverage"], threshold=0.3),
        ]
    )
    assert list(Tag.objects.filter(derive_pending=True).values_list("slug", flat=True)) == ["espresso"]
    claims_derive_all()
    asset.refresh_from_db()
    assert Tag.objects.get(slug="beverage").pk in asset.tag_ids


def test_a_vocabulary_that_is_registered_again_leaves_nothing_to_derive() -> None:
    vocabulary_register(entries=[VocabularyEntry(slug="beagle", name="Beagle", parents=["dog"])])
    assert not Tag.objects.filter(derive_pending=True).exists()


@pytest.mark.parametrize("name", ["beagle", "Beagle", " hound "])
def test_a_known_name_or_synonym_is_the_same_tag(name: str) -> None:
    tag, created = tag_get_or_create(name=name)
    assert (tag.slug, created) == ("beagle", False)


@pytest.mark.parametrize("name", ["Grandma's cottage", "日本", "été"])
def test_a_new_name_makes_a_tag_once(name: str) -> None:
    first, created = tag_get_or_create(name=name)
    again, created_again = tag_get_or_create(name=name)
    assert (created, created_again, first.pk) == (True, False, again.pk)
    assert first.name == name


@pytest.mark.parametrize("name", [" !? ", "a\0b"])
def test_a_name_without_letters_or_with_a_nul_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letter or a digit"):
        tag_get_or_create(name=name)


def test_names_that_share_their_ascii_letters_are_different_tags() -> None:
    names = ["Москва 2024", "Париж 2024", "日本 dog", "dog"]
    tags = [tag_get_or_create(name=name)[0] for name in names]
    assert len({tag.pk for tag in tags}) == 4
    assert [tag_get_or_create(name=name)[0].pk for name in names] == [tag.pk for tag in tags]


def test_a_try_is_answered_without_an_asset(person: User) -> None:
    job = try_create(stream=picture(), user=person)
    assert result_record(result=answer(job, SURE), words=vocabulary()) is Recorded.ANSWERED
    job.refresh_from_db()
    assert [tag["tag_id"] for tag in job.answer["tags"]] == [
        Tag.objects.get(slug=slug).pk for slug in ("dog", "beagle")
    ]
    assert Asset.objects.count() == 0
    assert ledger().jobs["issued"] == 0


def test_old_tries_are_swept_with_their_bytes_unless_an_asset_has_them(person: User) -> None:
    kept = asset_create(stream=picture(1), filename="kept.png", user=person).asset
    tries = [try_create(stream=picture(shade), user=person) for shade in (1, 2)]
    recent = try_create(stream=picture(3), user=person)
    TaggingJob.objects.filter(pk__in=[job.pk for job in tries]).update(
        created_at=timezone.now() - timedelta(hours=2)
    )
    assert tries_sweep() == 2
    assert set(TaggingJob.objects.filter(purpose="try")) == {recent}
    assert blob_store().exists(kept.current_version.blob.key)
    assert not blob_store().exists(tries[1].blob_key)
    assert blob_store().exists(recent.blob_key)
