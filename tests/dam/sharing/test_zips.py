"""Many pictures as one file: what lies in it, and that nothing of it waits in memory."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import timedelta
from zipfile import ZIP_STORED, ZipFile

import pytest
from django.utils import timezone

from dam.assets.models import Level
from dam.assets.storage import blob_store
from dam.sharing.files import PictureFile
from dam.sharing.models import ZipOrder
from dam.sharing.zips import ZipEntry, zip_chunks
from pipeline.ports import BlobMissingError, DependencyDownError
from tests.dam.factories import CollectionFactory, UserFactory

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def order(client, body):
    return client.post("/api/v1/downloads/zip/", body, content_type="application/json")


def unpacked(answer) -> ZipFile:
    archive = ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert archive.testzip() is None
    return archive


def rows(archive: ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig"))))


def test_a_zip_holds_the_originals_and_a_list(client, anna, allow, picture):
    allow(anna, Level.DOWNLOAD)
    one = picture("dawn.jpg", title="Dawn", licence="CC-BY-4.0", credit="Anna Berg")
    two = picture("dusk.png", title="=1+1")

    ordered = order(client, {"selection": {"ids": [two.pk, one.pk]}})

    assert ordered.status_code == 201, ordered.content
    assert (ordered.json()["files"], ordered.json()["left_out"]) == (2, 0)
    answer = client.get(ordered.json()["url"])
    assert answer.streaming
    assert answer.headers["Content-Type"] == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    archive = unpacked(answer)
    assert archive.namelist() == ["dusk.png", "dawn.jpg", "manifest.csv"]
    assert {found.compress_type for found in archive.infolist()} == {ZIP_STORED}
    assert archive.read("dawn.jpg") == blob_store().read(one.current_version.blob.key)
    second, first = rows(archive, "manifest.csv")
    assert (first["file"], first["id"], first["title"]) == ("dawn.jpg", str(one.pk), "Dawn")
    assert (first["licence"], first["credit"], first["width"]) == ("CC-BY-4.0", "Anna Berg", "64")
    # As text: a spreadsheet would run it.
    assert second["title"] == "'=1+1"


def test_names_are_made_different(client, anna, allow, picture):
    allow(anna, Level.DOWNLOAD)
    ids = [picture(name).pk for name in ("a.jpg", "a.jpg", "A.jpg", "a (2).jpg")]
    archive = unpacked(client.get(order(client, {"selection": {"ids": ids}}).json()["url"]))
    names = archive.namelist()
    assert names[0] == "a.jpg"
    assert len({name.casefold() for name in names}) == 5
    assert [row["file"] for row in rows(archive, "manifest.csv")] == names[:4]


def test_what_may_not_be_downloaded_is_left_out_and_named_and_what_is_not_seen_is_passed_over(
    client, anna, allow, picture
):
    view_only, hidden = CollectionFactory(), CollectionFactory()
    allow(anna, Level.DOWNLOAD)
    allow(anna, Level.VIEW, view_only)
    good = picture("good.jpg")
    expired = picture("old.jpg", expires_on=TODAY - timedelta(days=2))
    looked_at = picture("look.jpg", collection=view_only)
    unseen = picture("unseen.jpg", collection=hidden)
    ids = [asset.pk for asset in (unseen, expired, looked_at, good)]

    ordered = order(client, {"selection": {"ids": ids}}).json()

    assert (ordered["files"], ordered["left_out"]) == (1, 2)
    archive = unpacked(client.get(ordered["url"]))
    assert archive.namelist() == ["good.jpg", "manifest.csv", "left-out.csv"]
    left = {row["name"]: row["reason"] for row in rows(archive, "left-out.csv")}
    assert set(left) == {"old.jpg", "look.jpg"}
    assert "rights ended" in left["old.jpg"]
    assert "not download" in left["look.jpg"]


def test_a_right_that_goes_between_order_and_fetching_counts(client, anna, allow, picture):
    allow(anna, Level.DOWNLOAD)
    ordered = order(client, {"selection": {"ids": [picture("a.jpg").pk]}}).json()
    allow(anna, Level.VIEW)
    archive = unpacked(client.get(ordered["url"]))
    assert archive.namelist() == ["manifest.csv", "left-out.csv"]


def test_pictures_of_a_search_come_in_another_size(client, anna, allow, picture):
    allow(anna, Level.DOWNLOAD)
    for name in ("a.jpg", "b.jpg"):
        picture(name, size=(200, 100))
    left = picture("c.jpg")
    body = {"selection": {"query": "", "excluded": [left.pk], "sort": "name"}, "size": "100", "format": "png"}
    archive = unpacked(client.get(order(client, body).json()["url"]))
    assert archive.namelist() == ["a-100.png", "b-100.png", "manifest.csv"]


def test_only_who_ordered_a_zip_fetches_it_and_only_for_a_while(client, stranger, anna, allow, picture):
    allow(anna, Level.DOWNLOAD)
    body = {"selection": {"ids": [picture().pk]}}
    ordered = order(client, body).json()
    assert stranger.get(ordered["url"]).status_code == 401
    stranger.force_login(UserFactory())
    assert stranger.get(ordered["url"]).status_code == 404
    ZipOrder.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(ordered["url"]).status_code == 404
    order(client, body)
    assert ZipOrder.objects.count() == 1


@pytest.mark.parametrize("reason", ["nothing there", "only to look at"])
def test_nothing_is_ordered_where_nothing_may_be_downloaded(reason, client, anna, allow, picture):
    asset = picture()
    if reason == "only to look at":
        allow(anna, Level.VIEW)
    answer = order(client, {"selection": {"ids": [asset.pk]}})
    assert answer.status_code == 400
    assert answer.json()["code"] == ("unusable" if reason == "only to look at" else "empty")


def test_a_link_gives_all_as_a_zip_that_tells_only_what_was_chosen(stranger, anna, allow, picture, share_of):
    allow(anna, Level.DOWNLOAD)
    view_only = CollectionFactory()
    allow(anna, Level.VIEW, view_only)
    one = picture("secret.jpg", title="Dawn", licence="CC0")
    other = picture("other.jpg", title="Dusk", collection=view_only)
    share = share_of(one, other, may_download=True, title="For the paper", fields=["licence"])

    answer = stranger.get(f"/s/{share.key}/zip")

    assert 'filename="for-the-paper.zip"' in answer.headers["Content-Disposition"]
    archive = unpacked(answer)
    assert archive.namelist() == [f"picture-{one.pk}.jpg", "manifest.csv"]
    assert rows(archive, "manifest.csv") == [{"file": f"picture-{one.pk}.jpg", "licence": "CC0"}]


# ------------------------------------------------------------- while it is made


def entry(picture_of, name, opener) -> ZipEntry:
    return ZipEntry(picture_of, PictureFile(name, "image/jpeg", '"e"', "", opener))


def test_the_first_file_is_sent_before_the_last_is_opened_and_each_is_closed(picture):
    asset, streams = picture(), []

    def opener() -> io.BytesIO:
        streams.append(io.BytesIO(b"x" * 1000))
        return streams[-1]

    chunks = zip_chunks(entry(asset, f"{number}.jpg", opener) for number in range(10))
    sent = b""
    while b"x" * 1000 not in sent:
        sent += next(chunks)
    assert len(streams) == 1
    b"".join(chunks)
    assert len(streams) == 10
    assert all(stream.closed for stream in streams)


def test_who_leaves_in_the_middle_leaves_no_file_open(picture):
    streams = []

    def opener() -> io.BytesIO:
        streams.append(io.BytesIO(b"x" * 10_000_000))
        return streams[-1]

    chunks = zip_chunks([entry(picture(), "a.jpg", opener)])
    next(chunks)
    next(chunks)
    chunks.close()
    assert [stream.closed for stream in streams] == [True]


class Endless(io.RawIOBase):
    """So many bytes, made when they are read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        piece = bytes(min(size, self.left))
        self.left -= len(piece)
        return piece


def test_a_zip_of_hundreds_of_megabytes_takes_a_few_of_memory(picture):
    asset = picture()
    entries = (entry(asset, f"{number}.jpg", lambda: Endless(50_000_000)) for number in range(8))
    tracemalloc.start()
    try:
        total = sum(len(chunk) for chunk in zip_chunks(entries))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > 400_000_000
    assert peak < 8_000_000


def test_a_lost_file_is_named_and_a_store_that_stops_ends_the_zip_with_an_error(picture):
    def lost() -> io.BytesIO:
        raise BlobMissingError("key")

    def down() -> io.BytesIO:
        raise DependencyDownError("gone")

    asset = picture("a.jpg")
    archive = ZipFile(io.BytesIO(b"".join(zip_chunks([entry(asset, "a.jpg", lost)]))))
    assert rows(archive, "left-out.csv")[0]["reason"] == "Its bytes are missing from the store."
    with pytest.raises(DependencyDownError):
        b"".join(zip_chunks([entry(asset, "a.jpg", down)]))
