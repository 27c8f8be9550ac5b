"""Assets over REST: uploading, searching, reading files, deciding; every error in one form."""

from __future__ import annotations

import datetime as dt
import io
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken
from PIL import Image

from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, Tag
from pipeline.blobs import BlobStoreDownError
from tests.dam.factories import AssetFactory, ClaimFactory, StaffFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db

ASSETS = "/api/v1/assets/"


def picture(width: int = 64, height: int = 48, kind: str = "JPEG", colour: str = "red") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def user():
    return UserFactory(username="ada")


@pytest.fixture
def api(user):
    client = Client()
    client.force_login(user)
    return client


def upload(client, content=None, name="red.jpg", **fields):
    file = SimpleUploadedFile("placeholder", picture() if content is None else content)
    file._name = name  # the client's name as it is, not as Django would clean it on this side
    return client.post(ASSETS, {"file": file, **fields})


def assert_problem(response, status, code):
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


# ------------------------------------------------------------------- upload


def test_an_upload_answers_with_the_new_asset_and_the_same_bytes_with_the_existing_one(api):
    first = upload(api, name="red.jpg")
    assert first.status_code == 201
    body = first.json()
    assert (body["filename"], body["state"], body["width"], body["height"]) == ("red.jpg", "pending", 64, 48)
    assert (body["uploaded_by"], body["media_type"], body["size"]) == ("ada", "image/jpeg", len(picture()))
    assert (body["tags"], body["rejected_tags"], body["placeholder"]) == ([], [], "")
    assert body["urls"]["grid"] is None
    assert first.headers["Location"] == body["urls"]["self"]
    again = upload(api, name="copy.jpg")
    assert again.status_code == 200
    assert again.json() == body == api.get(body["urls"]["self"]).json()
    assert TaggingJob.objects.get().bulk is False


def test_a_bulk_upload_lets_people_go_first(api):
    assert upload(api, bulk="true").status_code == 201
    assert TaggingJob.objects.get().bulk is True


def test_a_token_signs_in(user):
    token = AuthToken.objects.create(user=user)[1]
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert upload(client).status_code == 201
    assert client.get(ASSETS).json()["results"][0]["uploaded_by"] == "ada"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer a b",
        "Bearer \udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ],
)
def test_a_wrong_token_is_refused(header):
    assert_problem(Client().get(ASSETS, headers={"Authorization": header}), 401, "authentication-failed")


def test_a_token_that_has_expired_is_refused_and_forgotten_and_others_of_its_user_are_not(user):
    old = AuthToken.objects.create(user=user, expiry=dt.timedelta(seconds=-1))[1]
    other = AuthToken.objects.create(user=user, expiry=dt.timedelta(hours=1))[1]
    assert Client().get(ASSETS, headers={"Authorization": f"Bearer {other}"}).status_code == 200
    response = Client().get(ASSETS, headers={"Authorization": f"Bearer {old}"})
    assert_problem(response, 401, "authentication-failed")
    assert [token.token_key for token in AuthToken.objects.all()] == [other[:15]]


def test_who_is_not_signed_in_is_refused_before_anything_is_stored():
    response = upload(Client())
    assert_problem(response, 401, "not-authenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert Asset.objects.count() == 0


def test_a_session_without_the_csrf_token_is_refused(user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert_problem(upload(client), 403, "permission-denied")
    assert Asset.objects.count() == 0


def test_a_page_uploads_with_its_session_and_csrf_token_and_hears_of_the_limit(user, settings):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    client.cookies["csrftoken"] = "a" * 32
    client.defaults["HTTP_X_CSRFTOKEN"] = "a" * 32
    assert upload(client).status_code == 201
    # Looking for the token Django reads the whole form, before any view does.
    settings.MAX_UPLOAD_BYTES = 100
    assert_problem(upload(client, picture(colour="blue")), 413, "too-many-bytes")


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"", "empty.jpg", 400, "empty"),
        (b"only words", "words.jpg", 415, "not-a-picture"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 100, "broken.jpg", 415, "not-a-picture"),
        (b"8BPS" + b"\x00" * 100, "layers.psd", 415, "unsupported-format"),
    ],
)
def test_what_cannot_be_an_asset_is_refused_at_the_door(api, content, name, status, code):
    assert_problem(upload(api, content, name), status, code)
    assert (Asset.objects.count(), TaggingJob.objects.count()) == (0, 0)


def test_too_many_pixels_by_the_header_are_refused(api, settings):
    settings.MAX_PIXELS = 3000
    assert_problem(upload(api), 422, "too-many-pixels")


def test_too_many_bytes_are_refused(api, settings):
    settings.MAX_UPLOAD_BYTES = len(picture()) - 1
    assert_problem(upload(api), 413, "too-many-bytes")
    settings.MAX_UPLOAD_BYTES = len(picture())
    assert upload(api).status_code == 201


def test_a_request_without_a_file_says_which_field_is_missing(api):
    body = assert_problem(api.post(ASSETS, {"bulk": "true"}), 400, "invalid")
    assert list(body["errors"]) == ["file"]
    assert body["detail"].startswith("file: ")
    assert_problem(api.post(ASSETS, {"file": "text"}), 400, "invalid")


