"""Bounds what pictures that are decoded side by side need together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from pipeline.preprocess.formats import PictureFormat
from pipeline.preprocess.header import Header

# Bytes for each pixel of the full picture at the worst moment, beside the file's own: how the peak of a
# process grew with pictures of 12 megapixels, rounded up.
_PNG, _PNG_WITH_ALPHA = 6.5, 8.5  # OpenCV 5 keeps what it decodes twice
_WEBP, _WEBP_WITH_ALPHA = 7.5, 10.0
_JPEG, _PROGRESSIVE_JPEG = 6.5, 3.0  # libjpeg keeps the coefficients in full, whatever the scale
_FRAMES = 10.5  # AVIF and HEIC: planes of colour, the library's RGB and Pillow's
_PILLOW = 8.0  # it keeps four bytes for a pixel of three
_PNG_BIT_DEPTH = 24  # position in the file (ISO/IEC 15948, 11.2.2)


class Holding:
    """What one thread keeps of a :class:`MemoryBudget`; only its own thread touches it."""

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes."""


class MemoryBudget:
    """Bytes that threads share out among themselves, first come first served. Thread-safe.

    Whoever wants more than there is altogether gets everything, alone: a picture larger than the budget
    is late, never stuck. Nobody overtakes, or large pictures would wait for ever among small ones.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: bytes that may be held at the same time."""
        self.limit = limit
        self._held = 0
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def hold(self, size: int) -> Iterator[Holding]:
        """Wait for so many bytes and keep them for the block."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            wanted = min(size, self.limit)
            self._changed.wait_for(lambda: self._queue[0] is ticket and self._held + wanted <= self.limit)
            self._queue.popleft()
            holding = Holding(wanted)
            self._held += wanted
            self._changed.notify_all()
        try:
            yield holding
        finally:
            self.correct(holding, 0)

    def correct(self, holding: Holding, size: int) -> None:
        """It turned out to be so many bytes. Never waits: what is there already cannot be undone."""
        with self._changed:
            size = min(size, self.limit)
            self._held += size - holding.size
            holding.size = size
            self._changed.notify_all()


DECODING_MEMORY = MemoryBudget(96 * 2**20)
"""What decoding may need in this process unless another budget is named."""


def decoding_bytes(data: bytes, image: Image.Image, header: Header, scale: int, *, by_opencv: bool) -> int:
    """An upper estimate of what decoding will need beside the file, in bytes. Decodes nothing.

    Args:
        data: the whole file.
        image: opened and not decoded.
        header: of that picture.
        scale: the libjpeg scale 1/N that will be asked for.
        by_opencv: whether OpenCV decodes it, and not Pillow.
    """
    if header.format is PictureFormat.JPEG:
        each = (_JPEG if by_opencv else _PILLOW) / scale**2
        each += _PROGRESSIVE_JPEG if image.info.get("progressive") else 0
    elif header.format in {PictureFormat.AVIF, PictureFormat.HEIC}:
        each = _FRAMES
    elif header.format is PictureFormat.WEBP:
        each = _WEBP_WITH_ALPHA if header.has_alpha else _WEBP
    elif header.format is PictureFormat.PNG and by_opencv:
        each = _PNG_WITH_ALPHA if header.has_alpha else _PNG
        each *= 2 if data[_PNG_BIT_DEPTH] == 16 else 1
    else:
        each = _PILLOW
    return round(header.width * header.height * each)
