"""A library of real pictures, and hands to harm it with."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from pathlib import Path

from PIL import Image

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from tests.dam.factories import UserFactory

TWO_DAYS = timedelta(days=2)


def picture(shade: int) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade // 2, 0)).save(stream, "PNG")
    stream.seek(0)
    return stream


class Library:
    """Pictures with their renditions, as uploads and answers leave them."""

    def __init__(self) -> None:
        self._user = UserFactory()

    def add(self, shade: int) -> Asset:
        """A picture with both its renditions."""
        asset = asset_create(stream=picture(shade), filename=f"{shade}.png", user=self._user).asset
        version = asset.current_version
        files = {"grid.jpg": b"a grid of %d" % shade, "preview.jpg": b"a preview of %d" % shade}
        keys = blob_store().put_renditions(version.blob.key, files)
        version.renditions = {
            name.removesuffix(".jpg"): {"key": key, "media_type": "image/jpeg", "width": 8, "height": 8}
            for name, key in keys.items()
        }
        version.save()
        return asset

    def upload_again(self, asset: Asset) -> None:
        """The file of :meth:`add`, sent once more."""
        shade = int(asset.filename.partition(".")[0])
        asset_create(stream=picture(shade), filename=asset.filename, user=self._user)


def key_of(asset: Asset) -> str:
    return asset.current_version.blob.key


def rendition_of(asset: Asset, name: str = "grid") -> str:
    return asset.current_version.renditions[name]["key"]


def flipped(content: bytes) -> bytes:
    """The same with one bit changed, which no size tells."""
    return content[:-1] + bytes([content[-1] ^ 1])


def aged(path: Path, by: timedelta = TWO_DAYS) -> Path:
    """Let a file have been written that long ago."""
    then = time.time() - by.total_seconds()
    os.utime(path, (then, then))
    return path


def put(path: Path, content: bytes, *, by: timedelta = TWO_DAYS) -> Path:
    """A file as somebody left it there some time ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return aged(path, by)
