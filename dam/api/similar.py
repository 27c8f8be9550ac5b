"""Pictures that look alike: like an asset, or like an example that is not kept."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import assets_json
from dam.api.assets import signed_in
from dam.api.errors import ProblemError
from dam.api.pages import asked_of
from dam.api.predict import answer_awaited
from dam.api.problems import problems
from dam.api.serializers_search import (
    ExampleSerializer,
    SimilarListSerializer,
    SimilarQuerySerializer,
    SimilarToExampleSerializer,
)
from dam.api.serializers_tags import OpenPredictionSerializer
from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.search.example import ExampleFailedError, ExampleOpenError, similar_to_try
from dam.search.selectors import assets_by_id, similar_assets
from dam.tagging.services import try_create

_ANSWERS: dict[Any, Any] = {
    200: SimilarToExampleSerializer,
    202: OpenApiResponse(OpenPredictionSerializer, description="Not answered yet; ask again at `Location`."),
}


class SimilarToAsset(APIView):
    """What looks like an asset."""

    @extend_schema(
        operation_id="assets_similar",
        summary="Find assets that look like one",
        parameters=[SimilarQuerySerializer],
        responses={200: SimilarListSerializer, **problems(400, 404)},
    )
    def get(self, request: Request, asset_id: int) -> Response:
        """The most similar first; none until a model has looked at it. Pages of them: `q=similar:ID`."""
        user = signed_in(request)
        asked = asked_of(request, SimilarQuerySerializer)
        found = similar_assets(user=user, asset_id=asset_id, limit=asked["limit"])
        return Response({"results": _found_json(found)})


class SimilarToExample(APIView):
    """What looks like a picture that is sent."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="similar_start",
        summary="Find assets that look like an example",
        request={"multipart/form-data": ExampleSerializer},
        responses={**_ANSWERS, **problems(400, 411, 413, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        """A worker looks at it; waits for that as long as asked. The example is forgotten after an hour."""
        form = ExampleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        file: UploadedFile[Any] = form.validated_data["file"]
        job = try_create(
            stream=file.file,  # type: ignore[arg-type]  # a BytesIO or a temporary file
            user=signed_in(request),
        )
        answer_awaited(job, seconds=form.validated_data["wait"])
        return _answer(signed_in(request), job.pk, limit=form.validated_data["limit"])


class SimilarAnswer(APIView):
    """The answer for an example."""

    @extend_schema(
        operation_id="similar_get",
        summary="Ask again what looks like an example",
        parameters=[SimilarQuerySerializer],
        responses={**_ANSWERS, **problems(400, 404, 422)},
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Only for who sent it, and for an hour."""
        asked = asked_of(request, SimilarQuerySerializer)
        return _answer(signed_in(request), job_id, limit=asked["limit"])


def _answer(user: User, job_id: int, *, limit: int) -> Response:
    try:
        found = similar_to_try(user=user, job_id=job_id, limit=limit)
    except TaggingJob.DoesNotExist:
        raise Http404 from None
    except ExampleOpenError:
        place = reverse("api-similar-answer", args=[job_id])
        return Response({"id": job_id, "state": "queued"}, status=202, headers={"Location": place})
    except ExampleFailedError as error:
        raise ProblemError(422, error.reason, error.detail, id=job_id) from None
    similarity = dict(found)
    assets = assets_by_id(user=user, ids=list(similarity))
    return Response(
        {"id": job_id, "results": _found_json([(asset, similarity[asset.pk]) for asset in assets])}
    )


def _found_json(found: list[tuple[Asset, float]]) -> list[dict[str, Any]]:
    bodies = assets_json(asset for asset, _ in found)
    return [
        {"similarity": similarity, "asset": body} for body, (_, similarity) in zip(bodies, found, strict=True)
    ]
