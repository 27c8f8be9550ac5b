"""Pictures that show the same: a 64-bit hash of how they look, and groups of those whose hashes are close."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 32
_BITS = 8
_AT_ONCE = 512


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey picture ``[32, 32]`` of uint8 RGB ``[H, W, 3]``."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """The pHash of a thumbnail (Zauner 2010, "… of Perceptual Image Hash Functions", 3.2.1).

    One bit for each of the 8 x 8 lowest frequencies of the cosine transform, without the constant ones:
    whether it is above their median. Brightness, contrast, size and compression change few of them.
    """
    waves = cv2.dct(grey.astype(np.float32))[1 : _BITS + 1, 1 : _BITS + 1]
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")


def near_duplicate_groups(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.intp]:
    """Number of each picture's group, ``[N]``, counted from 0 in the order of the first member.

    Two pictures whose hashes differ in at most ``bits`` bits are in one group, and so is whatever is close to
    either. All pairs are compared: about a second for 10,000 pictures.

    Args:
        hashes: ``[N]``.
        bits: From 0 (equal hashes) to 64.
    """
    parent = np.arange(len(hashes), dtype=np.intp)

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = int(parent[member])
        return member

    for start in range(0, len(hashes), _AT_ONCE):
        some = hashes[start : start + _AT_ONCE, np.newaxis]
        # Only against those that come later: each pair once.
        distance = np.bitwise_count(some ^ hashes[np.newaxis, start:])
        for one, other in np.argwhere(distance <= bits).tolist():
            if one < other:
                first, second = root(start + one), root(start + other)
                parent[max(first, second)] = min(first, second)
    roots = np.array([root(member) for member in range(len(hashes))], np.intp)
    return np.unique(roots, return_inverse=True)[1].astype(np.intp)


def closest_across(hashes: NDArray[np.uint64], parts: NDArray[np.intp]) -> tuple[int, int, int] | None:
    """The two most alike pictures of different parts: differing bits, both positions. None: one part."""
    best: tuple[int, int, int] | None = None
    for start in range(0, len(hashes), _AT_ONCE):
        end = start + _AT_ONCE
        distance = np.bitwise_count(hashes[start:end, np.newaxis] ^ hashes[np.newaxis, start:])
        distance[parts[start:end, np.newaxis] == parts[np.newaxis, start:]] = 255
        least = int(distance.argmin())
        one, other = divmod(least, distance.shape[1])
        found = int(distance[one, other])
        if found <= 64 and (best is None or found < best[0]):
            best = (found, start + one, start + other)
    return best
