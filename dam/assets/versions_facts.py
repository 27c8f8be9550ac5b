"""What the header of a file says of the picture, as its asset and its version keep it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dam.assets.naming import sort_key
from pipeline.preprocess import Header


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts of a file that its asset repeats; see ``Asset``. Sizes in bytes, sides in pixels."""

    filename: str
    sort_name: str
    width: int
    height: int
    size: int
    media_type: str
    taken_at: datetime | None
    camera: str

    def as_fields(self) -> dict[str, Any]:
        """Field of ``Asset`` → value."""
        return {name: getattr(self, name) for name in self.__slots__}


def file_facts(*, header: Header, filename: str, size: int) -> FileFacts:
    """The facts of a file of that header; ``filename`` is clean already."""
    # The digits are kept as the camera's clock showed them, whether or not it wrote its offset from UTC:
    # that is the time of day that people remember, and one kind of clock to sort by.
    taken_at = header.taken_at.replace(tzinfo=UTC) if header.taken_at else None
    return FileFacts(
        filename=filename,
        sort_name=sort_key(filename),
        width=header.width,
        height=header.height,
        size=size,
        media_type=header.media_type,
        taken_at=taken_at,
        camera=_camera_name(header),
    )


def header_facts(header: Header) -> dict[str, Any]:
    """For ``AssetVersion.header``."""
    return {
        "format": header.format.name,
        "taken_at": header.taken_at.isoformat() if header.taken_at else None,
        "has_alpha": header.has_alpha,
        "animated": header.animated,
        "has_profile": header.has_profile,
        "orientation": header.camera.orientation,
        "latitude": header.camera.latitude,
        "longitude": header.camera.longitude,
    }


def _camera_name(header: Header) -> str:
    """Make and model as one name: makers like to repeat themselves in the model ("Canon", "Canon EOS 5D")."""
    make, model = header.camera.make, header.camera.model
    name = model if model.casefold().startswith(make.casefold()) else f"{make} {model}".strip()
    return name[:200]
