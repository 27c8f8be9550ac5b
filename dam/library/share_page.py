"""What somebody without an account sees who holds a link: its pictures, the facts chosen, perhaps files."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from dam.assets.addresses import RENDITIONS, rendition_stamp
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.library.policy import page
from dam.search.selectors import loaded
from dam.sharing import facts
from dam.sharing.errors import (
    CannotConvertError,
    ConverterBusyError,
    PasswordNeededError,
    ShareGoneError,
    TooManyAttemptsError,
    WrongPasswordError,
)
from dam.sharing.files import ORIGINAL, file_of, wanted_of
from dam.sharing.models import Share
from dam.sharing.orders import entry_of
from dam.sharing.passwords import is_proof, share_unlock
from dam.sharing.selectors import downloads_of, share_by_key, shared_assets
from dam.sharing.services import share_used
from dam.sharing.serving import ASK_AGAIN, file_response, picture_response, zip_response
from dam.sharing.zips import ZipEntry, columns_of, zip_chunks
from pipeline.ports import BlobMissingError, DependencyDownError

PAGE_SIZE = 60
# What is offered beside the original, where that is larger: the long side in pixels.
_SIDES = (2560, 1600)
COUNTED = 10_000
_COOKIE = "vitrine_share"
_COOKIE_LASTS_S = 12 * 3600
_MOST_OF_A_PASSWORD = 128


def _by_link(view: Callable[..., HttpResponseBase]) -> Callable[..., Any]:
    """A view for whoever holds a link: nobody finds it in a search, no other site learns its address.

    A link that was never there and one that has ended are answered alike.
    """

    # Nobody is signed in by it and nothing is written, so there is nothing to forge a request for; and a page
    # without a referrer sends no origin by which Django could tell its own forms.
    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, key: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            share = share_by_key(key)
            if request.method != "POST":
                _check_password(request, share)
            response = view(request, share, *args, **kwargs)
        except ShareGoneError:
            response = _gone(request)
        except PasswordNeededError:
            response = _door(request)
        response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return wrapped


def _check_password(request: HttpRequest, share: Share) -> None:
    if not share.password:
        return
    proof = request.get_signed_cookie(_COOKIE, default="", salt=_salt(share), max_age=_COOKIE_LASTS_S)
    if not is_proof(share, proof or ""):
        raise PasswordNeededError


@require_http_methods(["GET", "HEAD", "POST"])
@page
@_by_link
def share_open(request: HttpRequest, share: Share) -> HttpResponseBase:
    """The pictures of a link; ``fragment`` asks for the next cards alone. POST: the password."""
    if request.method == "POST":
        return _unlock(request, share)
    assets = list(_after(request, share)[: PAGE_SIZE + 1])
    downloads = _downloadable(share, assets)
    cards = [_card(share, asset, may_download=asset.pk in downloads) for asset in assets[:PAGE_SIZE]]
    address = _address(share)
    context: dict[str, Any] = {
        "share": share,
        "cards": cards,
        "more": f"{address}?after={assets[PAGE_SIZE - 1].pk}" if len(assets) > PAGE_SIZE else "",
    }
    if "fragment" in request.GET:
        return render(request, "library/share_cards.html", context)
    if request.method == "GET":
        share_used(share=share)
    count = shared_assets(share).order_by()[: COUNTED + 1].count()
    context |= {
        "title": share.title or "Shared pictures",
        "by": share.created_by.get_full_name(),
        "count": min(count, COUNTED),
        "more_than_counted": count > COUNTED,
        "zip": reverse("share-zip", args=[share.key]) if share.may_download and cards else "",
        "later": "after" in request.GET,
        "address": address,
    }
    return render(request, "library/share.html", context)


@require_safe
@_by_link
def share_rendition(request: HttpRequest, share: Share, asset_id: int, name: str) -> HttpResponseBase:
    """A picture of a link to look at."""
    asset = _asset(share, asset_id)
    version = asset.current_version
    if version is None or name not in RENDITIONS or name not in version.renditions:
        raise Http404
    made = version.renditions[name]
    try:
        return file_response(
            request,
            lambda: blob_store().open(made["key"]),
            media_type=made["media_type"],
            name=f"picture-{asset.pk}.jpg",
            etag=f'"{rendition_stamp(version)}-{name}-{made["width"]}x{made["height"]}"',
            cache=ASK_AGAIN,
            attachment=False,
        )
    except BlobMissingError:
        raise Http404 from None
    except DependencyDownError:
        return _trouble("The pictures cannot be reached just now. Try again later.", 503)


@require_safe
@_by_link
def share_file(request: HttpRequest, share: Share, asset_id: int) -> HttpResponseBase:
    """A picture of a link to keep: ``size`` and ``format`` as in the API."""
    asset = downloads_of(share).filter(pk=asset_id).first()
    if asset is None or asset.current_version is None:
        raise Http404
    try:
        wanted = wanted_of(request.GET.get("size", ORIGINAL), request.GET.get("format", ORIGINAL))
        file = file_of(asset, asset.current_version, wanted, stem=_stem(share, asset))
        return picture_response(request, file)
    except InvalidChangeError as error:
        return _trouble(str(error), 400)
    except CannotConvertError as error:
        return _trouble(str(error), 422)
    except BlobMissingError:
        raise Http404 from None
    except (ConverterBusyError, DependencyDownError):
        return _trouble("The pictures cannot be reached just now. Try again later.", 503)


@require_safe
@_by_link
def share_zip(request: HttpRequest, share: Share) -> HttpResponseBase:
    """All pictures of a link as a zip, the newest first."""
    del request
    downloads = downloads_of(share)
    if not downloads.exists():
        raise Http404
    wanted = wanted_of(ORIGINAL, ORIGINAL)

    def entries() -> Any:
        last: int | None = None
        while batch := list(
            (downloads if last is None else downloads.filter(pk__lt=last)).order_by("-pk")[:200]
        ):
            for asset in batch:
                yield _named_as_known(share, entry_of(asset, wanted, stem=_stem(share, asset)))
            last = batch[-1].pk

    name = f"{slugify(share.title) or 'pictures'}.zip"
    return zip_response(zip_chunks(entries(), columns=columns_of(share.fields)), name=name)


def _named_as_known(share: Share, entry: ZipEntry) -> ZipEntry:
    """The name that is told of what is missing must not be one that the link hides."""
    if "title" not in share.fields:
        entry.asset.title = ""
    if "filename" not in share.fields:
        entry.asset.filename = f"picture-{entry.asset.pk}"
    return entry


def _unlock(request: HttpRequest, share: Share) -> HttpResponseBase:
    address = _address(share)
    if not share.password:
        return redirect(address)
    try:
        proof = share_unlock(share=share, password=request.POST.get("password", "")[:_MOST_OF_A_PASSWORD])
    except WrongPasswordError:
        return _door(request, problem="That is not the password. Mind upper and lower case.", status=403)
    except TooManyAttemptsError as error:
        response = _door(request, problem=str(error), status=429)
        response.headers["Retry-After"] = str(int(error.wait_s) + 1)
        return response
    opened = redirect(address)
    opened.set_signed_cookie(
        _COOKIE,
        proof,
        salt=_salt(share),
        max_age=_COOKIE_LASTS_S,
        path=address,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return opened


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "library/share_gone.html", status=410)


def _door(request: HttpRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    return render(request, "library/share_door.html", {"problem": problem}, status=status)


def _trouble(said: str, status: int) -> HttpResponse:
    return HttpResponse(said, status=status, content_type="text/plain; charset=utf-8")


def _after(request: HttpRequest, share: Share) -> Any:
    found = loaded(shared_assets(share)).order_by("-pk")
    after = request.GET.get("after", "")
    return found.filter(pk__lt=int(after)) if after.isdecimal() and len(after) < 19 else found


def _asset(share: Share, asset_id: int) -> Asset:
    asset = shared_assets(share).filter(pk=asset_id).first()
    if asset is None:
        raise Http404
    return asset


def _downloadable(share: Share, assets: list[Asset]) -> set[int]:
    if not share.may_download:
        return set()
    return set(downloads_of(share).filter(pk__in=[asset.pk for asset in assets]).values_list("pk", flat=True))


def _card(share: Share, asset: Asset, *, may_download: bool) -> dict[str, Any]:
    version = asset.current_version
    made = version.renditions if version is not None else {}

    def shown(name: str) -> str:
        if version is None or name not in made:
            return ""
        address = reverse("share-rendition", args=[share.key, asset.pk, name])
        return f"{address}?v={rendition_stamp(version)}"

    return {
        "id": asset.pk,
        "width": asset.width,
        "height": asset.height,
        "placeholder": version.placeholder if version is not None else "",
        "grid": shown("grid"),
        "preview": shown("preview"),
        "title": facts.title_of(asset, share.fields),
        "description": asset.description if "description" in share.fields else "",
        "facts": facts.facts_of(asset, share.fields),
        "download": reverse("share-file", args=[share.key, asset.pk]) if may_download else "",
        "sides": [
            {"pixels": side, "label": f"{side:,}"} for side in _SIDES if side < max(asset.width, asset.height)
        ],
    }


def _stem(share: Share, asset: Asset) -> str:
    """Of the name of its file, if its own must not be known."""
    return "" if "filename" in share.fields else f"picture-{asset.pk}"


def _address(share: Share) -> str:
    return reverse("share-open", args=[share.key])


def _salt(share: Share) -> str:
    return f"dam.library.share_page:{share.pk}"
