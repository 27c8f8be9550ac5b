"""The Python client against a running server, as a program elsewhere uses it."""

from __future__ import annotations

import io
import threading
import zipfile
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from knox.models import AuthToken
from PIL import Image

from dam.assets.models import Asset, Grant, Level
from dam.assets.services import root_collection
from tests.dam.factories import AssetFactory, CollectionFactory, TagFactory, UserFactory
from tests.dam.library_browser.scene import answer
from vitrine_client import (
    ChangedMeanwhileError,
    Client,
    ConnectionFailedError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
    NotTaggedInTimeError,
    RefusedPictureError,
    UnavailableError,
    UnexpectedAnswerError,
)

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def picture(colour):
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def ada(live_server):
    return UserFactory(username="ada")


@pytest.fixture
def place(ada):
    Grant.objects.filter(collection=root_collection()).delete()
    made = CollectionFactory(name="Press")
    Grant.objects.create(collection=made, user=ada, level=Level.MANAGE)
    return made


@pytest.fixture
def vitrine(live_server, ada, place):
    with Client(live_server.url, AuthToken.objects.create(user=ada)[1]) as client:
        yield client


def test_a_picture_is_uploaded_tagged_found_edited_and_fetched(vitrine, place, tmp_path):
    TagFactory(name="dog")
    (tmp_path / "walk.png").write_bytes(picture("red"))
    upload = vitrine.assets.upload(tmp_path / "walk.png", collection=place.pk)
    assert (upload.created, upload.asset.filename, upload.asset.collection.name) == (
        True,
        "walk.png",
        "Press",
    )
    again = vitrine.assets.upload(io.BytesIO(picture("red")), filename="copy.png", collection=place.pk)
    assert (again.created, again.asset.id) == (False, upload.asset.id)
    with pytest.raises(NotTaggedInTimeError):
        vitrine.assets.wait_for_tags(upload.asset, timeout=0)
    answer(Asset.objects.get(), dog=0.9)
    tagged = vitrine.assets.wait_for_tags(upload.asset)
    assert [tag.name for tag in tagged.tags] == ["dog"]
    edited = vitrine.assets.edit(tagged, title="A walk", expires_on=date(2999, 1, 31))
    assert (edited.title, edited.expires_on) == ("A walk", date(2999, 1, 31))
    with pytest.raises(ChangedMeanwhileError):
        vitrine.assets.edit(tagged, title="Another")
    (found,) = vitrine.assets.search("dog")
    assert (found.title, found.matched[0].kind) == ("A walk", "tag")
    assert vitrine.assets.facets("dog").total.value == 1
    saved = vitrine.assets.download(edited, tmp_path / "saved.png")
    assert saved.read_bytes() == picture("red")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert vitrine.assets.download(edited, folder) == folder / "walk.png"
    packed = vitrine.assets.zip(tmp_path / "all.zip", query="dog")
    with zipfile.ZipFile(packed) as archive:
        assert archive.read("walk.png") == picture("red")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip", "folder", "saved.png", "walk.png"]


def test_a_search_is_read_to_its_end_whatever_its_pages(vitrine, place):
    made = [AssetFactory(collection=place).pk for _ in range(7)]
    assert [asset.id for asset in vitrine.assets.search(sort="oldest", page_size=3)] == made
    page = vitrine.assets.page(limit=3)
    assert ([asset.id for asset in page.results], page.previous) == ([*reversed(made)][:3], None)


