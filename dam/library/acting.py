"""Forms that do something: done, and the page is drawn anew; or refused, and the form says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.library.policy import member_page
from pipeline.ports import BlobMissingError, DependencyDownError
from pipeline.preprocess import RefusedPictureError

MOST_IDS = 500
"""So many pictures a form of a list names at most; a page shows fewer."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence for people, and where to go from there; empty: the page as it is now."""

    said: str = ""
    go: str = ""


class ConflictError(Exception):
    """Somebody else was faster; ``stamp`` is what stands there now, for who insists."""

    def __init__(self, message: str, *, stamp: str) -> None:
        super().__init__(message)
        self.stamp = stamp


def act(view: Callable[..., Done]) -> Callable[..., Any]:
    """A view that takes a form by POST; our script is answered in JSON, a plain form by a page."""

    @require_POST
    @member_page
    @wraps(view)
    def wrapped(  # noqa: PLR0911  # a sentence for each way of being refused
        request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        try:
            done = view(request, *args, **kwargs)
        except NotAllowedError as error:
            return _refused(request, HTTPStatus.FORBIDDEN, problem=str(error))
        except InvalidChangeError as error:
            return _refused(request, HTTPStatus.BAD_REQUEST, problem=str(error), field=error.field)
        except ConflictError as error:
            return _refused(request, HTTPStatus.CONFLICT, problem=str(error), conflict=error.stamp)
        except RefusedPictureError as error:
            return _refused(request, HTTPStatus.BAD_REQUEST, problem=str(error))
        except BlobMissingError:
            return _refused(
                request, HTTPStatus.GONE, problem="That file is missing from the store. Nothing was changed."
            )
        except DependencyDownError:
            problem = "The store of the files does not answer. Nothing was changed; try again in a minute."
            return _refused(request, HTTPStatus.SERVICE_UNAVAILABLE, problem=problem)
        except (ObjectDoesNotExist, Http404):
            # As if it did not exist, whether it is gone or not theirs to see.
            return _refused(request, HTTPStatus.NOT_FOUND, problem="That is gone, or it is not yours to see.")
        if _by_script(request):
            return JsonResponse({"said": done.said, "go": done.go})
        return redirect(done.go or _where_from(request))

    return wrapped


def posted_ids(request: HttpRequest, name: str = "ids") -> list[int]:
    """The ids that a form names, each once, in its order.

    Raises:
        InvalidChangeError: one is no id, there is none, or there are too many.
    """
    values = [part for value in request.POST.getlist(name) for part in value.split(",")]
    if any(not value.isdecimal() or len(value) > 18 for value in values):
        raise InvalidChangeError("That names no picture.", field=name)
    ids = list(dict.fromkeys(int(value) for value in values))
    if not ids:
        raise InvalidChangeError("Choose something first.", field=name)
    if len(ids) > MOST_IDS:
        raise InvalidChangeError(f"At most {MOST_IDS} at once.", field=name)
    return ids


def posted_id(request: HttpRequest, name: str) -> int | None:
    """The one id that a field holds; None: it is empty.

    Raises:
        InvalidChangeError: it holds something else.
    """
    value = request.POST.get(name, "").strip()
    if not value:
        return None
    if not value.isdecimal() or len(value) > 18:
        raise InvalidChangeError("That is not one of the choices.", field=name)
    return int(value)


def posted_text(request: HttpRequest, name: str) -> str:
    """The text of a field, as people mean it: no NUL, no space around it, one kind of line end."""
    return request.POST.get(name, "").replace("\0", "").replace("\r\n", "\n").strip()


def pictures(number: int) -> str:
    """``1 picture``, ``1,200 pictures``."""
    return f"{number:,} picture{'' if number == 1 else 's'}"


def _by_script(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _refused(request: HttpRequest, status: HTTPStatus, **said: Any) -> HttpResponse:
    if _by_script(request):
        return JsonResponse(said, status=status)
    return render(request, "library/refused.html", said | {"back": _where_from(request)}, status=status)


def _where_from(request: HttpRequest) -> str:
    """The page that the form stood on, if it was one of ours."""
    address = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if ours else "/"
