"""What each filter finds, and that names tell nobody of what they may not see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.utils import timezone

from dam.assets.models import Album, AlbumEntry, Asset, Collection, Grant, Level
from dam.search.compile import compile_query
from dam.search.language import SearchError
from dam.search.selectors import search_assets
from dam.tagging.models import Claim, Likeness
from tests.dam.factories import (
    AssetFactory,
    ClaimFactory,
    CollectionFactory,
    StaffFactory,
    TagFactory,
    UserFactory,
)
from tests.dam.organising_scene import below

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


@pytest.fixture
def user():
    return UserFactory(username="Anna")


def found(user, query):
    return {asset.filename for asset in search_assets(user=user, query=query).assets}


def room(name):
    """A collection beside the library, in which nobody may do anything."""
    return Collection.objects.add_root(create_kwargs={"name": name})


def make(**each):
    """One asset per name, with these fields."""
    return {name: AssetFactory(filename=name, **fields) for name, fields in each.items()}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type:png", {"b"}),
        ("type:image/jpeg", {"a", "c"}),
        ("type:jpg -c", {"a"}),
        ("width:>2000", {"a"}),
        ("width:1000..3000 height:1000..", {"a", "b"}),
        ("height:=1000", {"b"}),
        ("size:>=2mb", {"a"}),
        ("size:2mb", {"a"}),
        ("size:<999999999999gb", {"a", "b", "c"}),
        ("width:<999999999999", {"a", "b", "c"}),
        ("orientation:landscape", {"a"}),
        ("orientation:portrait", {"c"}),
        ("is:square", {"b"}),
        ("camera:canon", {"a", "b"}),
        ('camera:"=Canon EOS 5"', {"a"}),
        ("camera:nik*", set()),
        ("camera:none", {"c"}),
        ("color:red", {"a", "b"}),
        ("colour:gray", {"b"}),
        ("-color:red", {"c"}),
        ("taken:2024", {"a"}),
        ("taken:2024-05..2024-06", {"a"}),
        ("taken:..2024", {"a", "b"}),
        ("taken:none", {"c"}),
        ("-taken:2024", {"b", "c"}),
        ("uploaded:<7d", {"a", "b", "c"}),
        ("uploaded:>1d", set()),
        ("licence:cc-by-4.0", {"a"}),
        ("license:CC-BY*", {"a", "b"}),
        ("licence:none", {"c"}),
        ("release:refused OR release:unknown", {"b", "c"}),
        ("rights:usable", {"a", "c"}),
        ("rights:expired", {"b"}),
        ("is:expiring", {"a"}),
        ("-rights:embargoed", {"a", "b", "c"}),
        ("color:red (type:png OR width:>2000) -rights:expired", {"a"}),
    ],
)
def test_a_filter_finds_what_has_that_fact(user, query, names):
    make(
        a={
            "width": 3000,
            "height": 2000,
            "size": 2_100_000,
            "camera": "Canon EOS 5",
            "colours": ["red"],
            "taken_at": datetime(2024, 5, 31, 23, tzinfo=UTC),
            "licence": "CC-BY-4.0",
            "release_status": Asset.Release.OBTAINED,
            "expires_on": TODAY + timedelta(days=3),
        },
        b={
            "width": 1000,
            "height": 1000,
            "media_type": "image/png",
            "camera": "Canon EOS 50",
            "colours": ["grey", "red"],
            "taken_at": datetime(2023, 1, 1, tzinfo=UTC),
            "licence": "CC-BY-SA-4.0",
            "release_status": Asset.Release.REFUSED,
            "expires_on": TODAY - timedelta(days=1),
        },
        c={"width": 400, "height": 600},
    )
    assert found(user, query) == names


def test_states_tell_what_became_of_the_tagging(user):
    dog = TagFactory(name="dog")
    assets = make(
        done={"tags": [dog]}, new={"state": "pending"}, bad={"state": "failed", "reason": "corrupt"}, open={}
    )
    ClaimFactory(asset=assets["open"], tag=dog)
    Asset.objects.filter(pk=assets["open"].pk).update(tag_ids=[dog.pk])
    assert found(user, "state:pending") == {"new"}
    assert found(user, "is:failed") == {"bad"}
    assert found(user, "state:untagged") == {"new", "bad"}
    assert found(user, "state:tagged") == {"done", "open"}
    assert found(user, "state:needs-review") == {"open"}


def test_a_score_is_of_what_people_see(user):
    dog = TagFactory(name="dog")
    assets = make(sure={}, unsure={}, wrong={})
    for name, score, state in (
        ("sure", 0.95, "suggested"),
        ("unsure", 0.6, "accepted"),
        ("wrong", 1, "rejected"),
    ):
        ClaimFactory(asset=assets[name], tag=dog, score=score, state=Claim.State(state))
    assert found(user, "score:dog>0.9") == {"sure"}
    assert found(user, "score:dog<=60%") == {"unsure"}
    assert search_assets(user=user, query="score:unicorn>0.5").notices == ("There is no tag “unicorn”.",)


def test_an_owner_is_oneself_or_somebody_by_name(user):
    make(mine={"uploaded_by": user}, orphan={"uploaded_by": None})
    AssetFactory(filename="other", uploaded_by=UserFactory(username="Bob"))
    assert found(user, "owner:me") == found(user, "is:mine") == found(user, "owner:anna") == {"mine"}
    assert found(user, "by:BOB") == {"other"}
    assert found(user, "owner:none") == {"orphan"}
    assert search_assets(user=user, query="owner:nobody").notices == ()


@pytest.fixture
def places(user):
    """Two rooms of the library that Anna may see, and one closed to her; each with a picture."""
    closed, travel = room("Closed"), room("Travel")
    secret = below(closed, "Secret")
    japan, inside = below(travel, "Japan"), below(secret, "Inside")
    for place in (travel, inside):
        Grant.objects.create(collection=place, user=user, level=Level.VIEW)
    for place in (closed, secret, travel, japan, inside):
        AssetFactory(filename=place.name, collection=place)
    return {place.name: place for place in (closed, secret, travel, japan, inside)}


def test_a_collection_is_found_with_all_below_it(user, places):
    assert found(user, "collection:travel") == {"Travel", "Japan"}
    assert found(user, "collection:Travel/Japan") == {"Japan"}
    assert found(user, f"in:{places['Japan'].pk}") == {"Japan"}
    assert found(user, "-collection:japan") == {"Travel", "Inside"}
    assert found(StaffFactory(), "collection:closed") == {"Closed", "Secret", "Inside"}


def test_a_closed_collection_is_as_if_it_did_not_exist(user, places):
    for name in ("Secret", "Closed/Secret", "Secret/Inside", str(places["Closed"].pk), "Nowhere"):
        page = search_assets(user=user, query=f"collection:{name}")
        assert (page.assets, page.notices) == ([], (f"There is no collection “{name}”.",))
    assert found(user, "collection:Inside") == {"Inside"}


def test_an_album_is_known_to_those_who_see_a_picture_of_it(user, places):
    for name, picture in (("Trip", "Japan"), ("Plot", "Secret")):
        album = Album.objects.create(name=name)
        AlbumEntry.objects.create(album=album, asset=Asset.objects.get(filename=picture))
        AlbumEntry.objects.create(album=album, asset=Asset.objects.get(filename="Closed"))
    assert found(user, "album:trip") == {"Japan"}
    assert found(user, f"album:{Album.objects.get(name='Trip').pk}") == {"Japan"}
    assert found(user, "-album:trip") == {"Travel", "Inside"}
    page = search_assets(user=user, query="album:Plot")
    assert (page.assets, page.notices) == ([], ("There is no album “Plot”.",))


def test_similar_pictures_come_in_the_order_of_likeness(user):
    assets = make(first={}, near={}, far={}, strange={})
    for number, name in enumerate(("first", "near", "far")):
        vector = np.zeros(320)
        vector[0], vector[1] = np.cos(number / 2), np.sin(number / 2)
        Likeness.objects.create(asset=assets[name], embedding_id="space-1", embedding=vector)
    query = f"similar:{assets['first'].pk}"
    assert compile_query(query, user=user).ranked == (assets["near"].pk, assets["far"].pk)
    assert [asset.filename for asset in search_assets(user=user, query=query).assets] == ["near", "far"]
    assert found(user, f"{query} -far") == {"near"}
    pk = assets["strange"].pk
    assert compile_query(f"similar:{pk}", user=user).notices == (
        f"Nothing is known yet of what picture {pk} looks like.",
    )


def test_what_is_similar_to_a_hidden_picture_is_not_told(user):
    hidden = AssetFactory(collection=room("Closed"))
    Likeness.objects.create(asset=hidden, embedding_id="space-1", embedding=np.ones(320) / 320**0.5)
    CollectionFactory()
    notices = {compile_query(f"similar:{pk}", user=user).notices for pk in (hidden.pk, 987654321)}
    assert notices == {(f"There is no picture {pk}.",) for pk in (hidden.pk, 987654321)}


def test_a_command_that_acts_for_nobody_knows_all_names_and_is_not_me(places):
    compiled = compile_query("collection:closed", user=None)
    assert set(Asset.objects.filter(compiled.condition).values_list("filename", flat=True)) == {
        "Closed",
        "Secret",
        "Inside",
    }
    with pytest.raises(SearchError, match="needs somebody"):
        compile_query("owner:me", user=None)