def test_collections_albums_searches_shares_and_the_trash_are_kept_in_order(vitrine, place):
    pictures = [AssetFactory(collection=place).pk for _ in range(3)]
    below = vitrine.collections.create("Fairs", parent=place.pk)
    vitrine.collections.edit(below, description="Stands")
    with pytest.raises(ChangedMeanwhileError):
        vitrine.collections.edit(below, description="Other")
    assert [(one.name, one.depth) for one in vitrine.collections.list()] == [("Press", 0), ("Fairs", 1)]
    grant = vitrine.collections.grant(below, "view")
    assert {one.level for one in vitrine.collections.grants(below)} == {"view", "manage"}
    vitrine.collections.revoke(below, grant)
    assert vitrine.assets.bulk("move", assets=pictures[:2], collection=below.id).changed == 2
    assert vitrine.assets.bulk("edit", query=f"collection:{below.id}", fields={"credit": "Ada"}).changed == 2
    album = vitrine.albums.create("Best", assets=pictures[:1])
    assert vitrine.albums.add(album, pictures) == 2
    vitrine.albums.remove(album, pictures[0])
    assert [asset.id for asset in vitrine.albums.assets(album)] == pictures[1:]
    search = vitrine.searches.save("Mine", "owner:me")
    search = vitrine.searches.edit(search, shared=True)
    assert search.shared
    share = vitrine.shares.create(album=album, title="For you", may_download=True)
    assert share.url.startswith("http")
    vitrine.shares.revoke(share)
    assert [one.state for one in vitrine.shares.list()] == ["revoked"]
    vitrine.assets.trash(pictures[0])
    assert [asset.id for asset in vitrine.trash.list()] == [pictures[0]]
    assert vitrine.trash.restore([pictures[0]]).changed == 1
    assert {entry.action for entry in vitrine.history(object_type="asset")} >= {"asset.trash", "asset.move"}
    vitrine.searches.delete(search)
    vitrine.albums.delete(album)
    assert list(vitrine.albums.list()) == []


def test_what_the_server_refuses_comes_as_an_exception_with_its_facts(vitrine, live_server, ada, place):
    with pytest.raises(InvalidError) as refused:
        list(vitrine.assets.search("(dog"))
    assert (refused.value.code, refused.value.column is not None) == ("bad-query", True)
    with pytest.raises(InvalidError) as wrong:
        vitrine.albums.create("")
    assert list(wrong.value.errors) == ["name"]
    with pytest.raises(NotFoundError):
        vitrine.assets.get(10**9)
    with pytest.raises(RefusedPictureError) as words:
        vitrine.assets.upload(io.BytesIO(b"words"), filename="a.png", collection=place.pk)
    assert words.value.code == "not-a-picture"
    Grant.objects.filter(user=ada).update(level=Level.VIEW)
    with pytest.raises(NotAllowedError):
        vitrine.assets.edit(AssetFactory(collection=place).pk, title="x")
    with Client(live_server.url, "no-token") as stranger, pytest.raises(NotSignedInError):
        stranger.me()
    with pytest.raises(ValueError, match="http"):
        Client("pictures.example.org", "token")
    assert vitrine.me().username == "ada"
    assert vitrine.licences()["CC0-1.0"]


class _Flaky(BaseHTTPRequestHandler):
    answers: list[tuple[int, bytes]] = []  # noqa: RUF012  # of one test

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self):
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def flaky():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Flaky)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with Client(f"http://127.0.0.1:{server.server_port}", "token", retries=2) as client:
        yield client
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_question_is_asked_again_and_a_change_is_not(flaky):
    _Flaky.answers = [(503, b"{}"), (502, b""), (200, b'{"results": [{"id": "CC0-1.0", "name": "CC0"}]}')]
    assert flaky.licences() == {"CC0-1.0": "CC0"}
    _Flaky.answers = [(503, b"{}")] * 3
    with pytest.raises(UnavailableError):
        flaky.licences()
    _Flaky.answers = [(503, b"{}"), (201, b"{}")]
    with pytest.raises(UnavailableError):
        flaky.albums.create("Best")
    assert len(_Flaky.answers) == 1


def test_an_answer_of_something_else_is_told_as_such(flaky):
    _Flaky.answers = [(200, b"<html>"), (200, b'{"id": 1}')]
    with pytest.raises(UnexpectedAnswerError):
        flaky.me()
    with pytest.raises(UnexpectedAnswerError, match="Me"):
        flaky.me()


def test_a_server_that_is_not_there_is_told_as_such():
    with Client("http://127.0.0.1:1", "token", retries=0) as client, pytest.raises(ConnectionFailedError):
        client.me()