def test_two_files_in_one_request_are_refused(api):
    files = [SimpleUploadedFile(f"{n}.jpg", picture()) for n in range(2)]
    assert_problem(api.post(ASSETS, {"file": files}), 400, "too-many-files")
    assert Asset.objects.count() == 0


def test_a_body_of_another_type_is_refused(api):
    assert_problem(api.post(ASSETS, b"{}", content_type="application/json"), 415, "unsupported-media-type")
    assert_problem(api.post(ASSETS, b"x", content_type="multipart/form-data"), 400, "parse-error")


def multipart(filename_header: bytes) -> bytes:
    head = b'--b0\r\nContent-Disposition: form-data; name="file"; ' + filename_header
    return head + b"\r\nContent-Type: image/jpeg\r\n\r\n" + picture() + b"\r\n--b0--\r\n"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (b'filename="../../etc/passwd.jpg"', "passwd.jpg"),
        (b'filename="C:\\\\fakepath\\\\cat.jpg"', "cat.jpg"),
        (b'filename="say %22cheese%22.jpg"', 'say "cheese".jpg'),
        (b'filename="say \\"cheese\\".jpg"', 'say "cheese".jpg'),
        ('filename="Grüße 🐈.jpg"'.encode(), "Grüße 🐈.jpg"),
        (b"filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%F0%9F%90%88.jpg", "Grüße 🐈.jpg"),
        (b'filename="' + b"x" * 300 + b'.jpg"', "x" * 251 + ".jpg"),
        (b'filename="100%.jpg"', "100%.jpg"),
        (b'filename=".jpg"', ".jpg"),
    ],
)
def test_a_name_is_kept_as_people_gave_it_and_made_harmless(api, header, kept):
    response = api.post(ASSETS, multipart(header), content_type="multipart/form-data; boundary=b0")
    assert response.status_code == 201
    assert response.json()["filename"] == kept


# ----------------------------------------------------------------- read


def test_a_search_answers_in_pages_with_notices(api):
    dog = TagFactory(name="dog")
    ids = [AssetFactory(tags=[dog]).pk for _ in range(3)]
    AssetFactory()
    first = api.get(ASSETS, {"q": "dog -tag:unicorn", "limit": 2}).json()
    assert [asset["id"] for asset in first["results"]] == [ids[2], ids[1]]
    assert first["notices"] == ["There is no tag “unicorn”."]
    assert first["previous"] is None
    second = api.get(ASSETS, {"q": "dog", "limit": 2, "cursor": first["next"]}).json()
    assert [asset["id"] for asset in second["results"]] == [ids[0]]
    assert second["next"] is None
    tag = second["results"][0]["tags"]
    assert tag == [{"slug": "dog", "name": "dog", "score": 0.9, "source": "model", "state": "accepted"}]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"q": "(dog"}, "bad-query"),
        ({"cursor": "x"}, "bad-cursor"),
        ({"sort": "beauty"}, "invalid"),
        ({"limit": 0}, "invalid"),
        ({"limit": "many"}, "invalid"),
    ],
)
def test_a_search_that_cannot_be_understood_is_refused(api, params, code):
    assert_problem(api.get(ASSETS, params), 400, code)


def test_a_bad_query_says_where(api):
    assert assert_problem(api.get(ASSETS, {"q": "dog (cat"}), 400, "bad-query")["column"] == 5


def test_a_picture_more_on_a_page_costs_no_query_of_its_own(api):
    dog = TagFactory(name="dog")

    def queries(pictures):
        for _ in range(pictures):
            AssetFactory(tags=[dog], renditions={"grid": {"key": "k"}})
        with CaptureQueriesContext(connection) as captured:
            assert len(api.get(ASSETS, {"q": "dog"}).json()["results"]) >= pictures
        return len(captured)

    queries(1)
    few = queries(3)
    # A walk to the page's rows may take a step more, and no row a statement of its own.
    assert queries(20) <= few + 2


@pytest.mark.parametrize(
    "path", ["999/", "999/file", "999/renditions/grid", "99999999999999999999999/", "x/", "1"]
)
def test_what_does_not_exist_is_not_found(api, path):
    assert_problem(api.get(ASSETS + path), 404, "not-found")


def test_the_original_is_downloaded_under_its_name(api):
    body = upload(api, name='Grüße "A".jpg').json()
    response = api.get(body["urls"]["file"])
    assert b"".join(response.streaming_content) == picture()
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%20%22A%22.jpg"
    )
    assert int(response.headers["Content-Length"]) == len(picture())
    etag = response.headers["ETag"]
    assert api.get(body["urls"]["file"] + "/", headers={"If-None-Match": etag}).status_code == 304


def test_an_original_whose_bytes_are_lost_is_told(api):
    asset = AssetFactory()
    assert_problem(api.get(f"{ASSETS}{asset.pk}/file"), 404, "missing-blob")


