"""What an answer leaves of the looks of its picture, and what becomes of them later."""

from __future__ import annotations

import numpy as np
import pytest
from django.contrib.auth.models import User

from dam.assets.models import Asset, Blob
from dam.assets.services import asset_request_tags
from dam.assets.versions import version_add
from dam.jobs.models import TaggingJob
from dam.tagging.claims import claims_derive_all
from dam.tagging.models import Likeness, ModelVersion, Prediction
from dam.tagging.services import Answer, Recorded, answers_record, result_record
from dam.tagging.undo import version_reinstate, version_withdraw, versions_follow
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import PictureFacts, TagResult, encode_embedding
from tests.dam.tagging_scene import MODEL, SURE, answer, failure, picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]

FINGERPRINT = -0x0123_4567_89AB_CDEF


def looking(
    job: TaggingJob,
    *,
    fingerprint: int | None = FINGERPRINT,
    colours: tuple[str, ...] = ("blue", "white"),
    direction: int = 0,
    version: int = 1,
    space: str = "e",
) -> TagResult:
    """An answer with looks; ``direction``: the axis that its embedding lies on."""
    vector = np.zeros(320, dtype=np.float32)
    vector[direction] = 1
    facts = PictureFacts(width=64, height=48, fingerprint=fingerprint, colours=colours)
    return answer(job, SURE).model_copy(
        update={
            "picture": facts,
            "embedding_f32": encode_embedding(vector),
            "model": MODEL.model_copy(update={"version": version, "embedding_id": space}),
        }
    )


def record(result: TagResult) -> Recorded:
    return result_record(result=result, words=vocabulary())


def newest_job(asset: Asset) -> TaggingJob:
    return TaggingJob.objects.filter(asset=asset).latest("generation")


def axis(likeness: Likeness) -> int:
    return int(np.argmax(likeness.embedding))


def test_an_answer_leaves_embedding_fingerprint_and_colours(asset: Asset) -> None:
    record(looking(newest_job(asset), direction=7))

    likeness = Likeness.objects.get(asset=asset)
    assert (likeness.embedding_id, axis(likeness), likeness.fingerprint) == ("e", 7, FINGERPRINT)
    assert likeness.paired_at is None
    unsigned = FINGERPRINT & (2**64 - 1)
    assert sum((band & 0xFFFF) << 16 * (band >> 16) for band in likeness.bands) == unsigned
    asset.refresh_from_db()
    assert asset.colours == ["blue", "white"]


def test_answers_of_a_batch_each_leave_their_own(asset: Asset, upload) -> None:
    other = upload()
    results = [
        looking(newest_job(asset), direction=1),
        looking(newest_job(other), direction=2, fingerprint=5),
    ]

    answers_record(answers=[Answer.of(result) for result in results], words=vocabulary())

    found = {one.asset_id: (axis(one), one.fingerprint) for one in Likeness.objects.all()}
    assert found == {asset.pk: (1, FINGERPRINT), other.pk: (2, 5)}


def test_a_picture_too_plain_for_a_fingerprint_has_none(asset: Asset) -> None:
    record(looking(newest_job(asset), fingerprint=None))

    likeness = Likeness.objects.get(asset=asset)
    assert (likeness.fingerprint, likeness.bands) == (None, [])
    assert likeness.embedding is not None


def test_an_answer_of_a_worker_that_makes_no_looks_leaves_those_there_are(asset: Asset) -> None:
    record(looking(newest_job(asset), direction=1))
    asset_request_tags(asset=asset)

    record(looking(newest_job(asset), direction=2, fingerprint=None, colours=()))

    likeness = Likeness.objects.get(asset=asset)
    assert (axis(likeness), likeness.fingerprint) == (2, FINGERPRINT)
    asset.refresh_from_db()
    assert asset.colours == ["blue", "white"]


def test_tagged_again_a_picture_is_compared_again_only_if_it_looks_different(asset: Asset) -> None:
    record(looking(newest_job(asset)))
    Likeness.objects.update(paired_at=asset.created_at)

    asset_request_tags(asset=asset)
    record(looking(newest_job(asset), direction=3))
    assert Likeness.objects.get().paired_at == asset.created_at

    asset_request_tags(asset=asset)
    record(looking(newest_job(asset), direction=3, fingerprint=1))
    assert Likeness.objects.get().paired_at is None


