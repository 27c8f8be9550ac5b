"""Another version of the model is rolled out while a worker runs."""

from __future__ import annotations

import time

import numpy as np

from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start


def test_a_version_with_another_input_gets_pixels_made_for_it(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: CountingBlobStore
) -> None:
    """The shape differs, so the model refuses; or only the preprocess differs, so it answers."""
    start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    model.announced = {"": model_spec(1)}
    model.served = {"": model_spec(2, width=64, height=64)}
    jobs = desk.ask(pictures.jpeg(seed=1))
    time.sleep(1)
    assert not desk.has_answers()

    model.announced = {}
    (result,) = desk.answers(jobs)

    assert result.model is not None
    assert (result.model.version, result.model.preprocess_id) == (2, "squash-64x64")
    assert len(result.renditions) == 2


def test_a_version_of_the_same_shape_but_another_preprocess_gets_pixels_made_for_it(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: CountingBlobStore
) -> None:
    start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    renamed = model_spec(2)
    renamed = type(renamed)(
        renamed.identity, renamed.preprocess.model_copy(update={"id": "newer"}), renamed.labels
    )
    model.announced, model.served = {"": model_spec(1)}, {"": renamed}
    reads = blobs.reads

    (result,) = desk.answers(desk.ask(pictures.jpeg(seed=1)))

    assert result.model is not None
    assert result.model.version == 2
    assert blobs.reads == reads + 2, "it was not prepared again"


def test_a_version_that_cannot_be_fed_is_waited_out(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    worker = start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    model.served = {"": model_spec(2, fit="letterbox")}
    jobs = desk.ask(pictures.jpeg(seed=1))
    wait_until(lambda: "letterbox" in worker.health.readiness(), "the worker tells why")
    assert not desk.has_answers()

    model.served = {"": model_spec(3)}
    (result,) = desk.answers(jobs)

    assert result.model is not None
    assert result.model.version == 3


class NotANumber(ColourModel):
    def predict(self, images, *, label=""):
        predictions = super().predict(images, label=label)
        predictions.embeddings[:] = np.nan
        return predictions


def test_an_answer_without_numbers_is_never_passed_on(start_worker: Start, desk: Desk) -> None:
    worker = start_worker(predictor=NotANumber(), shutdown_deadline_s=0)
    desk.ask(pictures.jpeg())

    wait_until(lambda: "without a number" in worker.health.readiness(), "the worker tells why")
    worker.stop()

    assert not desk.has_answers()
