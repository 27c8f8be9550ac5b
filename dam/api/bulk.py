"""One act on many assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import collection_named, signed_in, tag_for
from dam.api.pages import sent_by
from dam.api.problems import problems
from dam.api.serializers_curation import BulkResultSerializer, BulkSerializer
from dam.assets.albums import album_get
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Album
from dam.curation import bulk
from dam.curation.bulk import BulkResult
from dam.curation.selection import Selection
from dam.tagging.models import Decision


class Bulk(APIView):
    """Acts on what somebody selected."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="assets_bulk",
        summary="Do the same to many assets",
        request=BulkSerializer,
        responses={200: BulkResultSerializer, **problems(400, 403, 404, 415)},
    )
    def post(self, request: Request) -> Response:
        """In one transaction; those that you may not change are left as they are and named in `refused`."""
        sent, user = sent_by(request, BulkSerializer), signed_in(request)
        return Response(result_json(_act(user, sent)))


def selection_of(sent: dict[str, Any]) -> Selection:
    """What a body selects, as ``ChosenSerializer`` read it."""
    return Selection(
        ids=tuple(sent.get("ids", ())),
        query=sent.get("query"),
        sort=sent["sort"],
        excluded=tuple(sent.get("excluded", ())),
    )


def result_json(result: BulkResult) -> dict[str, Any]:
    """What became of a selection."""
    return {
        "changed": result.changed,
        "refused": [
            {"id": one.asset_id, "name": one.name, "code": one.code, "reason": one.reason}
            for one in result.refused
        ],
    }


def _act(user: User, sent: dict[str, Any]) -> BulkResult:
    selection = selection_of(sent["selection"])
    return _ACTS[sent["action"]](user, selection, sent)


def _edit(user: User, selection: Selection, sent: dict[str, Any]) -> BulkResult:
    return bulk.bulk_edit(user=user, selection=selection, **sent["fields"])


def _move(user: User, selection: Selection, sent: dict[str, Any]) -> BulkResult:
    place = collection_named(user, sent["collection"], field="collection")
    return bulk.bulk_move(user=user, selection=selection, collection=place)


def _album_add(user: User, selection: Selection, sent: dict[str, Any]) -> BulkResult:
    return bulk.bulk_album_add(user=user, selection=selection, album=_album_named(user, sent["album"]))


def _album_remove(user: User, selection: Selection, sent: dict[str, Any]) -> BulkResult:
    return bulk.bulk_album_remove(user=user, selection=selection, album=_album_named(user, sent["album"]))


def _tag(user: User, selection: Selection, sent: dict[str, Any]) -> BulkResult:
    verdict = {
        "tag": Decision.Verdict(sent.get("verdict", Decision.Verdict.ADDED)),
        "untag": Decision.Verdict.REJECTED,
        "undecide": None,
    }[sent["action"]]
    tag = tag_for(sent["tag"], may_be_new=verdict == Decision.Verdict.ADDED, user=user)
    return bulk.bulk_tag(user=user, selection=selection, tag=tag, verdict=verdict)


_ACTS: dict[str, Callable[[User, Selection, dict[str, Any]], BulkResult]] = {
    "tag": _tag,
    "untag": _tag,
    "undecide": _tag,
    "edit": _edit,
    "move": _move,
    "trash": lambda user, selection, _: bulk.bulk_trash(user=user, selection=selection),
    "restore": lambda user, selection, _: bulk.bulk_restore(user=user, selection=selection),
    "purge": lambda user, selection, _: bulk.bulk_purge(user=user, selection=selection),
    "album-add": _album_add,
    "album-remove": _album_remove,
}


def _album_named(user: User, album_id: int) -> Album:
    try:
        return album_get(user=user, album_id=album_id)
    except Album.DoesNotExist:
        raise InvalidChangeError(
            f"There is no album {album_id}, or you may not see it.", field="album", code="unknown-album"
        ) from None
