"""The pages of collections: what one sees of the tree, what one may do there, and who else may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from dam.assets.models import Asset, Collection, Grant, Level
from dam.assets.services import root_collection
from tests.dam.factories import AssetFactory, CollectionFactory, GrantFactory, StaffFactory, UserFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db

SCRIPT = {"Accept": "application/json"}


@pytest.fixture
def closed() -> Collection:
    """The root, from which everybody's right was taken."""
    root = root_collection()
    root.grants.all().delete()
    return root


def test_the_tree_shows_what_one_may_see_with_counts_and_nothing_of_the_rest(
    client: Client, anna: User, closed: Collection
) -> None:
    trips, secret = CollectionFactory(name="Trips"), CollectionFactory(name="Secret plans")
    GrantFactory(collection=trips, user=anna, level=Level.VIEW)
    AssetFactory.create_batch(2, collection=trips)
    AssetFactory(collection=secret)
    html = text(client.get("/collections/"))
    assert "Trips" in html
    assert '<span class="node-count">2<' in html
    assert "Secret" not in html
    assert '>Library</span>\n      <span class="node-count"' not in html
    assert "New collection" not in html.split("</main>")[0].split("<dialog")[0]
    assert client.get(f"/collections/{secret.pk}/").status_code == 404
    assert client.get(f"/collections/{trips.pk}/").status_code == 200
    assert "Secret" not in text(client.get("/collections/choices/?level=view"))


def test_a_curator_makes_renames_and_a_manager_moves_and_deletes(
    client: Client, anna: User, closed: Collection
) -> None:
    GrantFactory(collection=closed, user=anna, level=Level.CURATE)
    answer = client.post("/collections/create/", {"parent": closed.pk, "name": "Trips"}, headers=SCRIPT)
    trips = Collection.objects.get(name="Trips")
    assert answer.json() == {"said": "“Trips” was made.", "go": f"/collections/{trips.pk}/"}
    refused = client.post("/collections/create/", {"parent": closed.pk, "name": "trips"}, headers=SCRIPT)
    assert refused.status_code == 400
    assert refused.json()["field"] == "name"
    client.post(f"/collections/{trips.pk}/edit/", {"name": "Journeys", "description": "Far away"})
    trips.refresh_from_db()
    assert (trips.name, trips.description) == ("Journeys", "Far away")

    other = CollectionFactory(name="Archive")
    address = f"/collections/{trips.pk}/move/"
    assert client.post(address, {"parent": other.pk}, headers=SCRIPT).status_code == 403
    Grant.objects.filter(user=anna).update(level=Level.MANAGE)
    assert client.post(address, {"parent": other.pk}, headers=SCRIPT).status_code == 200
    assert Collection.objects.get(pk=trips.pk).path.startswith(other.path)
    assert client.post(address, {"parent": trips.pk}, headers=SCRIPT).status_code == 400
    assert client.post(f"/collections/{trips.pk}/delete/").headers["Location"] == "/collections/"
    assert not Collection.objects.filter(pk=trips.pk).exists()


def test_the_page_of_a_collection_shows_its_way_its_pictures_and_what_lies_below(
    client: Client, anna: User
) -> None:
    trips = CollectionFactory(name="Trips", description="Where we went")
    rome = Collection.objects.add_child(trips, create_kwargs={"name": "Rome"})
    AssetFactory(collection=rome, filename="colosseum.jpg")
    html = text(client.get(f"/collections/{trips.pk}/"))
    for shown in (
        "Where we went",
        "Rome",
        "colosseum.jpg",
        f"/?q=collection%3A{trips.pk}",
        "data-upload-into",
    ):
        assert shown in html
    assert "Who may do what" not in html
    rome_html = text(client.get(f"/collections/{rome.pk}/"))
    assert f'<a href="/collections/{trips.pk}/">Trips</a>' in rome_html


def test_a_manager_gives_and_takes_rights_and_sees_those_from_above(anna: User, closed: Collection) -> None:
    client = Client()
    manager = UserFactory(username="mia")
    client.force_login(manager)
    trips = CollectionFactory(name="Trips")
    GrantFactory(collection=trips, user=manager, level=Level.MANAGE)
    GrantFactory(collection=closed, group=Group.objects.create(name="Editors"), level=Level.VIEW)
    address = f"/collections/{trips.pk}/grants/"
    html = text(client.get(f"/collections/{trips.pk}/"))
    assert "Editors" in html
    assert "from above" in html

    client.post(address, {"to": "user", "name": "anna", "level": Level.DOWNLOAD}, headers=SCRIPT)
    client.post(address, {"to": "everybody", "level": Level.VIEW}, headers=SCRIPT)
    assert Grant.objects.get(collection=trips, user=anna).level == Level.DOWNLOAD
    assert "Anna Berg" in text(client.get(f"/collections/{trips.pk}/"))
    nobody = client.post(address, {"to": "user", "name": "annna", "level": 1}, headers=SCRIPT)
    assert nobody.json()["problem"] == "Nobody here is called “annna”. Give the user name."
    assert client.post(address, {"to": "user", "name": "anna", "level": 9}, headers=SCRIPT).status_code == 400
    everybody = Grant.objects.get(collection=trips, user=None, group=None)
    client.post(f"/grants/{everybody.pk}/take/", headers=SCRIPT)
    assert not Grant.objects.filter(pk=everybody.pk).exists()

    anna_client = Client()
    anna_client.force_login(anna)
    mine = Grant.objects.get(collection=trips, user=anna)
    assert anna_client.post(f"/grants/{mine.pk}/take/", headers=SCRIPT).status_code == 404
    assert "Who may do what" not in text(anna_client.get(f"/collections/{trips.pk}/"))


def test_whoever_may_change_nothing_gets_no_buttons_and_the_forms_refuse(
    client: Client, anna: User, closed: Collection
) -> None:
    trips = CollectionFactory(name="Trips")
    GrantFactory(collection=trips, user=anna, level=Level.VIEW)
    html = text(client.get(f"/collections/{trips.pk}/"))
    assert "data-upload-into" not in html
    assert "data-dialog" not in html
    for act in ("edit", "cover"):
        assert client.post(f"/collections/{trips.pk}/{act}/", {"name": "X"}).status_code == 403
    for act in ("delete", "grants"):
        assert client.post(f"/collections/{trips.pk}/{act}/", {"level": 1}).status_code == 403
    assert client.post("/collections/999/delete/").status_code == 404


def test_a_cover_is_chosen_from_the_page_of_a_picture(anna: User) -> None:
    client = Client()
    client.force_login(StaffFactory())
    trips = CollectionFactory(name="Trips")
    asset: Asset = AssetFactory(collection=trips)
    assert f"/collections/{trips.pk}/cover/" in text(client.get(f"/assets/{asset.pk}/"))
    client.post(f"/collections/{trips.pk}/cover/", {"asset": asset.pk})
    trips.refresh_from_db()
    assert trips.cover_id == asset.pk
