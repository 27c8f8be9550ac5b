"""The Django admin, for staff."""

from __future__ import annotations

import html

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dam.assets.models import Asset, Collection
from dam.assets.services import root_collection
from dam.jobs.models import TaggingJob
from dam.search.selectors import search_assets
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from tests.dam.factories import (
    AssetFactory,
    ClaimFactory,
    CollectionFactory,
    DecisionFactory,
    PredictionFactory,
    StaffFactory,
    TagFactory,
    TaggingJobFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

MODELS = (Asset, Collection, Tag, TaggingJob, Prediction, Decision, Claim, ModelVersion)
READ_ONLY = (Asset, TaggingJob, Prediction, Decision, Claim, ModelVersion)


@pytest.fixture
def staff():
    client = Client()
    client.force_login(StaffFactory(is_superuser=False))
    return client


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def make_everything():
    """One more row of every kind."""
    tag = TagFactory()
    asset = AssetFactory(
        tags=[tag],
        renditions={"grid": {"key": "k", "media_type": "image/jpeg", "width": 4, "height": 3}},
    )
    PredictionFactory(asset=asset, tag_ids=[tag.pk], scores=[0.9])
    DecisionFactory(asset=asset, tag=tag)
    TaggingJobFactory(asset=asset)
    CollectionFactory()


@pytest.mark.parametrize("model", MODELS)
def test_staff_reads_lists_and_pages(staff, model):
    make_everything()
    assert staff.get(address(model, "changelist"), {"q": "a"}).status_code == 200
    assert staff.get(address(model, "change", model.objects.first().pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_a_longer_list_costs_no_more_queries(staff, model):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert staff.get(address(model, "changelist")).status_code == 200
        return len(captured)

    make_everything()
    queries()  # content types are cached by the first
    few = queries()
    for _ in range(5):
        make_everything()
    if model is ModelVersion:
        assert model.objects.count() > 5
    assert queries() == few


@pytest.mark.parametrize("model", READ_ONLY)
def test_nobody_edits_there_what_services_keep(staff, model):
    make_everything()
    row = model.objects.first()
    assert staff.get(address(model, "add")).status_code == 403
    assert staff.post(address(model, "change", row.pk), {}).status_code == 403
    assert staff.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_who_is_not_staff_sees_nothing():
    client = Client()
    client.force_login(UserFactory())
    for model in MODELS:
        assert model in admin.site._registry
        assert client.get(address(model, "changelist")).status_code == 302


def test_pictures_are_found_by_beginnings_of_words(staff):
    AssetFactory(filename="Harbour_Morning.jpg")
    AssetFactory(filename="evening.jpg")
    page = staff.get(address(Asset, "changelist"), {"q": "harb mor"}).content.decode()
    assert "Harbour_Morning.jpg" in page
    assert "evening.jpg" not in page
    assert staff.get(address(Asset, "changelist"), {"q": "'); & !"}).status_code == 200


def test_a_thumbnail_is_shown(staff):
    make_everything()
    page = staff.get(address(Asset, "changelist")).content.decode()
    assert f'<img src="/api/v1/assets/{Asset.objects.get().pk}/renditions/grid?v=' in page


def test_pictures_are_tagged_again(staff):
    failed = AssetFactory(state="failed", reason="corrupt", generation=1)
    other = AssetFactory()
    staff.post(address(Asset, "changelist"), {"action": "tag_again", "_selected_action": [failed.pk]})
    job = TaggingJob.objects.get()
    assert (job.asset_id, job.generation, job.bulk, job.state) == (failed.pk, 2, True, "queued")
    assert Asset.objects.get(pk=failed.pk).state == "pending"
    assert Asset.objects.get(pk=other.pk).generation == 1


def tag_fields(tag, **changes):
    fields = {
        "name": tag.name,
        "synonyms": ",".join(tag.synonyms),
        "parents": [parent.pk for parent in tag.parents.all()],
        "threshold": tag.threshold,
        "active": "on",
    }
    return fields | changes


def test_a_tag_is_edited_and_search_knows_its_new_names(staff):
    animal, dog = TagFactory(name="animal"), TagFactory(name="dog")
    asset = AssetFactory(tags=[dog])
    changes = tag_fields(dog, synonyms="hound,Pooch", parents=[animal.pk], threshold="0.25")
    assert staff.post(address(Tag, "change", dog.pk), changes).status_code == 302
    dog.refresh_from_db()
    assert (dog.lookup, dog.ancestor_ids, dog.threshold) == (["dog", "hound", "pooch"], [animal.pk], 0.25)
    assert search_assets(user=asset.uploaded_by, query="pooch").assets == [asset]


def test_a_circle_of_tags_is_refused(staff):
    animal = TagFactory(name="animal")
    dog = TagFactory(name="dog", parents=[animal])
    for parent in (dog, animal):
        answered = staff.post(address(Tag, "change", animal.pk), tag_fields(animal, parents=[parent.pk]))
        assert "cannot lie above itself" in answered.content.decode()
    animal.refresh_from_db()
    assert animal.ancestor_ids == []


def test_a_tag_is_added_once(staff):
    new = {"name": "Holiday 2026", "synonyms": "", "parents": [], "threshold": "0.5", "active": "on"}
    assert staff.post(address(Tag, "add"), new).status_code == 302
    tag = Tag.objects.get()
    assert (tag.slug, tag.kind, tag.lookup) == ("holiday-2026", "own", ["holiday 2026"])
    again = staff.post(address(Tag, "add"), new | {"name": "holiday  2026"}).content.decode()
    assert "“holiday 2026” is a name or synonym of the tag “Holiday 2026” already." in again
    assert "letter or a digit" in staff.post(address(Tag, "add"), new | {"name": "🏖"}).content.decode()
    assert staff.get(address(Tag, "delete", tag.pk)).status_code == 403


def test_a_tag_takes_no_name_that_another_has(staff):
    cat = TagFactory(name="cat", synonyms=["Kitty"])
    dog = TagFactory(name="dog", synonyms=["hound"])

    def answer(**changes):
        answered = staff.post(address(Tag, "change", dog.pk), tag_fields(dog, **changes))
        return html.unescape(answered.content.decode())

    for changes, taken in (
        ({"name": "Cat"}, "Cat"),
        ({"name": "kitty"}, "kitty"),
        ({"synonyms": "hound,CAT"}, "CAT"),
        ({"synonyms": "pooch,kitty"}, "kitty"),
    ):
        assert f"“{taken}” is a name or synonym of the tag “cat” already." in answer(**changes)
    dog.refresh_from_db()
    assert (dog.name, dog.synonyms, dog.lookup) == ("dog", ["hound"], ["dog", "hound"])
    # Its own names stay free to it, in any order.
    assert answer(name="Hound", synonyms="dog") == ""
    dog.refresh_from_db()
    assert dog.lookup == ["hound", "dog"]
    assert Tag.objects.get(pk=cat.pk).lookup == ["cat", "kitty"]


def test_a_synonym_that_two_tags_of_a_model_share_does_not_stop_an_edit(staff):
    TagFactory(name="crane (machine)", synonyms=["crane"])
    bird = TagFactory(name="crane (bird)", synonyms=["crane"])
    fields = tag_fields(bird, threshold="0.25")
    assert staff.post(address(Tag, "change", bird.pk), fields).status_code == 302
    bird.refresh_from_db()
    assert bird.threshold == 0.25


@pytest.mark.parametrize("threshold", ["-0.1", "1.5"])
def test_a_threshold_that_is_no_probability_is_refused_in_words(staff, threshold):
    dog = TagFactory(name="dog")
    answered = staff.post(address(Tag, "change", dog.pk), tag_fields(dog, threshold=threshold))
    page = answered.content.decode()
    assert "A threshold lies between 0 and 1." in page
    assert "tag_threshold_is_a_probability" not in page


def test_a_new_threshold_reaches_pictures_when_claims_are_derived_again(staff):
    animal = TagFactory(name="animal", kind="ancestor")
    dog = TagFactory(name="dog", threshold=0.9, parents=[animal])
    prediction = PredictionFactory(tag_ids=[dog.pk], scores=[0.6])
    other = PredictionFactory(tag_ids=[TagFactory(name="cat").pk], scores=[0.6])
    ClaimFactory(asset=other.asset)  # would go, were it derived again
    staff.post(address(Tag, "change", dog.pk), tag_fields(dog, threshold="0.5"))
    assert not Claim.objects.filter(asset=prediction.asset).exists()
    # Through the parent, under which it lies.
    staff.post(address(Tag, "changelist"), {"action": "derive_again", "_selected_action": [animal.pk]})
    assert Claim.objects.get(asset=prediction.asset).tag == dog
    assert Claim.objects.filter(asset=other.asset).count() == 1


def collection_fields(name, position, beside):
    return {
        "name": name,
        "description": "",
        "treebeard_position": position,
        "treebeard_ref_node": beside.pk if beside else "",
    }


def test_a_collection_is_added_below_another(staff):
    fields = collection_fields("Trips", "sorted-child", root_collection())
    assert staff.post(address(Collection, "add"), fields).status_code == 302
    below = Collection.objects.get_children(root_collection())
    assert list(below.values_list("name", flat=True)) == ["Trips"]
    trips = address(Collection, "change", below[0].pk)
    assert (
        staff.post(trips, collection_fields("Voyages", "sorted-child", root_collection())).status_code == 302
    )
    assert Collection.objects.get(depth=2).name == "Voyages"


def test_the_library_keeps_its_one_root(staff):
    root, below = root_collection(), CollectionFactory(name="Trips")
    for beside in (None, root):
        staff.post(address(Collection, "add"), collection_fields("Other", "sorted-sibling", beside))
    staff.post(
        address(Collection, "changelist") + "move/",
        {"node": below.pk, "target": root.pk, "relation": "sibling"},
    )
    assert staff.post(address(Collection, "change", root.pk), {"name": "Mine"}).status_code == 403
    assert staff.post(address(Collection, "delete", root.pk), {"post": "yes"}).status_code == 403
    assert list(Collection.objects.values_list("name", "depth")) == [("Library", 1), ("Trips", 2)]


def test_a_collection_with_pictures_is_not_deleted(staff):
    full, empty = CollectionFactory(), CollectionFactory()
    AssetFactory(collection=full)
    for collection in (full, empty):
        staff.post(address(Collection, "delete", collection.pk), {"post": "yes"})
    assert list(Collection.objects.filter(depth=2)) == [full]
