"""Places where somebody puts files, and what a watch made of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from django.core.management import call_command
from PIL import Image

from dam.assets.models import SourceFile
from dam.loops.watch import Watch

SOON = 60.0


def picture(shade: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 7)).save(data, "PNG")
    return data.getvalue()


@dataclass
class Place:
    """Where somebody puts files."""

    address: str
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    names: Callable[[], set[str]]


def outcomes() -> dict[str, str]:
    return dict(SourceFile.objects.values_list("path", "outcome"))


def look_twice(watch: Watch) -> None:
    """The second look finds what the first one found unchanged."""
    watch.look()
    watch.look()


def once(place: Place, *words: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) if code else nullcontext() as ended:
        call_command("watch", place.address, "--once", "--settle", "0", *words)
    assert ended is None or ended.value.code == code
