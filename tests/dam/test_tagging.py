"""Words of people and of curators, and what the catalogue makes of them beside the answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from dam.assets.models import Asset
from dam.assets.services import asset_create, asset_request_tags
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.tagging.models import Decision, Tag
from dam.tagging.services import (
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
from tests.dam.tagging_scene import SURE, answer, picture, shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]


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
    decision_withdraw(asset=asset, tag=beagle, user=person)
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


def test_the_vocabulary_is_never_older_than_the_last_change_of_a_tag() -> None:
    beagle = Tag.objects.get(slug="beagle")
    for threshold in (0.4, 0.6, 0.4):
        Tag.objects.filter(pk=beagle.pk).update(threshold=threshold)
        assert vocabulary().rules[beagle.pk].threshold == threshold
    beagle.delete()
    assert "beagle" not in vocabulary().ids


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
