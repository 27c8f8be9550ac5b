"""Preparing a picture for tests: the sizes asked for, and what is made of the outcome."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.messages import FailureReason
from pipeline.ports import PreprocessSpec
from pipeline.preprocess import BadPictureError, Limits, prepare

SPEC = PreprocessSpec(id="squash-260", width=260, height=260)
# The size of pictures.scene(), so that the network's pixels are the picture's.
SAME = PreprocessSpec(id="same", width=96, height=64)


def difference(pixels: NDArray[np.uint8], expected: NDArray[np.uint8] | NDArray[np.float64]) -> float:
    """Mean absolute difference in units of 1/255."""
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(float) - expected.astype(float)).mean())


def failure_of(data: bytes, limits: Limits | None = None) -> FailureReason:
    with pytest.raises(BadPictureError) as bad:
        prepare(data, SPEC, limits=limits or Limits())
    assert bad.value.detail
    return bad.value.reason