def test_answers_that_nobody_sees_leave_nothing(asset: Asset) -> None:
    record(looking(newest_job(asset), direction=1))
    asset_request_tags(asset=asset, purpose=TaggingJob.Purpose.SHADOW)

    record(looking(newest_job(asset), direction=2, fingerprint=1, colours=("red",)))

    likeness = Likeness.objects.get()
    assert (axis(likeness), likeness.fingerprint) == (1, FINGERPRINT)
    asset.refresh_from_db()
    assert asset.colours == ["blue", "white"]


def test_the_embedding_follows_the_answer_that_counts_when_a_version_is_undone(asset: Asset) -> None:
    record(looking(newest_job(asset), direction=1))
    asset_request_tags(asset=asset)
    record(looking(newest_job(asset), direction=2, version=2, space="f"))
    second = ModelVersion.objects.get(version=2)

    version_withdraw(version=second)
    versions_follow()
    likeness = Likeness.objects.get()
    assert (likeness.embedding_id, axis(likeness), likeness.fingerprint) == ("e", 1, FINGERPRINT)

    version_reinstate(version=second)
    versions_follow()
    likeness = Likeness.objects.get()
    assert (likeness.embedding_id, axis(likeness)) == ("f", 2)


def test_without_any_answer_that_counts_there_is_no_embedding_and_the_fingerprint_stays(asset: Asset) -> None:
    record(looking(newest_job(asset)))

    version_withdraw(version=ModelVersion.objects.get())
    versions_follow()

    likeness = Likeness.objects.get()
    assert (likeness.embedding, likeness.embedding_id) == (None, "")
    assert likeness.fingerprint == FINGERPRINT


def test_deriving_again_gives_an_embedding_to_what_was_tagged_before_there_were_looks(asset: Asset) -> None:
    record(looking(newest_job(asset), direction=4))
    Likeness.objects.all().delete()

    claims_derive_all()

    likeness = Likeness.objects.get(asset=asset)
    assert (axis(likeness), likeness.fingerprint, likeness.bands) == (4, None, [])


def test_a_rounding_difference_rewrites_nothing(asset: Asset) -> None:
    record(looking(newest_job(asset)))
    stored = Likeness.objects.get().embedding
    Prediction.objects.update(embedding=np.eye(1, 320)[0] + 0.0005)

    claims_derive_all()

    assert Likeness.objects.get().embedding == stored


def test_a_new_file_has_its_own_looks_once_it_is_answered(asset: Asset, person: User) -> None:
    record(looking(newest_job(asset), direction=1))

    version_add(asset=asset, stream=picture(200), filename="b.png", user=person)
    record(looking(newest_job(asset), direction=2, fingerprint=77, colours=("red",)))

    likeness = Likeness.objects.get()
    assert (axis(likeness), likeness.fingerprint) == (2, 77)
    asset.refresh_from_db()
    assert asset.colours == ["red"]


def test_a_late_answer_for_the_file_before_changes_no_looks(asset: Asset, person: User) -> None:
    late = newest_job(asset)
    version_add(asset=asset, stream=picture(200), filename="b.png", user=person)

    record(looking(late))

    assert not Likeness.objects.exists()


def test_a_new_file_that_cannot_be_read_takes_the_looks_of_the_one_before(asset: Asset, person: User) -> None:
    record(looking(newest_job(asset)))
    version_add(asset=asset, stream=picture(200), filename="b.png", user=person)

    record(failure(newest_job(asset)))

    assert not Likeness.objects.exists()
    asset.refresh_from_db()
    assert (asset.state, asset.colours) == (Asset.State.FAILED, [])


def test_a_failure_later_on_leaves_the_looks_with_the_tags(asset: Asset) -> None:
    record(looking(newest_job(asset)))
    asset_request_tags(asset=asset)

    record(failure(newest_job(asset)))

    assert Likeness.objects.get().fingerprint == FINGERPRINT
    asset.refresh_from_db()
    assert asset.colours == ["blue", "white"]


def test_looks_go_with_their_picture(asset: Asset) -> None:
    record(looking(newest_job(asset)))
    asset.current_version = None
    asset.save()

    asset.delete()

    assert not Likeness.objects.exists()
    assert Blob.objects.exists()