def with_rendition(api, data=b"small"):
    body = upload(api).json()
    asset = Asset.objects.get(pk=body["id"])
    (key,) = blob_store().put_renditions(asset.current_version.blob.key, {"grid.jpg": data}).values()
    asset.current_version.renditions = {
        "grid": {"key": key, "media_type": "image/jpeg", "width": 64, "height": 48}
    }
    asset.current_version.save()
    return api.get(body["urls"]["self"]).json()["urls"]


def test_a_rendition_is_kept_for_ever_under_the_address_that_names_its_bytes(api):
    urls = with_rendition(api)
    response = api.get(urls["grid"], headers={"Accept": "image/webp"})
    assert b"".join(response.streaming_content) == b"small"
    assert response.headers["Content-Type"] == "image/jpeg"
    assert "immutable" in response.headers["Cache-Control"]
    assert "private" in response.headers["Cache-Control"]
    same = api.get(urls["grid"], headers={"If-None-Match": response.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    bare = api.get(urls["grid"].partition("?")[0])
    bare.close()
    assert bare.headers["Cache-Control"] == "private, no-cache"


def test_a_rendition_that_nobody_made_yet_is_not_found(api):
    urls = with_rendition(api)
    assert urls["preview"] is None
    assert_problem(api.get(urls["grid"].replace("grid", "preview")), 404, "no-rendition")


# ---------------------------------------------------------------- decide


@pytest.fixture
def suggested(user):
    """An asset of the user's, with a suggested dog and a vocabulary that knows a cat."""
    asset = AssetFactory(uploaded_by=user)
    ClaimFactory(asset=asset, tag=TagFactory(name="dog", synonyms=["hound"]), score=0.8)
    TagFactory(name="cat")
    return asset


def decide(client, asset, tag, verdict):
    body = json.dumps({"tag": tag, "verdict": verdict})
    return client.post(f"{ASSETS}{asset.pk}/decisions/", body, content_type="application/json")


def states(body):
    return {tag["name"]: tag["state"] for tag in body["tags"] + body["rejected_tags"]}


def test_a_tag_is_accepted_rejected_added_and_forgotten(api, suggested):
    assert states(decide(api, suggested, "dog", "accepted").json()) == {"dog": "accepted"}
    assert states(decide(api, suggested, "hound", "rejected").json()) == {"dog": "rejected"}
    assert states(decide(api, suggested, "cat", "added").json()) == {"dog": "rejected", "cat": "accepted"}
    assert states(decide(api, suggested, "My holiday", "added").json())["My holiday"] == "accepted"
    assert Tag.objects.get(slug="my-holiday").kind == Tag.Kind.OWN
    assert api.get(ASSETS, {"q": "tag:my-holiday"}).json()["results"][0]["id"] == suggested.pk
    withdrawn = api.delete(f"{ASSETS}{suggested.pk}/decisions/my-holiday/")
    assert "My holiday" not in states(withdrawn.json())
    assert set(Decision.objects.values_list("decided_by__username", flat=True)) == {"ada"}


def test_staff_decides_on_everybodys_pictures_and_others_do_not(suggested):
    other, staff = Client(), Client()
    other.force_login(UserFactory())
    staff.force_login(StaffFactory())
    assert_problem(decide(other, suggested, "dog", "rejected"), 403, "permission-denied")
    assert_problem(other.delete(f"{ASSETS}{suggested.pk}/decisions/dog/"), 403, "permission-denied")
    assert Claim.objects.get().state == "suggested"
    assert decide(staff, suggested, "dog", "rejected").status_code == 200


@pytest.mark.parametrize(
    ("tag", "verdict", "code"),
    [
        ("unicorn", "accepted", "unknown-tag"),
        ("🦄", "added", "bad-tag"),
        ("dog", "maybe", "invalid"),
        ("", "accepted", "invalid"),
        ("x" * 101, "added", "invalid"),
    ],
)
def test_a_decision_that_means_nothing_is_refused(api, suggested, tag, verdict, code):
    assert_problem(decide(api, suggested, tag, verdict), 400, code)
    assert Decision.objects.count() == 0


def test_a_decision_that_is_no_json_is_refused(api, suggested):
    response = api.post(f"{ASSETS}{suggested.pk}/decisions/", b"{", content_type="application/json")
    assert_problem(response, 400, "parse-error")
    assert_problem(api.delete(f"{ASSETS}{suggested.pk}/decisions/unicorn/"), 404, "not-found")


def test_an_outage_of_the_blob_store_is_told_as_such(api, settings, monkeypatch):
    def down(*_):
        raise BlobStoreDownError("disk full at /secret/path")

    monkeypatch.setattr(type(blob_store()), "put", down)
    response = upload(api)
    body = assert_problem(response, 503, "unavailable")
    assert "secret" not in body["detail"]
    assert response.headers["Retry-After"]


def test_an_unforeseen_error_tells_nothing(api, monkeypatch):
    def broken(**_):
        raise RuntimeError("secret")

    monkeypatch.setattr("dam.api.assets.search_assets", broken)
    api.raise_request_exception = False
    body = assert_problem(api.get(ASSETS), 500, "internal-error")
    assert "secret" not in json.dumps(body)
