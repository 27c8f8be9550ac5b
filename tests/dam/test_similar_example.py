"""Similar pictures by an example that somebody shows and that becomes no asset."""

from __future__ import annotations

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser, User

from dam.assets.models import Asset, Collection, Grant, Level
from dam.jobs.models import TaggingJob
from dam.search.example import ExampleFailedError, ExampleOpenError, similar_to_try
from dam.tagging.models import Likeness
from dam.tagging.services import Recorded, result_record, tries_sweep, try_create
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import encode_embedding
from tests.dam.factories import AssetFactory, UserFactory
from tests.dam.tagging_scene import SURE, answer, failure, picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("words")]


def towards(cosine: float) -> np.ndarray:
    """A unit vector that has this cosine with the first axis."""
    vector = np.zeros(320, dtype=np.float32)
    vector[:2] = cosine, (1 - cosine**2) ** 0.5
    return vector


def asset_like(cosine: float, *, space: str = "e", **facts: object) -> Asset:
    asset: Asset = AssetFactory(**facts)
    Likeness.objects.create(asset=asset, embedding=towards(cosine), embedding_id=space)
    return asset


@pytest.fixture
def job(person: User) -> TaggingJob:
    return try_create(stream=picture(3), user=person)


@pytest.fixture
def tried(job: TaggingJob) -> TaggingJob:
    """The try, answered by the model of space “e”, in the direction of the first axis."""
    embedding = encode_embedding(towards(1))
    result = answer(job, SURE).model_copy(update={"embedding_f32": embedding})
    assert result_record(result=result, words=vocabulary()) is Recorded.ANSWERED
    return job


def test_the_most_similar_come_first_with_their_similarity(tried: TaggingJob, person: User) -> None:
    far, near, nearer = (asset_like(cosine) for cosine in (0.1, 0.8, 0.95))

    found = similar_to_try(user=person, job_id=tried.pk, limit=2)

    assert [asset_id for asset_id, _ in found] == [nearer.pk, near.pk]
    assert [similarity for _, similarity in found] == pytest.approx([0.95, 0.8], abs=0.01)
    assert len(similar_to_try(user=person, job_id=tried.pk)) == 3
    assert far.pk == similar_to_try(user=person, job_id=tried.pk)[-1][0]


def test_only_what_the_person_may_see_is_found(tried: TaggingJob, person: User) -> None:
    hidden: Collection = Collection.objects.add_root(create_kwargs={"name": "Vault"})
    secret = asset_like(1, collection=hidden)
    asset_like(0.9, trashed_at="2026-01-01T00:00:00Z")
    shown = asset_like(0.5)

    assert [pk for pk, _ in similar_to_try(user=person, job_id=tried.pk)] == [shown.pk]

    Grant.objects.create(collection=hidden, user=person, level=Level.VIEW)
    assert [pk for pk, _ in similar_to_try(user=person, job_id=tried.pk)] == [secret.pk, shown.pk]


def test_embeddings_of_another_model_are_not_compared(tried: TaggingJob, person: User) -> None:
    asset_like(1, space="f")

    assert similar_to_try(user=person, job_id=tried.pk) == []


def test_the_example_itself_becomes_no_picture_of_the_library(tried: TaggingJob) -> None:
    assert not Asset.objects.exists()
    assert not Likeness.objects.exists()


@pytest.mark.parametrize("who", ["another", "nobody"])
def test_a_try_is_its_makers_alone(tried: TaggingJob, who: str) -> None:
    user = UserFactory() if who == "another" else AnonymousUser()

    with pytest.raises(TaggingJob.DoesNotExist):
        similar_to_try(user=user, job_id=tried.pk)


def test_a_job_that_is_no_try_is_none(person: User, asset: Asset) -> None:
    live = TaggingJob.objects.get(asset=asset)

    with pytest.raises(TaggingJob.DoesNotExist):
        similar_to_try(user=person, job_id=live.pk)


def test_a_try_that_is_not_answered_yet_is_asked_for_again(job: TaggingJob, person: User) -> None:
    with pytest.raises(ExampleOpenError):
        similar_to_try(user=person, job_id=job.pk)


def test_a_try_that_failed_says_why(job: TaggingJob, person: User) -> None:
    result_record(result=failure(job), words=vocabulary())

    with pytest.raises(ExampleFailedError) as failed:
        similar_to_try(user=person, job_id=job.pk)
    assert (failed.value.reason, failed.value.detail) == ("corrupt", "The file ends too early.")


def test_an_answer_of_before_there_were_embeddings_says_so(tried: TaggingJob, person: User) -> None:
    kept = TaggingJob.objects.get(pk=tried.pk).answer
    del kept["embedding"]
    TaggingJob.objects.update(answer=kept)

    with pytest.raises(ExampleFailedError, match="tells nothing"):
        similar_to_try(user=person, job_id=tried.pk)


def test_a_forgotten_try_is_gone(tried: TaggingJob, person: User) -> None:
    TaggingJob.objects.update(created_at="2026-01-01T00:00:00Z")
    tries_sweep()

    with pytest.raises(TaggingJob.DoesNotExist):
        similar_to_try(user=person, job_id=tried.pk)
