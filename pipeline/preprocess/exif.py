"""What a camera wrote into the picture, as far as the catalogue wants it from the header."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import Image

_ORIENTATION, _MAKE, _MODEL, _DATE_TIME, _EXIF_IFD, _GPS_IFD = 0x0112, 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSET_OF = {_ORIGINAL: 0x9011, _DIGITIZED: 0x9012, _DATE_TIME: 0x9010}

_WHEN = re.compile(r"(\d{4})[:\-](\d\d)[:\-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_LONGEST_TEXT = 100


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """Everything may be missing; nothing here is ever a reason to refuse a picture."""

    orientation: int = 1
    """1 to 8 as in EXIF; whatever is not in that range counts as 1."""
    taken_at: datetime | None = None
    """Naive (the camera's local time) unless the camera wrote its offset from UTC."""
    make: str = ""
    model: str = ""
    latitude: float | None = None
    longitude: float | None = None
    """Degrees, south and west negative."""


def camera_facts(image: Image.Image) -> CameraFacts:
    """The facts in the EXIF block of an opened picture; no pixels are decoded."""
    try:
        # Not image.getexif(): for a PNG without EXIF that one decodes all pixels to look behind them.
        exif = Image.Image.getexif(image)
        main: Mapping[int, Any] = dict(exif)
        detail: Mapping[int, Any] = exif.get_ifd(_EXIF_IFD)
        gps: Mapping[int, Any] = exif.get_ifd(_GPS_IFD)
    except Exception:  # noqa: BLE001 - EXIF is hostile input, and Pillow's reader raises anything from it
        return CameraFacts()
    latitude, longitude = _degrees(gps, 1, 2, 90), _degrees(gps, 3, 4, 180)
    located = latitude is not None and longitude is not None
    return CameraFacts(
        orientation=_orientation(main.get(_ORIENTATION)),
        taken_at=_taken_at(main, detail),
        make=_text(main.get(_MAKE)),
        model=_text(main.get(_MODEL)),
        latitude=latitude if located else None,
        longitude=longitude if located else None,
    )


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(c for c in value.split("\0")[0] if c.isprintable())
    return printable.strip()[:_LONGEST_TEXT]


def _taken_at(main: Mapping[int, Any], detail: Mapping[int, Any]) -> datetime | None:
    for tag, block in ((_ORIGINAL, detail), (_DIGITIZED, detail), (_DATE_TIME, main)):
        match = _WHEN.match(_text(block.get(tag)))
        if match is None:
            continue
        try:
            when = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
            return when.replace(tzinfo=_zone(_text(detail.get(_OFFSET_OF[tag]))))
        except ValueError:  # a month 13, or a camera whose clock was never set: 0000:00:00
            continue
    return None


def _zone(text: str) -> timezone | None:
    match = _OFFSET.fullmatch(text)
    if match is None:
        return UTC if text == "Z" else None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def _degrees(gps: Mapping[int, Any], reference_tag: int, value_tag: int, bound: int) -> float | None:
    """Degrees, minutes and seconds (EXIF 2.32, section 4.6.6) as a signed number of degrees."""
    try:
        degrees, minutes, seconds = (float(part) for part in gps[value_tag])
        value = degrees + minutes / 60 + seconds / 3600
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not math.isfinite(value) or not 0 <= value <= bound:
        return None
    return -value if _text(gps.get(reference_tag)) in {"S", "W"} else value
