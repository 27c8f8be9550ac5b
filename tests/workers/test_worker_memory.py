"""How much memory a worker process needs under load."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pipeline.messages import Outcome
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.workers.desk import Desk
from tests.workers.worker_process import StartProcess

# All that a worker loads for the largest set of addresses, whatever this test's are.
_EVERYTHING = """
import pipeline.rabbitmq, pipeline.s3, sys
from workers.__main__ import main
sys.exit(main())
"""

WIDTH, HEIGHT = 4000, 3000
LARGE: dict[str, Callable[[np.ndarray], bytes]] = {
    "JPEG": lambda rgb: pictures.encoded(rgb, "JPEG"),
    "progressive JPEG": lambda rgb: pictures.encoded(rgb, "JPEG", progressive=True),
    "PNG": lambda rgb: pictures.encoded(rgb, "PNG", compress_level=1),
    "WebP": lambda rgb: pictures.encoded(rgb, "WEBP", method=0),
    "TIFF": lambda rgb: pictures.encoded(rgb, "TIFF"),
    "CMYK TIFF": lambda rgb: pictures.encoded(Image.fromarray(rgb).convert("CMYK"), "TIFF"),
    "AVIF": lambda rgb: pictures.encoded(rgb, "AVIF", speed=10),
    "HEIC": lambda rgb: pictures.encoded(rgb, "HEIF", enc_params={"preset": "ultrafast"}),
}


@pytest.mark.slow
def test_a_worker_stays_small_under_a_load_of_large_pictures_of_every_common_format(
    start_process: StartProcess, desk: Desk
) -> None:
    """Twelve megapixels each, as a phone takes them, with more decode threads than it has by default."""
    rgb = pictures.scene(WIDTH, HEIGHT)
    requests = [desk.request(make(rgb)) for make in LARGE.values()]
    worker = start_process(command=("-c", _EVERYTHING), DECODE_THREADS="4")

    again = [request.model_copy(update={"job_id": 100 + i}) for i, request in enumerate(requests * 2)]
    results = desk.answers(desk.ask(*again, queue=BULK), patience_s=240)

    assert {result.outcome for result in results} == {Outcome.TAGGED}
    assert 100 < worker.peak_mb() <= 350
