"""Pictures that kill or stall a worker."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pipeline.messages import Outcome
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start
from workers.batch import PictureStalledError


class Bursting(ColourModel):
    """Kills its worker over one picture, the reddest; the nearest thing to a segmentation fault."""

    def predict(self, images, *, label=""):
        predictions = super().predict(images, label=label)
        if (predictions.scores[:, 0] > 0.99).any():
            raise RuntimeError("burst")
        return predictions


def test_a_picture_that_kills_the_worker_ends_as_a_dead_letter_and_its_neighbours_are_tagged(
    start_worker: Start, desk: Desk
) -> None:
    poison = pictures.encoded(np.full((20, 30, 3), (255, 0, 0), np.uint8), "PNG")
    neighbours = desk.ask(*(pictures.jpeg(seed=i) for i in range(3)), queue=BULK)
    (poisoned,) = desk.ask(poison, queue=BULK)
    deaths = 0
    predictor = Bursting()
    while desk.transport.depths()[f"{BULK}.dead"].ready == 0:
        worker = start_worker(predictor=predictor, linger_ms=0)
        wait_until(
            lambda worker=worker: not worker.alive or desk.transport.depths()[f"{BULK}.dead"].ready > 0,
            "the worker dies, or the message is given up",
        )
        try:
            worker.stop()
        except RuntimeError:
            deaths += 1

    assert 0 < deaths <= 5
    assert {result.outcome for result in desk.answers(neighbours)} == {Outcome.TAGGED}
    assert desk.dead_letter(BULK).message_id == str(poisoned)


def test_a_picture_that_never_gets_decoded_ends_the_process_instead_of_hanging_it(
    start_worker: Start, desk: Desk, blobs: CountingBlobStore
) -> None:
    release = threading.Event()
    request = desk.request(pictures.jpeg())
    blobs.read = lambda key: release.wait(30) and b""  # type: ignore[method-assign]
    worker = start_worker(picture_deadline_s=0.5)
    desk.ask(request)
    wait_until(lambda: not worker.alive, "the worker ends")
    release.set()

    with pytest.raises(PictureStalledError):
        worker.stop()
