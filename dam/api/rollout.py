"""The rollout: what serves, what is tried, how they compare, and the way forth and back.

The controller of ``model_training`` reports and settles here; people's wishes come in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.comparison_serializers import ComparisonSerializer
from dam.api.errors import MEDIA_TYPE, ProblemError
from dam.api.problems import problems
from dam.api.rollout_serializers import (
    ComparisonQuerySerializer,
    ConflictSerializer,
    PromotionSerializer,
    ReasonSerializer,
    RolloutSerializer,
    ServingSerializer,
    SettleSerializer,
    SharesSerializer,
    StepListSerializer,
    StepSerializer,
    StepsQuerySerializer,
)
from dam.rollout import selectors, services
from dam.rollout.errors import ConflictError, GateRefusedError
from dam.rollout.gate import judge
from dam.rollout.models import Step

MANAGE = "rollout.manage_rollout"


class MayManage(BasePermission):
    """Staff reads; who was given the right to manage rollouts does the rest."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Superusers have every right."""
        del view
        user = request.user
        return user.has_perm(MANAGE) or (request.method in SAFE_METHODS and user.is_staff)


class RolloutView(APIView):
    """JSON, for those of :class:`MayManage`."""

    permission_classes = (MayManage,)
    parser_classes = (JSONParser,)


def conflicts(what: str) -> dict[tuple[int, str], OpenApiResponse]:
    """The 409 of an address, for OpenAPI."""
    return {(409, MEDIA_TYPE): OpenApiResponse(ConflictSerializer, description=what)}


@contextmanager
def told() -> Iterator[None]:
    """What does not fit what stands now, as a problem."""
    try:
        yield
    except GateRefusedError as error:
        raise ProblemError(
            409, error.code, str(error), reasons=list(error.reasons), step=error.step.pk
        ) from None
    except ConflictError as error:
        raise ProblemError(409, error.code, str(error)) from None


def _rollout_json() -> Any:
    rollout = selectors.rollout_get()
    beside = {
        "asked": selectors.step_asked(),
        "watch": selectors.watch_standing(),
        "shadow": selectors.shadow_progress(),
    }
    in_the_row = RolloutSerializer().fields.keys() - beside.keys()
    return RolloutSerializer({name: getattr(rollout, name) for name in in_the_row} | beside).data


class RolloutDetail(RolloutView):
    """What is in service."""

    @extend_schema(
        operation_id="rollout_get",
        summary="Read what is in service",
        responses={200: RolloutSerializer, **problems(403)},
    )
    def get(self, request: Request) -> Response:
        """What serves, what is tried, what the controller is asked to do, how a new champion stands."""
        del request
        return Response(_rollout_json())

    @extend_schema(
        operation_id="rollout_set_shares",
        summary="Set the shares of shadow and canary",
        request=SharesSerializer,
        responses={
            200: RolloutSerializer,
            **problems(400, 403, 415),
            **conflicts("`no-challenger`, `gate-refused` or `withdrawn`, for a canary; nothing is changed."),
        },
    )
    def patch(self, request: Request) -> Response:
        """A larger canary passes the gate first."""
        form = SharesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wanted, user = form.validated_data, signed_in(request)
        if "canary_share" in wanted:
            with told():
                services.canary_set(
                    share=wanted["canary_share"], user=user, force=wanted["force"], reason=wanted["reason"]
                )
        if "shadow_share" in wanted:
            services.shadow_set(share=wanted["shadow_share"], user=user)
        return Response(_rollout_json())


class Serving(RolloutView):
    """What the labels mean."""

    @extend_schema(
        operation_id="rollout_report",
        summary="Report what the labels on the model servers mean",
        request=ServingSerializer,
        responses={200: RolloutSerializer, **problems(400, 403, 415)},
    )
    def put(self, request: Request) -> Response:
        """By the controller, after each change and every half minute; the same again changes nothing."""
        form = ServingSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        services.serving_report(**form.validated_data)
        return Response(_rollout_json())


