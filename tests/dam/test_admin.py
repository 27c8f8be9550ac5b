"""The Django admin, for staff."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dam.assets.editing import EDITABLE
from dam.assets.models import Album, AlbumEntry, Asset, Collection, Grant, Level
from dam.assets.services import MANAGERS, root_collection
from dam.audit.models import AuditEntry
from dam.curation.models import DuplicatePair
from dam.jobs.models import TaggingJob
from dam.search.models import SavedSearch
from dam.search.selectors import search_assets
from dam.sharing.models import Share
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

READ_ONLY = (TaggingJob, Prediction, Decision, Claim, ModelVersion, Album, AuditEntry, DuplicatePair)
MODELS = (Asset, Collection, Tag, SavedSearch, Share, *READ_ONLY)


@pytest.fixture
def manager():
    root_collection()
    user = StaffFactory(is_superuser=False)
    user.groups.add(Group.objects.get(name=MANAGERS))
    return user


@pytest.fixture
def staff(manager):
    client = Client()
    client.force_login(manager)
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
    place = CollectionFactory()
    AlbumEntry.objects.create(album=Album.objects.create(name="best"), asset=asset)
    other = AssetFactory()
    DuplicatePair.objects.create(first=asset, second=other, distance=2)
    place_id = root_collection().pk
    AuditEntry.objects.create(
        action="asset.edit", object_type="asset", object_id=asset.pk, collection_id=place_id
    )
    owner = asset.uploaded_by
    SavedSearch.objects.create(owner=owner, name="dogs", query="dog", shared=True)
    Share.objects.create(key=f"key-{asset.pk}", kind="collection", collection=place, created_by=owner)


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
    first = Asset.objects.order_by("id")[0]
    assert f'<img src="/api/v1/assets/{first.pk}/renditions/grid?v=' in page


def test_pictures_are_tagged_again(staff):
    failed = AssetFactory(state="failed", reason="corrupt", generation=1)
    other = AssetFactory()
    staff.post(address(Asset, "changelist"), {"action": "tag_again", "_selected_action": [failed.pk]})
    job = TaggingJob.objects.get(asset=failed)
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


def collection_fields(name, parent, **more):
    empty = {f"grants-{each}": 0 for each in ("INITIAL_FORMS", "TOTAL_FORMS")}
    return {"name": name, "description": "", "default_licence": "", "parent": parent.pk, **empty, **more}


def told():
    return list(AuditEntry.objects.order_by("id").values_list("action", "object_name"))


def test_a_collection_is_added_renamed_and_moved(staff, manager):
    root = root_collection()
    assert staff.post(address(Collection, "add"), collection_fields("Trips", root)).status_code == 302
    assert staff.post(address(Collection, "add"), collection_fields("Work", root)).status_code == 302
    trips, work = Collection.objects.get(name="Trips"), Collection.objects.get(name="Work")
    renamed = staff.post(address(Collection, "change", trips.pk), collection_fields("Voyages", work))
    assert renamed.status_code == 302
    trips.refresh_from_db()
    assert (trips.name, Collection.objects.get_parent(trips)) == ("Voyages", work)
    assert {entry.actor for entry in AuditEntry.objects.all()} == {manager}
    assert [name for _, name in told()] == ["Trips", "Work", "Voyages", "Voyages"]


def test_a_name_that_is_taken_is_refused_beside_its_field(staff):
    CollectionFactory(name="Trips")
    answered = staff.post(address(Collection, "add"), collection_fields("trips", root_collection()))
    assert answered.status_code == 200
    assert answered.context["adminform"].form.errors.keys() == {"name"}
    assert Collection.objects.filter(depth=2).count() == 1


def test_rights_are_given_and_taken_with_a_collection(staff):
    place, anna = CollectionFactory(name="Press"), UserFactory(username="anna")
    page = address(Collection, "change", place.pk)
    row = {"grants-TOTAL_FORMS": 1, "grants-0-user": anna.pk, "grants-0-group": "", "grants-0-level": 4}
    added = collection_fields("Press", root_collection(), **row, **{"grants-0-collection": place.pk})
    assert staff.post(page, added).status_code == 302
    grant = Grant.objects.get(collection=place)
    assert (grant.user, grant.level) == (anna, Level.CURATE)
    gone = {**added, "grants-INITIAL_FORMS": 1, "grants-0-id": grant.pk, "grants-0-DELETE": "on"}
    assert staff.post(page, gone).status_code == 302
    assert not Grant.objects.filter(collection=place).exists()
    assert [action for action, _ in told()] == ["grant.set", "grant.remove"]


def test_the_root_stays_and_so_does_what_is_not_empty(staff):
    full, empty = CollectionFactory(), CollectionFactory()
    AssetFactory(collection=full)
    assert staff.post(address(Collection, "delete", root_collection().pk), {"post": "yes"}).status_code == 403
    for collection in (full, empty):
        staff.post(address(Collection, "delete", collection.pk), {"post": "yes"})
    assert list(Collection.objects.filter(depth=2)) == [full]


def test_staff_without_rights_sees_neither_pictures_nor_collections_nor_what_follows_from_them():
    make_everything()
    Grant.objects.all().delete()
    client = Client()
    client.force_login(StaffFactory(is_superuser=False))
    for model in (
        Asset,
        Collection,
        TaggingJob,
        Prediction,
        Decision,
        Claim,
        Album,
        DuplicatePair,
        AuditEntry,
    ):
        found = client.get(address(model, "changelist"))
        assert found.context["cl"].result_count == 0, model
        row = model.objects.first()
        assert client.get(address(model, "change", row.pk)).status_code == 302, model


def asset_fields(asset, **changes):
    fields = {name: getattr(asset, name) or "" for name in EDITABLE}
    return {**fields, "versions-INITIAL_FORMS": 1, "versions-TOTAL_FORMS": 1, **changes}


def test_texts_and_rights_of_a_picture_are_edited(staff, manager):
    asset = AssetFactory()
    page = address(Asset, "change", asset.pk)
    changes = {"title": "Harbour", "licence": "CC-BY-4.0", "expires_on": "2031-05-06"}
    assert staff.post(page, asset_fields(asset, **changes)).status_code == 302
    asset.refresh_from_db()
    assert (asset.title, asset.licence, str(asset.expires_on)) == ("Harbour", "CC-BY-4.0", "2031-05-06")
    assert search_assets(user=manager, query="harbour").assets == [asset]
    wrong = staff.post(page, asset_fields(asset, embargo_until="2032-01-01"))
    assert wrong.context["adminform"].form.errors.keys() == {"embargo_until"}
    history = staff.get(address(Asset, "history", asset.pk), follow=True)
    assert history.context["cl"].result_count == 1


def test_pictures_go_to_the_trash_and_come_back(staff):
    first, second = AssetFactory(), AssetFactory()

    def act(name):
        chosen = {"action": name, "_selected_action": [first.pk, second.pk]}
        staff.post(address(Asset, "changelist") + "?trash=both", chosen)
        return Asset.objects.filter(trashed_at__isnull=False).count()

    assert act("move_to_trash") == 2
    assert staff.get(address(Asset, "changelist")).context["cl"].result_count == 0
    assert staff.get(address(Asset, "changelist"), {"trash": "in"}).context["cl"].result_count == 2
    assert act("restore") == 0


def test_many_pictures_get_the_same_rights_and_place(staff):
    pictures, place = [AssetFactory(), AssetFactory()], CollectionFactory()
    chosen = {"action": "edit_many", "_selected_action": [picture.pk for picture in pictures]}
    assert b"Change all" in staff.post(address(Asset, "changelist"), chosen).content
    apply = {**chosen, "apply": "yes", "licence": "CC0-1.0", "collection": place.pk}
    staff.post(address(Asset, "changelist"), apply)
    assert set(Asset.objects.values_list("licence", "collection")) == {("CC0-1.0", place.pk)}


def test_lists_of_pictures_are_filtered_by_place_rights_and_shape(staff):
    below = CollectionFactory()
    AssetFactory(collection=below, width=10, height=20, expires_on=timezone.now().date() - timedelta(days=1))
    AssetFactory()
    for asked in ({"collection": below.pk}, {"rights": "expired"}, {"orientation": "portrait"}):
        assert staff.get(address(Asset, "changelist"), asked).context["cl"].result_count == 1


def test_a_link_is_revoked(staff, manager):
    share = Share.objects.create(
        key="secret-part", kind="collection", collection=root_collection(), created_by=manager
    )
    page = staff.get(address(Share, "change", share.pk))
    assert b"secret-part" not in page.content
    staff.post(address(Share, "changelist"), {"action": "revoke", "_selected_action": [share.pk]})
    share.refresh_from_db()
    assert share.revoked_at is not None
