"""Who asks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.problems import problems
from dam.api.serializers_organising import LEVELS
from dam.assets.models import Level
from dam.assets.selectors import collections_with


class MaySerializer(serializers.Serializer[Any]):
    """Whether there is a collection in which you may do that."""

    view = serializers.BooleanField()
    download = serializers.BooleanField()
    contribute = serializers.BooleanField()
    curate = serializers.BooleanField()
    manage = serializers.BooleanField()


class MeSerializer(serializers.Serializer[Any]):
    """An account."""

    id = serializers.IntegerField()
    username = serializers.CharField()
    name = serializers.CharField(help_text="Full name, or empty.")
    groups = serializers.ListField(child=serializers.CharField())
    is_staff = serializers.BooleanField(help_text="May enter the administration.")
    is_superuser = serializers.BooleanField(help_text="May everything.")
    may = MaySerializer(help_text="Somewhere; of each collection, its `level` says it.")


class Me(APIView):
    """The account of this request."""

    @extend_schema(
        operation_id="me_get", summary="Read who you are", responses={200: MeSerializer, **problems()}
    )
    def get(self, request: Request) -> Response:
        """And what you may do."""
        user = signed_in(request)
        body = {
            "id": user.pk,
            "username": user.get_username(),
            "name": user.get_full_name(),
            "groups": sorted(user.groups.values_list("name", flat=True)),
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
            "may": {word: _anywhere(user, level) for word, level in LEVELS.items()},
        }
        return Response(MeSerializer(body).data)


def _anywhere(user: Any, level: Level) -> bool:
    return collections_with(user, level).exists()
