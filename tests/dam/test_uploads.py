"""An upload becomes bytes, an asset and a job; or it is refused and leaves nothing behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from PIL import Image

from dam.assets.errors import NotAllowedError
from dam.assets.models import Asset, AssetVersion, Blob, Collection, Grant, Level
from dam.assets.naming import clean_filename, sort_key
from dam.assets.services import asset_create, asset_request_tags, root_collection
from dam.assets.storage import blob_store
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from pipeline.preprocess import RefusedPictureError
from tests.dam.factories import GrantFactory
from tests.dam.organising_scene import below, told


def jpeg(colour: tuple[int, int, int] = (200, 30, 30)) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(stream, "JPEG")
    stream.seek(0)
    return stream


@pytest.fixture
def uploader(db: None) -> User:
    return User.objects.create_user("uploader")


def test_an_upload_makes_one_asset_in_the_library_with_one_queued_job(uploader: User) -> None:
    upload = asset_create(stream=jpeg(), filename="red.jpg", user=uploader)
    asset = Asset.objects.get()
    assert (upload.created, upload.asset.pk) == (True, asset.pk)
    assert (asset.state, asset.width, asset.height, asset.collection.name) == ("pending", 64, 48, "Library")
    job = TaggingJob.objects.get()
    assert (job.asset_id, job.generation, job.state, job.purpose) == (asset.pk, 1, "queued", "live")
    assert blob_store().read(job.blob_key) == jpeg().read()


def test_the_same_bytes_again_are_answered_with_the_existing_asset(uploader: User) -> None:
    first = asset_create(stream=jpeg(), filename="red.jpg", user=uploader)
    again = asset_create(stream=jpeg(), filename="copy.jpg", user=uploader)
    assert (again.created, again.asset.pk) == (False, first.asset.pk)
    assert (Asset.objects.count(), Blob.objects.count(), TaggingJob.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_same_bytes_uploaded_by_many_at_once_make_one_asset() -> None:
    user = User.objects.create_user("many")
    start = threading.Barrier(6)
    answers: list[bool] = []

    def upload() -> None:
        start.wait()
        try:
            answers.append(asset_create(stream=jpeg(), filename="red.jpg", user=user).created)
        finally:
            connection.close()

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 5 + [True]
    assert (Asset.objects.count(), Blob.objects.count(), Collection.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("content", [b"", b"just words", b"\xff\xd8\xff\xe0 but no picture"])
def test_what_is_no_picture_leaves_nothing_behind(uploader: User, content: bytes) -> None:
    with pytest.raises(RefusedPictureError):
        asset_create(stream=io.BytesIO(content), filename="a.jpg", user=uploader)
    assert (Asset.objects.count(), Blob.objects.count(), TaggingJob.objects.count()) == (0, 0, 0)


def test_a_failed_transaction_leaves_no_asset_without_a_job(
    uploader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(**_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("dam.assets.services.job_enqueue", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        asset_create(stream=jpeg(), filename="red.jpg", user=uploader)
    assert Asset.objects.count() == 0
    assert ledger().agrees


@pytest.mark.parametrize(
    ("original", "offset"), [("2024:07:01 00:30:00", "+02:00"), ("0001:01:01 00:00:00", "+23:59")]
)
def test_a_date_is_kept_as_the_cameras_clock_showed_it(uploader: User, original: str, offset: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "M" * 100, "X" * 150
    exif.get_ifd(0x8769)[0x9003], exif.get_ifd(0x8769)[0x9011] = original, offset
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=exif)
    stream.seek(0)
    asset_create(stream=stream, filename="odd.jpg", user=uploader)
    asset = Asset.objects.get()
    assert asset.taken_at is None or asset.taken_at.strftime("%Y:%m:%d %H:%M:%S").endswith(original[5:])
    assert len(asset.camera) <= 200


def test_bytes_that_were_missing_are_tagged_when_they_come_again(uploader: User) -> None:
    asset = asset_create(stream=jpeg(), filename="red.jpg", user=uploader).asset
    Asset.objects.filter(pk=asset.pk).update(state="failed", reason="missing-blob")
    TaggingJob.objects.update(state="failed", reason="missing-blob", closed_at=timezone.now())
    blob_store().delete(TaggingJob.objects.get().blob_key)
    again = asset_create(stream=jpeg(), filename="red.jpg", user=uploader)
    assert (again.created, again.asset.state) == (False, "pending")
    assert TaggingJob.objects.filter(state="queued").count() == 1
    assert blob_store().read(TaggingJob.objects.first().blob_key) == jpeg().read()
    assert ledger().agrees


def test_asking_for_tags_again_issues_the_next_generation(uploader: User) -> None:
    asset = asset_create(stream=jpeg(), filename="red.jpg", user=uploader).asset
    job = asset_request_tags(asset=asset)
    assert job.generation == 2
    assert Asset.objects.get().generation == 2


def test_the_ledger_sees_a_pending_asset_that_nobody_will_tag(uploader: User) -> None:
    asset_create(stream=jpeg(), filename="red.jpg", user=uploader)
    assert ledger().agrees
    TaggingJob.objects.all().delete()
    assert not ledger().agrees
    assert ledger().forgotten == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("C:\\Users\\me\\Desktop\\cat.jpg", "cat.jpg"),
        ('it\'s "quoted" 🐈.png', 'it\'s "quoted" 🐈.png'),
        ("a\x00b\nc.jpg", "abc.jpg"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
    ],
)
def test_a_file_name_is_made_harmless_and_kept_as_far_as_possible(given: str, kept: str) -> None:
    assert clean_filename(given) == kept


def test_names_sort_as_people_count() -> None:
    ordered: Callable[[list[str]], list[str]] = lambda names: sorted(names, key=sort_key)  # noqa: E731
    assert ordered(["IMG_10.jpg", "img_9.jpg", "Apple.jpg", "ähre.jpg"]) == [
        "ähre.jpg",
        "Apple.jpg",
        "img_9.jpg",
        "IMG_10.jpg",
    ]


# -------------------------------------------------------------- where it lives


def test_an_upload_lives_where_it_is_put_and_has_the_licence_of_the_nearest_collection(
    uploader: User,
) -> None:
    press = below(root_collection(), "Press", default_licence="CC-BY-4.0")
    year = below(press, "2024")
    upload = asset_create(stream=jpeg(), filename="a.jpg", user=uploader, collection=year)
    beside = asset_create(stream=jpeg((1, 2, 3)), filename="b.jpg", user=uploader)
    assert (upload.asset.collection, upload.asset.licence) == (year, "CC-BY-4.0")
    assert (beside.asset.collection.name, beside.asset.licence) == ("Library", "")
    assert told() == [
        ("uploader", "asset.create", upload.asset.pk),
        ("uploader", "asset.create", beside.asset.pk),
    ]


def test_the_same_bytes_are_answered_with_the_picture_of_that_collection_first(uploader: User) -> None:
    press = below(root_collection(), "Press")
    other = User.objects.create_user("other")
    first = asset_create(stream=jpeg(), filename="a.jpg", user=other).asset
    second = asset_create(stream=jpeg((1, 2, 3)), filename="b.jpg", user=other, collection=press).asset
    AssetVersion.objects.filter(asset=second).update(blob=first.current_version.blob)
    for place, found in ((press, second), (None, first)):
        again = asset_create(stream=jpeg(), filename="c.jpg", user=uploader, collection=place)
        assert (again.created, again.asset) == (False, found)


def test_who_may_not_contribute_uploads_nothing(uploader: User) -> None:
    root = root_collection()
    press, hidden = below(root, "Press"), below(root, "Hidden")
    Grant.objects.all().delete()
    GrantFactory(collection=press, user=uploader, level=Level.DOWNLOAD)
    for place, refusal in (
        (press, NotAllowedError),
        (hidden, Collection.DoesNotExist),
        (root, Collection.DoesNotExist),
        (None, NotAllowedError),
    ):
        with pytest.raises(refusal):
            asset_create(stream=jpeg(), filename="a.jpg", user=uploader, collection=place)
    assert (Asset.objects.count(), Blob.objects.count(), told()) == (0, 0, [])
