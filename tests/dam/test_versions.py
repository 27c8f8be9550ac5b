"""Replacing the file of a picture, and taking an earlier one back."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from PIL import Image

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, AssetVersion, Collection, Level
from dam.assets.services import asset_create
from dam.assets.trash import assets_trash
from dam.assets.versions import version_add, version_restore, versions_of
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make, result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.preprocess import RefusedPictureError
from tests.dam.factories import AssetFactory, UserFactory
from tests.dam.organising_scene import root, told, who
from tests.dam.tagging_scene import SURE, answer, picture, shown

__all__ = ["root"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(root: Collection) -> User:
    return who(Level.CONTRIBUTE, root, "anna")


@pytest.fixture
def harbour(anna: User) -> Asset:
    return asset_create(stream=picture(1), filename="harbour.png", user=anna).asset


def wide(width: int = 90) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (width, 48), (9, 9, 9)).save(stream, "JPEG")
    stream.seek(0)
    return stream


def test_a_new_file_becomes_the_picture_and_is_tagged_by_its_own_job(anna: User, harbour: Asset) -> None:
    version = version_add(asset=harbour, stream=wide(), filename="../retouched.jpg", user=anna)
    harbour.refresh_from_db()
    assert (harbour.current_version_id, version.number) == (version.pk, 2)
    assert (harbour.filename, harbour.media_type, harbour.width) == ("retouched.jpg", "image/jpeg", 90)
    assert harbour.size == version.blob.size
    job = TaggingJob.objects.get(asset_version=version)
    assert (job.generation, job.state, job.purpose, job.sha256) == (2, "queued", "live", version.blob.sha256)
    assert list(Asset.objects.filter(words="retouched")) == [harbour]
    assert told()[-1] == ("anna", "asset.replace", harbour.pk)
    assert ledger().agrees


@pytest.mark.usefixtures("words")
def test_what_people_decided_stays_and_the_answer_to_the_old_file_comes_too_late(
    anna: User, harbour: Asset
) -> None:
    beagle, espresso = Tag.objects.get(slug="beagle"), Tag.objects.get(slug="espresso")
    first = TaggingJob.objects.get()
    result_record(result=answer(first, SURE), words=vocabulary())
    decision_make(asset=harbour, tag=beagle, verdict=Decision.Verdict.REJECTED, user=anna)
    version_add(asset=harbour, stream=wide(), filename="b.jpg", user=anna)
    harbour.refresh_from_db()
    assert (harbour.state, ledger().agrees) == (Asset.State.PENDING, True)
    second = TaggingJob.objects.get(generation=2)
    result_record(result=answer(second, {"beagle": 0.9, "espresso": 0.8}), words=vocabulary())
    assert shown(harbour) == {"beagle": "rejected", "espresso": "suggested"}
    harbour.refresh_from_db()
    assert (harbour.state, espresso.pk in harbour.tag_ids, ledger().agrees) == ("tagged", True, True)


@pytest.mark.usefixtures("words")
def test_an_answer_to_the_file_before_tags_nothing(anna: User, harbour: Asset) -> None:
    first = TaggingJob.objects.get()
    version_add(asset=harbour, stream=wide(), filename="b.jpg", user=anna)
    result_record(result=answer(first, SURE), words=vocabulary())
    harbour.refresh_from_db()
    assert (harbour.state, shown(harbour), ledger().agrees) == (Asset.State.PENDING, {}, True)


def test_an_earlier_file_comes_back_as_the_newest(anna: User, harbour: Asset) -> None:
    AssetVersion.objects.filter(asset=harbour).update(placeholder="data:x", renditions={"grid": {"key": "k"}})
    version_add(asset=harbour, stream=wide(), filename="b.jpg", user=anna)
    back = version_restore(asset=harbour, number=1, user=anna)
    harbour.refresh_from_db()
    assert (back.number, harbour.filename, harbour.width) == (3, "harbour.png", 64)
    assert (back.placeholder, back.renditions) == ("data:x", {"grid": {"key": "k"}})
    assert [each.number for each in versions_of(asset=harbour, user=anna)] == [3, 2, 1]
    assert told()[-1] == ("anna", "asset.revert", harbour.pk)
    assert (TaggingJob.objects.filter(asset_version=back).count(), ledger().agrees) == (1, True)


def test_the_current_file_is_not_replaced_by_itself(anna: User, harbour: Asset) -> None:
    for act in (
        lambda: version_add(asset=harbour, stream=picture(1), filename="again.png", user=anna),
        lambda: version_restore(asset=harbour, number=1, user=anna),
    ):
        with pytest.raises(InvalidChangeError) as refused:
            act()
        assert refused.value.code == "same-bytes"
    with pytest.raises(AssetVersion.DoesNotExist):
        version_restore(asset=harbour, number=7, user=anna)
    assert AssetVersion.objects.count() == 1


def test_what_is_no_picture_replaces_nothing(anna: User, harbour: Asset) -> None:
    with pytest.raises(RefusedPictureError):
        version_add(asset=harbour, stream=io.BytesIO(b"words"), filename="b.jpg", user=anna)
    harbour.refresh_from_db()
    assert (harbour.filename, AssetVersion.objects.count()) == ("harbour.png", 1)


def test_when_it_was_taken_is_not_forgotten_with_a_file_that_does_not_say(root: Collection) -> None:
    asset = AssetFactory(taken_at="2020-05-05T12:00Z", camera="Canon EOS 5D")
    version_add(asset=asset, stream=wide(), filename="b.jpg", user=who(Level.CURATE, root))
    asset.refresh_from_db()
    assert (asset.taken_at.year, asset.camera) == (2020, "Canon EOS 5D")


def test_only_who_may_change_a_picture_replaces_its_file_and_sees_the_files_before(
    root: Collection, anna: User, harbour: Asset
) -> None:
    reader = who(Level.CONTRIBUTE, root)
    version_add(asset=harbour, stream=wide(), filename="b.jpg", user=anna)
    with pytest.raises(NotAllowedError):
        version_add(asset=harbour, stream=wide(70), filename="c.jpg", user=reader)
    with pytest.raises(NotAllowedError):
        version_restore(asset=harbour, number=1, user=reader)
    with pytest.raises(Asset.DoesNotExist):
        version_add(asset=harbour, stream=wide(70), filename="c.jpg", user=UserFactory())
    harbour.refresh_from_db()
    assert [each.number for each in versions_of(asset=harbour, user=reader)] == [2]
    assets_trash(asset_ids=[harbour.pk], user=anna)
    with pytest.raises(Asset.DoesNotExist):
        version_restore(asset=harbour, number=1, user=anna)
