"""The errors of an address, for OpenAPI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse

from dam.api.errors import MEDIA_TYPE
from dam.api.serializers import ProblemSerializer

_MEANINGS = {
    400: "What was sent cannot be understood.",
    401: "Not signed in, or the token is not valid.",
    403: "You may not do this.",
    404: "There is no such thing, or you may not see it.",
    409: "It does not fit what stands now.",
    411: "The body has no announced length.",
    412: "Somebody changed it since you read it; nothing was changed.",
    413: "Too many bytes.",
    415: "Not a picture, or of a format that is not accepted; or the body is of the wrong type.",
    422: "A picture that cannot be taken, with the reason as code.",
    503: "A dependency does not answer.",
}


def problems(*statuses: int) -> dict[tuple[int, str], Any]:
    """Responses for ``extend_schema``: these errors, and those that any address may answer with."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, description=_MEANINGS[status])
        for status in sorted({*statuses, 401, 503})
    }
