"""How pictures are gathered into batches, and who goes first."""

from __future__ import annotations

import time

from pipeline.messages import Purpose
from pipeline.topology import BULK, INTERACTIVE
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start


def test_bulk_pictures_share_a_batch_of_the_size_that_is_set(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(20)), queue=BULK)

    start_worker(batch_size=16)
    desk.answers(jobs)

    assert model.asked == [("", 16), ("", 4)]


def test_a_bulk_batch_lingers_for_more(start_worker: Start, desk: Desk, model: ColourModel) -> None:
    start_worker(linger_ms=10_000, batch_size=3)
    jobs = []
    for seed in range(3):
        jobs += desk.ask(pictures.jpeg(seed=seed), queue=BULK)
        wait_until(lambda: desk.transport.depths()[BULK].ready == 0, "the worker takes it")

    desk.answers(jobs)

    assert model.asked == [("", 3)]


def test_what_a_person_waits_for_does_not_linger(start_worker: Start, desk: Desk) -> None:
    start_worker(linger_ms=10_000)
    desk.answers(desk.ask(pictures.jpeg(seed=1)))

    began = time.monotonic()
    desk.answers(desk.ask(pictures.jpeg(seed=2)))

    assert time.monotonic() - began < 5


def test_what_a_person_waits_for_goes_before_a_lingering_batch(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    start_worker(linger_ms=10_000)
    bulk = desk.ask(pictures.jpeg(seed=1), pictures.jpeg(seed=2), queue=BULK)
    wait_until(lambda: desk.transport.depths()[BULK].ready == 0, "the worker takes them")

    began = time.monotonic()
    desk.answers(desk.ask(pictures.jpeg(seed=3), queue=INTERACTIVE))

    assert time.monotonic() - began < 8
    desk.answers(bulk)
    assert model.asked == [("", 1), ("", 2)]


def test_many_pictures_that_people_wait_for_are_answered_in_small_parts(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(20)))

    start_worker()
    desk.answers(jobs)

    assert [count for _, count in model.asked] == [8, 8, 4]


def test_requests_for_several_labels_are_asked_of_each(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    model.served = {"": model_spec(1), "challenger": model_spec(2, width=50, height=40)}
    requests = [
        desk.request(pictures.jpeg(seed=i), model_label=("", "challenger")[i % 2], purpose=Purpose.SHADOW)
        for i in range(4)
    ]

    start_worker()
    results = desk.answers(desk.ask(*requests, queue=BULK))

    assert [result.model.version for result in results if result.model] == [1, 2, 1, 2]
    assert sorted(model.asked) == [("", 2), ("challenger", 2)]
