"""A picture as a file: who may have it, and in which size and format."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.utils import timezone
from PIL import Image

from dam.assets.models import Asset, Level
from dam.assets.storage import blob_store
from tests.dam.factories import CollectionFactory, StaffFactory

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def bytes_of(answer) -> bytes:
    return b"".join(answer.streaming_content)


def opened(answer) -> Image.Image:
    return Image.open(io.BytesIO(bytes_of(answer)))


def download(client, asset: Asset, **asked):
    return client.get(f"/api/v1/assets/{asset.pk}/download", asked)


@pytest.mark.parametrize(
    "way", ["file", "file?inline=1", "download", "download?size=480", "download?check=1"]
)
def test_looking_is_not_downloading(way, client, anna, allow, picture):
    asset = picture()
    address = f"/api/v1/assets/{asset.pk}/{way}"
    assert client.get(address).status_code == 404
    allow(anna, Level.VIEW)
    refused = client.get(address)
    assert (refused.status_code, refused.json()["code"]) == (403, "not-downloadable")
    assert client.get(f"/api/v1/assets/{asset.pk}/").status_code == 200
    allow(anna, Level.DOWNLOAD)
    answer = client.get(address)
    answer.close()
    assert answer.status_code in {200, 204}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expires_on": TODAY - timedelta(days=2)}, "expired"),
        ({"embargo_until": TODAY + timedelta(days=2)}, "embargoed"),
    ],
)
def test_what_must_not_be_used_is_for_its_managers_alone(*, change, code, client, anna, allow, picture):
    asset = picture(**change)
    for level in (Level.DOWNLOAD, Level.CONTRIBUTE, Level.CURATE):
        allow(anna, level)
        for way in ("file", "file?inline=1", "download"):
            refused = client.get(f"/api/v1/assets/{asset.pk}/{way}")
            assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert str((TODAY + timedelta(days=2)).year) in refused.json()["detail"]
    allow(anna, Level.MANAGE)
    assert bytes_of(download(client, asset))


def test_the_original_comes_as_it_is_under_its_name(client, anna, allow, picture):
    asset = picture("Grüße.jpg")
    allow(anna, Level.DOWNLOAD)
    answer = download(client, asset)
    assert bytes_of(answer) == blob_store().read(asset.current_version.blob.key)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "Gr%C3%BC%C3%9Fe.jpg" in answer.headers["Content-Disposition"]
    again = client.get(
        f"/api/v1/assets/{asset.pk}/download", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("asked", "format_", "size", "name"),
    [
        ({"size": "480"}, "JPEG", (480, 360), "a-480.jpg"),
        ({"size": "480", "format": "png"}, "PNG", (480, 360), "a-480.png"),
        ({"size": "100", "format": "webp"}, "WEBP", (100, 75), "a-100.webp"),
        ({"format": "png"}, "PNG", (800, 600), "a.png"),
        ({"size": "2560", "format": "png"}, "PNG", (800, 600), "a.png"),
        ({"size": "2560"}, "JPEG", (800, 600), "a.jpg"),
    ],
)
def test_sizes_and_formats(*, asked, format_, size, name, client, anna, allow, picture):
    asset = picture("a.jpg", size=(800, 600))
    allow(anna, Level.DOWNLOAD)
    answer = download(client, asset, **asked)
    assert answer.status_code == 200, answer.content
    image = opened(answer)
    assert (image.format, image.size) == (format_, size)
    assert f'filename="{name}"' in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Type"] == Image.MIME[format_]


def test_what_a_worker_made_already_is_not_made_again(client, anna, allow, picture, monkeypatch):
    asset = picture("a.jpg", size=(2000, 1500))
    version = asset.current_version
    made = io.BytesIO()
    Image.new("RGB", (1600, 1200), "red").save(made, "JPEG")
    key = blob_store().put_renditions(version.blob.key, {"preview.jpg": made.getvalue()})["preview.jpg"]
    version.renditions = {"preview": {"key": key, "media_type": "image/jpeg", "width": 1600, "height": 1200}}
    version.save()
    allow(anna, Level.DOWNLOAD)
    monkeypatch.setattr("dam.sharing.files.converted", lambda *_words, **_more: pytest.fail("converted"))
    assert bytes_of(download(client, asset, size="1600")) == made.getvalue()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"size": "huge"}, "size"),
        ({"size": "0"}, "size"),
        ({"size": "-5"}, "size"),
        ({"format": "tiff"}, "format"),
    ],
)
def test_there_are_no_other_sizes_and_formats(*, asked, field, client, anna, allow, picture):
    asset = picture()
    allow(anna, Level.DOWNLOAD)
    answer = download(client, asset, **asked)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_a_picture_that_cannot_be_decoded_is_told_so_and_its_original_comes_all_the_same(
    client, anna, allow, picture
):
    asset = picture("a.png", size=(300, 200))
    key = asset.current_version.blob.key
    whole = blob_store().read(key)
    path = blob_store()._path(key)  # harm that a store does
    path.write_bytes(whole[: len(whole) // 2])
    allow(anna, Level.DOWNLOAD)
    answer = download(client, asset, size="100")
    assert (answer.status_code, answer.json()["code"]) == (422, "cannot-decode")
    assert bytes_of(download(client, asset)) == whole[: len(whole) // 2]


def test_too_little_memory_is_told(client, anna, allow, picture, settings):
    settings.CONVERT_MEMORY_BYTES = 160 << 20
    asset = picture("a.png", size=(4000, 4000))
    allow(anna, Level.DOWNLOAD)
    answer = download(client, asset, format="webp", size="3900")
    assert (answer.status_code, answer.json()["code"]) == (422, "too-large")


def test_a_file_through_a_link_needs_the_link_s_leave_and_its_maker_s_right(
    *, client, stranger, anna, allow, picture, share_of
):
    asset = picture("secret.jpg", size=(800, 600))
    allow(anna, Level.DOWNLOAD)
    without, with_ = share_of(asset), share_of(asset, may_download=True)
    assert stranger.get(f"/s/{without.key}/f/{asset.pk}").status_code == 404
    assert stranger.get(f"/s/{without.key}/zip").status_code == 404

    answer = stranger.get(f"/s/{with_.key}/f/{asset.pk}")

    assert bytes_of(answer) == blob_store().read(asset.current_version.blob.key)
    assert f'filename="picture-{asset.pk}.jpg"' in answer.headers["Content-Disposition"]
    small = stranger.get(f"/s/{with_.key}/f/{asset.pk}", {"size": "100", "format": "png"})
    assert opened(small).size == (100, 75)
    assert stranger.get(f"/s/{with_.key}/f/{asset.pk}", {"size": "huge"}).status_code == 400
    named = share_of(asset, may_download=True, fields=["filename"])
    answer = stranger.get(f"/s/{named.key}/f/{asset.pk}")
    assert 'filename="secret.jpg"' in answer.headers["Content-Disposition"]
    assert bytes_of(answer)
    allow(anna, Level.VIEW)
    assert stranger.get(f"/s/{with_.key}/").context["cards"][0]["download"] == ""
    assert stranger.get(f"/s/{with_.key}/f/{asset.pk}").status_code == 404


def test_a_superuser_downloads_everything(picture, client):
    asset = picture(collection=CollectionFactory(), expires_on=TODAY - timedelta(days=2))
    client.force_login(StaffFactory())
    assert bytes_of(download(client, asset))
