"""Downloads, renditions and readiness where the bytes lie in an object store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from tests.plugins.object_store import ObjectStore
from tests.plugins.processes import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture(autouse=True)
def _pictures_in_the_object_store(
    object_store: ObjectStore, bucket: str, settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    settings.BLOB_URL = f"s3://{bucket}/{uuid4().hex}"
    blob_store.cache_clear()
    yield
    blob_store.cache_clear()


@pytest.fixture
def picture() -> bytes:
    data = io.BytesIO()
    Image.effect_noise((64, 48), 50).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture
def asset(picture: bytes) -> Asset:
    ada = User.objects.create_user("ada")
    return asset_create(stream=io.BytesIO(picture), filename='Grüße "A".jpg', user=ada).asset


@pytest.fixture
def client(asset: Asset) -> Client:
    client = Client()
    client.force_login(asset.uploaded_by)
    return client


def file_of(asset: Asset) -> str:
    return f"/api/v1/assets/{asset.pk}/file"


def test_a_download_goes_to_the_object_store_at_an_address_of_minutes(client, asset, picture, object_store):
    response = client.get(file_of(asset))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(object_store.endpoint)
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response.headers["Content-Security-Policy"]

    answer = requests.get(response.headers["Location"], timeout=30)

    assert answer.content == picture
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"Gr__e _A_.jpg\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22A%22.jpg"
    )


def test_nobody_without_a_right_to_the_picture_is_given_an_address(client, asset):
    User.objects.filter(pk=asset.uploaded_by_id).update(is_active=False)

    for nobody in (Client(), client):
        response = nobody.get(file_of(asset))
        assert response.status_code == 401
        assert "Location" not in response.headers


def test_what_a_page_shows_comes_from_the_catalogue(client, asset, picture):
    version = asset.current_version
    (key,) = blob_store().put_renditions(version.blob.key, {"grid.jpg": b"small"}).values()
    version.renditions = {"grid": {"key": key, "media_type": "image/jpeg", "width": 64, "height": 48}}
    version.save()

    shown = client.get(file_of(asset), {"inline": "1"})
    rendition = client.get(f"/api/v1/assets/{asset.pk}/renditions/grid")

    assert (shown.status_code, b"".join(shown.streaming_content)) == (200, picture)
    assert int(shown.headers["Content-Length"]) == len(picture)
    assert b"".join(rendition.streaming_content) == b"small"


def test_the_headers_of_a_download_are_answered_here(client, asset, picture):
    response = client.head(file_of(asset))
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(picture)


def test_a_lost_original_is_told_before_anybody_is_sent_away(client, asset):
    blob_store().delete(asset.current_version.blob.key)
    response = client.get(file_of(asset))
    assert response.status_code == 404
    assert response.json()["code"] == "missing-blob"


def test_the_process_is_not_ready_while_the_object_store_is_down(client, asset, object_store):
    assert Client().get("/readyz").status_code == 200

    object_store.crash()
    try:
        response = Client().get("/readyz")
        assert response.status_code == 503
        check = response.json()["checks"]["blob store"]
        where = urlsplit(object_store.endpoint).netloc
        assert check["ok"] is False
        assert check["detail"] == f"the object store at http://{where} does not answer"
        assert client.get(file_of(asset)).status_code == 503
    finally:
        object_store.start()

    wait_for(lambda: Client().get("/readyz").status_code == 200, 60, "the process to be ready again")


def test_a_missing_bucket_makes_the_process_not_ready(settings):
    settings.BLOB_URL = "s3://there-is-no-such-bucket/x"
    blob_store.cache_clear()

    check = Client().get("/readyz").json()["checks"]["blob store"]

    assert check["ok"] is False
    assert check["detail"] == "the object store has no bucket “there-is-no-such-bucket”"
