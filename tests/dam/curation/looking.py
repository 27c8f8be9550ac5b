"""Pictures with looks, as the results writer leaves them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dam.assets.models import Asset
from dam.tagging.likeness import bands_of
from dam.tagging.models import Likeness

FINGERPRINT = -0x0123_4567_89AB_CDEF


def flipped(fingerprint: int, bits: Iterable[int]) -> int:
    """The fingerprint with these bits changed, as a signed number."""
    for bit in bits:
        fingerprint ^= 1 << bit
    unsigned = fingerprint & (2**64 - 1)
    return unsigned - 2**64 if unsigned >> 63 else unsigned


def look(
    asset: Asset,
    fingerprint: int | None = FINGERPRINT,
    *,
    embedding: NDArray[np.float64] | None = None,
    space: str = "e",
) -> None:
    """Give an asset looks that nobody has compared; without an embedding, one that all of them share."""
    Likeness.objects.update_or_create(
        asset=asset,
        defaults={
            "fingerprint": fingerprint,
            "bands": bands_of(fingerprint),
            "embedding": np.eye(1, 320)[0] if embedding is None else embedding,
            "embedding_id": space,
            "paired_at": None,
        },
    )
