"""Edits that nobody overwrites unseen: what was read has an ETag, and is changed only if that still holds.

An ETag here has two halves, ``"EDIT.WHOLE"``. The first stands for what people edit, the second for the whole
answer. ``If-Match`` compares the first alone, so that a tag which a worker adds does not disturb who edits a
title; ``If-None-Match`` compares both, so that who asks again learns of that tag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from dam.api.errors import ProblemError

# Enough that no two states of one thing are mixed up; nobody gains by making them collide.
_DIGITS = 16

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` that it was read with: 412 if somebody has edited it since.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The `ETag` that you have: 304 if it holds."
)
NOT_MODIFIED: dict[Any, Any] = {304: OpenApiResponse(description="As you have it.")}


def edit_hash(editable: Iterable[Any]) -> str:
    """Stands for the values that people edit, in a fixed order."""
    return _hash(list(editable))


def answer(request: Request, body: Any, *, edit: str, status: int = 200, **headers: str) -> Response:
    """The answer with its ETag; to a GET by somebody who has it already, 304 without a body.

    Args:
        request: what is answered.
        body: JSON.
        edit: of :func:`edit_hash`.
        status: where it is not 304.
        headers: more of them.
    """
    etag = f'"{edit}.{_hash(body)}"'
    headers = {**headers, "ETag": etag, "Cache-Control": "private, no-cache"}
    if request.method in {"GET", "HEAD"} and _names(request, "If-None-Match", etag):
        return Response(status=304, headers=headers)
    return Response(body, status=status, headers=headers)


def require_match(request: Request, edit: str) -> None:
    """Compare ``If-Match``, if it was sent, with what stands now; call it while the row is locked.

    Raises:
        ProblemError: 412; somebody has edited it since.
    """
    sent = request.headers.get("If-Match")
    if sent is None or sent.strip() == "*":
        return
    if edit not in {_edit_half(etag) for etag in parse_etags(sent)}:
        raise ProblemError(
            412,
            "changed-meanwhile",
            "Somebody has edited this since you read it; nothing was changed. Read it again.",
        )


def _names(request: Request, header: str, etag: str) -> bool:
    sent = request.headers.get(header)
    if sent is None:
        return False
    # A server in front of us that compresses answers calls its ETags weak.
    return sent.strip() == "*" or etag in {one.removeprefix("W/") for one in parse_etags(sent)}


def _edit_half(etag: str) -> str:
    return etag.removeprefix("W/").strip('"').partition(".")[0]


def _hash(value: Any) -> str:
    text = json.dumps(value, cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
