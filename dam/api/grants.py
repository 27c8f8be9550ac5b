"""Who may do what in a collection."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.pages import asked_of, sent_by
from dam.api.problems import problems
from dam.api.serializers_organising import (
    LEVELS,
    ForceQuerySerializer,
    GrantListSerializer,
    GrantSerializer,
    GrantSetSerializer,
    level_word,
)
from dam.assets.errors import InvalidChangeError
from dam.assets.grants import GrantShown, grant_remove, grant_set, grants_of
from dam.assets.models import Grant
from dam.assets.tree import collection_get


class Grants(APIView):
    """The grants of one collection."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="grants_list",
        summary="Read who may do what in a collection",
        responses={200: GrantListSerializer, **problems(403, 404)},
    )
    def get(self, request: Request, collection_id: int) -> Response:
        """For who manages it: its own grants first, then those from further up that hold here, too."""
        user = signed_in(request)
        shown = grants_of(user=user, collection=collection_get(user=user, collection_id=collection_id))
        return Response(GrantListSerializer({"results": [_grant_json(one) for one in shown]}).data)

    @extend_schema(
        operation_id="grants_set",
        summary="Give a right",
        request=GrantSetSerializer,
        responses={200: GrantSerializer, **problems(400, 403, 404, 415)},
    )
    def put(self, request: Request, collection_id: int) -> Response:
        """It takes the place of what they were given here before; the same again changes nothing."""
        user = signed_in(request)
        collection = collection_get(user=user, collection_id=collection_id)
        # Before a name is looked up: who may not give rights learns no names either.
        grants_of(user=user, collection=collection)
        sent = sent_by(request, GrantSetSerializer)
        grant = grant_set(
            collection=collection,
            user=user,
            level=LEVELS[sent["level"]],
            to_user=_user_named(sent["user"]) if "user" in sent else None,
            to_group=_group_named(sent["group"]) if "group" in sent else None,
            force=sent["force"],
        )
        shown = GrantShown(grant, inherited=False, source=collection)
        return Response(GrantSerializer(_grant_json(shown)).data)


class GrantDetail(APIView):
    """One grant of a collection."""

    @extend_schema(
        operation_id="grants_remove",
        summary="Take a right away",
        parameters=[ForceQuerySerializer],
        responses={204: None, **problems(400, 403, 404)},
    )
    def delete(self, request: Request, collection_id: int, grant_id: int) -> Response:
        """What follows from other grants stays."""
        asked, user = asked_of(request, ForceQuerySerializer), signed_in(request)
        collection = collection_get(user=user, collection_id=collection_id)
        grants_of(user=user, collection=collection)
        grant = Grant.objects.select_related("collection").get(pk=grant_id, collection=collection)
        grant_remove(grant=grant, user=user, force=asked["force"])
        return Response(status=204)


def _user_named(name: str) -> User:
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        raise InvalidChangeError(f"There is no user “{name}”.", field="user", code="unknown-user")
    return found


def _group_named(name: str) -> Group:
    found = Group.objects.filter(name=name).first()
    if found is None:
        raise InvalidChangeError(f"There is no group “{name}”.", field="group", code="unknown-group")
    return found


def _grant_json(shown: GrantShown) -> dict[str, Any]:
    grant, source = shown.grant, shown.source
    return {
        "id": grant.pk,
        "user": grant.user.get_username() if grant.user else None,
        "group": grant.group.name if grant.group else None,
        "level": level_word(grant.level),
        "inherited": shown.inherited,
        "collection": {"id": source.pk, "name": source.name} if source else None,
        "created_at": grant.created_at,
    }
