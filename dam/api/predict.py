"""Tags for a picture that does not become an asset."""

from __future__ import annotations

import time
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.errors import ProblemError
from dam.api.problems import problems
from dam.api.serializers_tags import OpenPredictionSerializer, PredictionSerializer, PredictSerializer
from dam.jobs.models import TaggingJob
from dam.tagging.models import Tag
from dam.tagging.services import try_create

# The answer is a row that another process closes; looking costs less than a millisecond.
_LOOK_EVERY_S = 0.1

_ANSWERS: dict[Any, Any] = {
    200: PredictionSerializer,
    202: OpenApiResponse(OpenPredictionSerializer, description="Not answered yet; ask again at `Location`."),
}


class Predict(APIView):
    """Tries a picture."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="predict_start",
        summary="Tag a picture without keeping it",
        request={"multipart/form-data": PredictSerializer},
        responses={**_ANSWERS, **problems(400, 411, 413, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        """Waits for the answer as long as asked; picture and answer are forgotten after an hour."""
        form = PredictSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        file: UploadedFile[Any] = form.validated_data["file"]
        job = try_create(
            stream=file.file,  # type: ignore[arg-type]  # a BytesIO or a temporary file
            user=signed_in(request),
        )
        answer_awaited(job, seconds=form.validated_data["wait"])
        return _answer(job)


class PredictAnswer(APIView):
    """The answer of a try."""

    @extend_schema(
        operation_id="predict_get",
        summary="Ask for the answer again",
        responses={**_ANSWERS, **problems(404, 422)},
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Only for who asked, and for an hour."""
        job = TaggingJob.objects.filter(
            pk=job_id, purpose=TaggingJob.Purpose.TRY, requested_by=signed_in(request)
        ).first()
        if job is None:
            raise Http404
        return _answer(job)


def answer_awaited(job: TaggingJob, *, seconds: float) -> None:
    """Wait until a job is answered, and no longer than that; its answer is read into it."""
    deadline = time.monotonic() + seconds
    while job.is_open and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_LOOK_EVERY_S, left))
        job.refresh_from_db(fields=["state", "reason", "detail", "answer"])


def _answer(job: TaggingJob) -> Response:
    if job.is_open:
        location = reverse("api-predict-answer", args=[job.pk])
        return Response({"id": job.pk, "state": job.state}, status=202, headers={"Location": location})
    if job.state == TaggingJob.State.FAILED:
        raise ProblemError(422, job.reason, job.detail or "This picture cannot be tagged.", id=job.pk)
    answer: Any = job.answer
    claims = answer["tags"]
    tags = Tag.objects.in_bulk([claim["tag_id"] for claim in claims])
    body = {
        "id": job.pk,
        "tags": [
            {"slug": tags[claim["tag_id"]].slug, "name": tags[claim["tag_id"]].name, "score": claim["score"]}
            for claim in claims
        ],
        "model": answer["model"],
    }
    return Response(PredictionSerializer(body).data)
