"""The trash: what lies there, until when, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dam.assets.models import Asset, Level
from dam.assets.selectors import levels_in
from dam.assets.storage import blob_store
from dam.assets.trash import assets_purge, assets_restorable_by, assets_restore, purge_at
from dam.library.acting import Done, act, pictures, posted_ids
from dam.library.policy import member, member_page
from pipeline.ports import BlobMissingError

PAGE_SIZE = 60


def kept_for() -> timedelta:
    """How long the trash is kept before `vitrine trash` empties it, unless it is told otherwise."""
    return timedelta(days=settings.TRASH_DAYS)


@dataclass(frozen=True, slots=True)
class Lying:
    """A picture in the trash, as one person may deal with it."""

    asset: Asset
    goes_at: datetime | None
    may_purge: bool


@require_safe
@member_page
def trash(request: HttpRequest) -> HttpResponse:
    """What one may bring back, thrown away last first."""
    user = member(request)
    rows = assets_restorable_by(user)
    count = rows.count()
    before = _read(request.GET.get("before", ""))
    if before is not None:
        at, pk = before
        rows = rows.filter(trashed_at__lt=at) | rows.filter(trashed_at=at, pk__lt=pk)
    found = list(
        rows.select_related("current_version__blob", "collection", "uploaded_by")
        .defer("words")
        .order_by("-trashed_at", "-pk")[: PAGE_SIZE + 1]
    )
    shown = found[:PAGE_SIZE]
    lying = _lying(user, shown)
    context = {
        "section": "trash",
        "lying": lying,
        "count": count,
        "may_purge": any(each.may_purge for each in lying),
        "kept_days": settings.TRASH_DAYS,
        "now": timezone.now(),
        "more": f"?before={_write(shown[-1])}" if len(found) > PAGE_SIZE else "",
    }
    return render(request, "library/trash.html", context)


@require_safe
@member_page
def picture(request: HttpRequest, asset_id: int) -> HttpResponseBase:
    """The small picture of what lies in the trash, which nobody sees elsewhere."""
    asset = (
        assets_restorable_by(member(request)).select_related("current_version").filter(pk=asset_id).first()
    )
    made = asset.current_version.renditions.get("grid") if asset and asset.current_version else None
    if made is None:
        raise Http404
    try:
        return FileResponse(blob_store().open(made["key"]), content_type=made["media_type"])
    except BlobMissingError:
        raise Http404 from None


@act
def restore(request: HttpRequest) -> Done:
    """Back to where they lay."""
    number = assets_restore(asset_ids=posted_ids(request), user=member(request))
    return Done(said=f"{pictures(number)} restored.")


@act
def purge(request: HttpRequest) -> Done:
    """For ever."""
    number = assets_purge(asset_ids=posted_ids(request), user=member(request))
    return Done(said=f"{pictures(number)} deleted for ever.")


def _lying(user: User, assets: list[Asset]) -> list[Lying]:
    levels = levels_in(user, {asset.collection_id for asset in assets})
    return [
        Lying(
            asset=asset,
            goes_at=purge_at(asset, kept_for=kept_for()),
            may_purge=levels.get(asset.collection_id, 0) >= Level.MANAGE,
        )
        for asset in assets
    ]


def _signer() -> Signer:
    return Signer(salt="library.trash")


def _write(asset: Asset) -> str:
    assert asset.trashed_at is not None
    return _signer().sign_object([asset.trashed_at.isoformat(), asset.pk])


def _read(cursor: str) -> tuple[datetime, int] | None:
    """Where the page before ended; a cursor that is none begins anew."""
    try:
        at, pk = _signer().unsign_object(cursor)
    except BadSignature:
        return None
    return datetime.fromisoformat(at), int(pk)
