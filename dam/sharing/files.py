"""Which file somebody gets who asks for a picture in some size and format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset, AssetVersion, Level
from dam.assets.selectors import assets_downloadable_by, assets_visible_to, is_usable, level_in
from dam.assets.storage import blob_store
from dam.sharing.conversion import converted
from dam.sharing.errors import NotDownloadableError
from pipeline.preprocess import PictureFormat

ORIGINAL = "original"
SIZES = (ORIGINAL, "2560", "1600", "480")
"""What is offered; any other number of pixels may be asked for, too."""

_FORMATS = {"jpeg": PictureFormat.JPEG, "png": PictureFormat.PNG, "webp": PictureFormat.WEBP}
FORMATS = (ORIGINAL, *_FORMATS)

_LARGEST_SIDE = 30_000
_BY_MEDIA_TYPE = {found.media_type: name for name, found in _FORMATS.items()}
# What has no counterpart among those that are written, and may be transparent.
_RATHER_PNG = {PictureFormat.GIF.media_type, PictureFormat.BMP.media_type}
# Below this share of the preview's size, nobody sees that a JPEG was compressed twice.
_FROM_PREVIEW = 0.5
# Named in ETags: another way of converting gives other bytes.
_CONVERSION = "1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A size and a format."""

    long_side: int | None = None
    """In pixels; None: as the original. Never enlarges."""
    format: str = ORIGINAL
    """One of :data:`FORMATS`."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file to be sent."""

    name: str
    media_type: str
    etag: str
    """Of its bytes, with its quotation marks."""
    key: str
    """In the blob store, where it lies there as it is; empty: it is made when it is opened."""
    open: Callable[[], BinaryIO]
    """Raises BlobMissingError, DependencyDownError, CannotConvertError, ConverterBusyError."""


def wanted_of(size: str, format: str) -> Wanted:  # noqa: A002  # as it is called in addresses
    """What an address or a form asks for.

    Raises:
        InvalidChangeError: there is no such size or format.
    """
    if format not in FORMATS:
        raise InvalidChangeError(f"The format is one of {', '.join(FORMATS)}.", field="format")
    if size == ORIGINAL:
        return Wanted(None, format)
    if not (size.isascii() and size.isdecimal() and len(size) < 6 and 1 <= int(size) <= _LARGEST_SIDE):
        raise InvalidChangeError(
            f"The size is “{ORIGINAL}” or a number of pixels up to {_LARGEST_SIDE:,}.", field="size"
        )
    return Wanted(int(size), format)


def downloadable(*, user: User | AnonymousUser, asset_id: int) -> Asset:
    """An asset whose file the person may have, with its current version.

    Raises:
        Asset.DoesNotExist: there is none, or they may not see it.
        NotDownloadableError: they may see it alone.
    """
    loaded = ("current_version__blob",)
    found = assets_downloadable_by(user).select_related(*loaded).filter(pk=asset_id).first()
    if found is not None:
        return found
    asset = assets_visible_to(user).select_related(*loaded).get(pk=asset_id)
    raise refusal_of(asset, may_download=(level_in(user, asset.collection_id) or 0) >= Level.DOWNLOAD)


def refusal_of(asset: Asset, *, may_download: bool) -> NotDownloadableError:
    """Why somebody who sees a picture does not get its file."""
    if not may_download or is_usable(asset):
        return NotDownloadableError(
            "You may look at this picture, but not download it. Its managers can allow it.",
            "not-downloadable",
        )
    if asset.expires_on is not None and asset.expires_on < timezone.now().date():
        return NotDownloadableError(
            f"This picture must not be used any more: its rights ended on {asset.expires_on:%-d %B %Y}.",
            "expired",
        )
    return NotDownloadableError(
        f"This picture must not be used yet: it is under an embargo until {asset.embargo_until:%-d %B %Y}.",
        "embargoed",
    )


def file_of(asset: Asset, version: AssetVersion, wanted: Wanted, *, stem: str = "") -> PictureFile:
    """The file that answers a wish; nothing is read or made before it is opened.

    Args:
        asset: whose current version it is.
        version: with its blob.
        wanted: size and format.
        stem: its name without an extension; empty: it is called as it was when it was uploaded.
    """
    blob = version.blob
    target = _target(blob.media_type, wanted.format)
    whole = max(asset.width, asset.height)
    long_side = wanted.long_side if wanted.long_side is not None and wanted.long_side < whole else None
    if long_side is None and (wanted.format == ORIGINAL or _BY_MEDIA_TYPE.get(blob.media_type) == target):
        return PictureFile(
            name=f"{stem}{_extension_of(blob.media_type)}" if stem else version.filename,
            media_type=blob.media_type,
            etag=f'"{blob.sha256}"',
            key=blob.key,
            open=lambda: blob_store().open(blob.key),
        )
    side = f"-{long_side}" if long_side is not None else ""
    named = f"{stem or PurePosixPath(version.filename).stem}{side}{_FORMATS[target].extension}"
    media_type = _FORMATS[target].media_type
    preview = version.renditions.get("preview")
    if preview and target == "jpeg" and preview["media_type"] == media_type and long_side is not None:
        preview_side = max(preview["width"], preview["height"])
        if long_side == preview_side:
            etag = f'"{blob.sha256[:16]}-preview-{preview_side}"'
            key = preview["key"]
            return PictureFile(named, media_type, etag, key, lambda: blob_store().open(key))
        source = preview["key"] if long_side <= preview_side * _FROM_PREVIEW else blob.key
    else:
        source = blob.key
    etag = f'"{blob.sha256[:16]}-{_CONVERSION}-{long_side or ORIGINAL}-{target}"'
    made = _made(source, target, long_side)
    return PictureFile(named, media_type, etag, "", made)


def _made(source: str, target: str, long_side: int | None) -> Callable[[], BinaryIO]:
    return lambda: converted(source, format_name=target, long_side=long_side)


def _target(media_type: str, wanted: str) -> str:
    if wanted != ORIGINAL:
        return wanted
    return _BY_MEDIA_TYPE.get(media_type, "png" if media_type in _RATHER_PNG else "jpeg")


def _extension_of(media_type: str) -> str:
    return next((found.extension for found in PictureFormat if found.media_type == media_type), "")
