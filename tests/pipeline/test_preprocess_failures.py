"""What is damaged, too large, no picture, or asked for in an unknown way is refused with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.messages import FailureReason
from pipeline.preprocess import Limits, UnsupportedSpecError, check_supported, prepare
from tests.pipeline import pictures
from tests.pipeline.preparing import SAME, SPEC, failure_of


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_truncated_jpeg_is_refused_as_corrupt(share: float, options: dict) -> None:
    assert failure_of(pictures.truncated(pictures.jpeg(400, 300, **options), share)) is FailureReason.CORRUPT


def test_a_jpeg_that_misses_only_its_last_bytes_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.jpeg(400, 300)[:-20]) is FailureReason.CORRUPT


def test_a_truncated_jpeg_is_refused_at_a_reduced_scale_too() -> None:
    assert failure_of(pictures.truncated(pictures.jpeg(3400, 2300))) is FailureReason.CORRUPT


def test_a_jpeg_whose_rest_was_never_written_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.zero_filled(pictures.jpeg(400, 300))) is FailureReason.CORRUPT


def test_a_truncated_cmyk_jpeg_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.truncated(pictures.cmyk_jpeg(400, 300))) is FailureReason.CORRUPT


@pytest.mark.parametrize("name", sorted(set(pictures.EVERY_FORMAT) - {"JPEG"}))
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_truncated_picture_of_any_format_is_refused_as_corrupt(name: str, share: float) -> None:
    assert failure_of(pictures.truncated(pictures.EVERY_FORMAT[name](), share)) is FailureReason.CORRUPT


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    """Phones append a film or a depth map."""
    with_trailer = prepare(pictures.jpeg() + b"\xff\xda" * 500, SAME)

    assert np.array_equal(with_trailer.preview, prepare(pictures.jpeg(), SAME).preview)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert prepare(pictures.jpeg_with_many_scans(3), SAME).preview.shape == (64, 96, 3)
    assert failure_of(pictures.jpeg_with_many_scans(300)) is FailureReason.UNSUPPORTED


def test_a_png_chunk_that_claims_gigabytes_is_refused_before_it_is_believed() -> None:
    data = pictures.EVERY_FORMAT["PNG"]()
    end = data.rindex(b"IEND") - 4
    lie = b"\x7f\xff\xff\xff" + b"tEXt" + b"a"

    assert failure_of(data[:end] + lie + data[end:]) is FailureReason.CORRUPT


def test_what_is_over_the_limits_fails_as_too_large() -> None:
    assert failure_of(pictures.huge_png()) is FailureReason.TOO_LARGE
    assert failure_of(pictures.jpeg(), Limits(max_pixels=100)) is FailureReason.TOO_LARGE
    assert failure_of(pictures.jpeg(), Limits(max_bytes=100)) is FailureReason.TOO_LARGE


def test_what_is_no_picture_fails_with_a_reason() -> None:
    assert failure_of(pictures.TEXT) is FailureReason.CORRUPT
    assert failure_of(pictures.EMPTY) is FailureReason.CORRUPT
    assert failure_of(pictures.SVG) is FailureReason.UNSUPPORTED


@pytest.mark.parametrize(
    "change", [{"fit": "crop"}, {"interpolation": "lanczos"}, {"width": 0}, {"height": 100_000}]
)
def test_a_spec_that_is_not_known_is_refused_by_name(change: dict) -> None:
    spec = SPEC.model_copy(update=change)

    with pytest.raises(UnsupportedSpecError, match="squash-260"):
        check_supported(spec)
    with pytest.raises(UnsupportedSpecError):
        prepare(pictures.jpeg(), spec)
