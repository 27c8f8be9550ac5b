"""Similar pictures by an example that somebody shows: tried by a worker, kept for an hour, never an asset.

``dam.tagging.services.try_create`` issues the job; its answer keeps the embedding that is searched by here.
"""

from __future__ import annotations

import base64

from django.contrib.auth.models import AnonymousUser, User
from pgvector import HalfVector

from dam.jobs.models import TaggingJob
from dam.search.similar import similar_to


class ExampleOpenError(Exception):
    """No worker has answered yet; ask again."""


class ExampleFailedError(Exception):
    """Nothing can be found by this example; with a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """A stable word for programs."""
        self.detail = detail


def try_of(*, user: User | AnonymousUser, job_id: int) -> TaggingJob:
    """The job of a picture that this person tried.

    Raises:
        TaggingJob.DoesNotExist: there is none, it is forgotten, or somebody else's.
    """
    if not user.is_authenticated:
        raise TaggingJob.DoesNotExist
    return TaggingJob.objects.get(pk=job_id, purpose=TaggingJob.Purpose.TRY, requested_by=user.pk)


def similar_to_try(*, user: User | AnonymousUser, job_id: int, limit: int = 60) -> list[tuple[int, float]]:
    """What looks like a picture that this person tried, of what they may see, the most similar first.

    Args:
        user: who tried it; nobody else finds by it.
        job_id: of the try.
        limit: how many at most.

    Returns:
        Ids of assets with their similarity, the cosine of the embeddings, from -1 to 1.

    Raises:
        TaggingJob.DoesNotExist: there is none, it is forgotten, or somebody else's.
        ExampleOpenError: it is not answered yet.
        ExampleFailedError: it was no picture that can be tagged, or its answer has no embedding.
    """
    job = try_of(user=user, job_id=job_id)
    if job.is_open:
        raise ExampleOpenError
    if job.state == TaggingJob.State.FAILED:
        raise ExampleFailedError(job.reason, job.detail or "This picture cannot be read.")
    answer = job.answer or {}
    embedding, model = answer.get("embedding"), answer.get("model")
    if not embedding or not model:
        raise ExampleFailedError("no-embedding", "The model tells nothing to find others by.")
    return similar_to(
        user=user,
        embedding=HalfVector.from_binary(base64.b64decode(embedding)),
        embedding_id=model["embedding_id"],
        limit=limit,
    )
