"""What a link shows: what its maker may see at that moment and what may be used, and never more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dam.assets.models import Album, AlbumEntry, Collection, Grant, Level
from tests.dam.factories import CollectionFactory, UserFactory

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def page(stranger, share):
    return stranger.get(f"/s/{share.key}/")


def shown(stranger, share) -> set[int]:
    """Ids of the pictures on the page, each of which can be looked at."""
    return {card["id"] for card in page(stranger, share).context["cards"]}


def test_a_link_shows_its_pictures_to_who_has_no_account(stranger, anna, allow, picture, share_of):
    one, _other = picture("one.jpg", title="Dawn"), picture("other.jpg", title="Dusk")
    allow(anna, Level.VIEW)
    share = share_of(one, title="For the paper", message="By Friday,\nplease", fields=["title"])

    answer = page(stranger, share)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert "For the paper" in text
    assert "By Friday,<br>please" in text
    assert "shared by Anna Berg" in text
    assert "Dawn" in text
    assert "Dusk" not in text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not answer.cookies


def test_only_the_chosen_facts_are_told(stranger, anna, allow, picture, share_of):
    asset = picture(
        "secret-name.jpg",
        title="Dawn",
        description="At the pier",
        credit="Anna Berg / Vitrine",
        copyright_holder="Berg Ltd",
        licence="CC-BY-4.0",
        camera="Canon R5",
    )
    allow(anna, Level.DOWNLOAD)
    hidden = ("secret-name", "At the pier", "Anna Berg / Vitrine", "Berg Ltd", "CC-BY-4.0", "Canon R5")

    text = page(stranger, share_of(asset, fields=["title"], may_download=True)).content.decode()

    assert "Dawn" in text
    assert [word for word in hidden if word in text] == []
    fields = ["filename", "description", "credit", "licence", "camera", "dimensions"]
    text = page(stranger, share_of(asset, fields=fields)).content.decode()
    assert "Dawn" not in text
    assert [word for word in hidden if word not in text] == []
    assert "64 × 48" in text


def test_a_right_that_its_maker_loses_is_lost_by_the_link(stranger, anna, allow, picture, share_of):
    asset = picture()
    allow(anna, Level.VIEW)
    share = share_of(asset)
    assert shown(stranger, share) == {asset.pk}

    Grant.objects.filter(user=anna).delete()

    assert shown(stranger, share) == set()
    assert stranger.get(f"/s/{share.key}/p/{asset.pk}/grid").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"expires_on": TODAY - timedelta(days=2)},
        {"embargo_until": TODAY + timedelta(days=2)},
        {"trashed_at": timezone.now()},
    ],
    ids=["expired", "embargoed", "in the trash"],
)
def test_what_must_not_be_used_is_not_shown(*, change, stranger, anna, allow, picture, share_of):
    asset, other = picture("a.jpg"), picture("b.jpg")
    allow(anna, Level.MANAGE)
    share = share_of(asset, other, may_download=True)

    for name, value in change.items():
        setattr(asset, name, value)
    asset.save()

    assert shown(stranger, share) == {other.pk}
    assert stranger.get(f"/s/{share.key}/p/{asset.pk}/grid").status_code == 404
    assert stranger.get(f"/s/{share.key}/f/{asset.pk}").status_code == 404


def test_a_link_to_a_collection_shows_what_lies_below_it_and_what_comes_later(
    *, stranger, anna, allow, picture, press: Collection, share_of
):
    inner = Collection.objects.add_child(press, create_kwargs={"name": "Inner"})
    press.refresh_from_db()
    elsewhere = CollectionFactory(name="Elsewhere")
    inside, below = picture("a.jpg"), picture("b.jpg", collection=inner)
    picture("c.jpg", collection=elsewhere)
    allow(anna, Level.VIEW)
    allow(anna, Level.VIEW, elsewhere)
    share = share_of(collection=press)
    assert share.title == "Press"
    assert shown(stranger, share) == {inside.pk, below.pk}

    later = picture("d.jpg", collection=inner)

    assert shown(stranger, share) == {inside.pk, below.pk, later.pk}


def test_a_link_to_an_album_shows_what_its_maker_sees_of_it(stranger, anna, allow, picture, share_of):
    hidden = CollectionFactory(name="Hidden")
    seen, unseen = picture("a.jpg"), picture("b.jpg", collection=hidden)
    allow(anna, Level.VIEW)
    album = Album.objects.create(name="Best", owner=UserFactory())
    for asset in (seen, unseen):
        AlbumEntry.objects.create(album=album, asset=asset)

    share = share_of(album=album)

    assert shown(stranger, share) == {seen.pk}


def test_a_picture_of_another_link_is_not_found_in_this_one(stranger, anna, allow, picture, share_of):
    mine, other = picture("a.jpg"), picture("b.jpg")
    for asset in (mine, other):
        version = asset.current_version
        version.renditions = {
            "grid": {"key": version.blob.key, "media_type": "image/jpeg", "width": 64, "height": 48}
        }
        version.save()
    allow(anna, Level.DOWNLOAD)
    share = share_of(mine, may_download=True)

    assert b"".join(stranger.get(f"/s/{share.key}/p/{mine.pk}/grid").streaming_content)
    assert stranger.get(f"/s/{share.key}/p/{other.pk}/grid").status_code == 404
    assert stranger.get(f"/s/{share.key}/f/{other.pk}").status_code == 404
    assert stranger.get(f"/s/{share.key}/p/{mine.pk}/other").status_code == 404


def test_many_pictures_come_page_by_page_each_once(*, stranger, anna, allow, picture, share_of, monkeypatch):
    monkeypatch.setattr("dam.library.share_page.PAGE_SIZE", 2)
    assets = [picture(f"{number}.jpg") for number in range(5)]
    allow(anna, Level.VIEW)
    share = share_of(*assets)
    found, address = [], f"/s/{share.key}/"
    while address:
        answer = stranger.get(address + ("&fragment=1" if "?" in address else "?fragment=1"))
        found += [card["id"] for card in answer.context["cards"]]
        address = answer.context["more"]
    assert found == sorted((asset.pk for asset in assets), reverse=True)


def test_opening_is_counted_and_looking_at_a_picture_is_not(stranger, anna, allow, picture, share_of):
    asset = picture()
    allow(anna, Level.VIEW)
    share = share_of(asset)

    page(stranger, share)
    page(stranger, share)
    stranger.head(f"/s/{share.key}/")
    stranger.get(f"/s/{share.key}/?fragment=1")

    share.refresh_from_db()
    assert share.uses == 2
    assert timezone.now() - share.last_used_at < timedelta(minutes=5)