class Comparison(RolloutView):
    """Two versions on the pictures that both have answered."""

    @extend_schema(
        operation_id="rollout_compare",
        summary="Compare two versions",
        parameters=[ComparisonQuerySerializer],
        responses={
            200: ComparisonSerializer,
            **problems(400, 403),
            **conflicts("`no-challenger`: there are not two versions."),
        },
    )
    def get(self, request: Request) -> Response:
        """Champion and challenger, or any two; with what the gate says of the second."""
        asked = ComparisonQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        rollout = selectors.rollout_get()
        champion = asked.validated_data.get("champion", rollout.champion)
        challenger = asked.validated_data.get("challenger", rollout.challenger)
        if champion is None or challenger is None:
            missing = "challenger" if challenger is None else "champion"
            raise ProblemError(409, "no-challenger", f"There is no {missing}.")
        compared = selectors.comparison_of(champion=champion, challenger=challenger, user=signed_in(request))
        return Response(compared.as_dict() | {"verdict": judge(compared, rollout).as_dict()})


class Promotions(RolloutView):
    """Wishes for another champion."""

    @extend_schema(
        operation_id="rollout_promote",
        summary="Ask for a promotion",
        request=PromotionSerializer,
        responses={
            201: OpenApiResponse(StepSerializer, description="Asked for; the controller does it."),
            **problems(400, 403, 415),
            **conflicts("`gate-refused` with `reasons`, `busy` or `already-serves`."),
        },
    )
    def post(self, request: Request) -> Response:
        """The controller does it, if the gate lets it pass or it is forced."""
        form = PromotionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        with told():
            step = services.promotion_ask(
                version=wanted["version"],
                user=signed_in(request),
                source=Step.Source(wanted["source"]),
                force=wanted["force"],
                reason=wanted["reason"],
            )
        return Response(StepSerializer(step).data, status=201)


class Rollbacks(RolloutView):
    """The way back."""

    @extend_schema(
        operation_id="rollout_roll_back",
        summary="Roll back to the version before",
        request=ReasonSerializer,
        responses={
            201: OpenApiResponse(StepSerializer, description="In effect; the controller moves the labels."),
            **problems(400, 403, 415),
            **conflicts("`no-way-back` or `busy`."),
        },
    )
    def post(self, request: Request) -> Response:
        """In effect at once: the champion is withdrawn, and its predecessor answers."""
        return with_reason(request, lambda reason: services.rollback(reason=reason, user=signed_in(request)))


class Steps(RolloutView):
    """What was done, asked for or refused."""

    @extend_schema(
        operation_id="rollout_steps",
        summary="Read what was done",
        parameters=[StepsQuerySerializer],
        responses={200: StepListSerializer, **problems(400, 403)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        asked = StepsQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        steps = selectors.steps_list(limit=asked.validated_data["limit"])
        return Response(StepListSerializer({"results": steps}).data)


class StepSettle(RolloutView):
    """What became of a step."""

    @extend_schema(
        operation_id="rollout_settle",
        summary="Settle a step that was asked for",
        request=SettleSerializer,
        responses={
            200: StepSerializer,
            **problems(400, 403, 404, 415),
            **conflicts("`settled`: it was settled otherwise."),
        },
    )
    def post(self, request: Request, step_id: int) -> Response:
        """By the controller, most of all when it cannot be done; the same again changes nothing."""
        form = SettleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        step = Step.objects.filter(pk=step_id).first()
        if step is None:
            raise Http404
        with told():
            settled = services.step_settle(step=step, **form.validated_data)
        return Response(StepSerializer(settled).data)


def with_reason(request: Request, act: Callable[[str], Step]) -> Response:
    """Do what the body gives a reason for, and answer with the step."""
    form = ReasonSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    with told():
        step = act(form.validated_data["reason"])
    return Response(StepSerializer(step).data, status=201)
