"""Model versions: registering, reading, undoing and taking that back."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from dam.api.assets import signed_in
from dam.api.problems import problems
from dam.api.rollout import RolloutView, conflicts, told, with_reason
from dam.api.rollout_serializers import (
    OptionalReasonSerializer,
    ReasonSerializer,
    RegisterSerializer,
    StepSerializer,
    VersionListSerializer,
    VersionStandingSerializer,
)
from dam.rollout import selectors, services
from dam.tagging.models import ModelVersion


class Models(RolloutView):
    """All model versions."""

    @extend_schema(
        operation_id="models_list",
        summary="List model versions",
        responses={200: VersionListSerializer, **problems(403)},
    )
    def get(self, request: Request) -> Response:
        """With what became of their answers, the newest first."""
        del request
        return Response(VersionListSerializer({"results": selectors.versions_list()}).data)

    @extend_schema(
        operation_id="models_register",
        summary="Register a model version",
        request=RegisterSerializer,
        responses={
            200: VersionStandingSerializer,
            **problems(400, 403, 413, 415),
            **conflicts("`version-taken`: another model has this number."),
        },
    )
    def put(self, request: Request) -> Response:
        """By the controller, before a version bears a label; the same again changes nothing."""
        form = RegisterSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with told():
            try:
                version = services.version_register(**form.validated_data)
            except ValueError as error:
                raise ValidationError({"vocabulary": [f"{error}."]}) from None
        return Response(_version_json(version.pk))


class ModelDetail(RolloutView):
    """One model version."""

    @extend_schema(
        operation_id="models_get",
        summary="Read a model version",
        responses={200: VersionStandingSerializer, **problems(403, 404)},
    )
    def get(self, request: Request, version_id: int) -> Response:
        """With what became of its answers."""
        del request
        return Response(_version_json(version_id))


class ModelUndo(RolloutView):
    """Undoing everything that a version did."""

    @extend_schema(
        operation_id="models_undo",
        summary="Undo a model version",
        request=ReasonSerializer,
        responses={
            201: StepSerializer,
            **problems(400, 403, 404, 415),
            **conflicts("`withdrawn` already, `no-way-back` or `busy`."),
        },
    )
    def post(self, request: Request, version_id: int) -> Response:
        """What people see follows from other answers then; the champion is rolled back. Decisions stay."""
        version = _version(version_id)
        return with_reason(
            request,
            lambda reason: services.version_undo(version=version, user=signed_in(request), reason=reason),
        )


class ModelTakeBack(RolloutView):
    """Taking an undoing back."""

    @extend_schema(
        operation_id="models_take_back",
        summary="Reinstate a model version",
        request=OptionalReasonSerializer,
        responses={
            201: StepSerializer,
            **problems(400, 403, 404, 415),
            **conflicts("Not `withdrawn`, or `busy`."),
        },
    )
    def post(self, request: Request, version_id: int) -> Response:
        """What people see may follow from its answers again."""
        version = _version(version_id)
        form = OptionalReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with told():
            step = services.version_take_back(
                version=version, user=signed_in(request), reason=form.validated_data["reason"]
            )
        return Response(StepSerializer(step).data, status=201)


def _version(version_id: int) -> ModelVersion:
    version = ModelVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise Http404
    return version


def _version_json(version_id: int) -> Any:
    found = selectors.versions_list(version_id=version_id)
    if not found:
        raise Http404
    return VersionStandingSerializer(found[0]).data
