"""How pictures are gathered into batches, and who goes first."""

from __future__ import annotations

import time

import pytest

from pipeline.messages import Purpose, TagRequest
from pipeline.topology import BULK, INTERACTIVE, SHADOW
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start
from workers import tagger


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


# ----------------------------------------------- what only compares versions


def shadow_request(desk: Desk, seed: int) -> TagRequest:
    return desk.request(pictures.jpeg(seed=seed), model_label="challenger", purpose=Purpose.SHADOW)


@pytest.fixture
def challenged(model: ColourModel) -> ColourModel:
    model.served = {"": model_spec(1), "challenger": model_spec(2)}
    return model


def test_what_compares_versions_goes_last_in_small_batches_that_do_not_linger(
    start_worker: Start, desk: Desk, challenged: ColourModel
) -> None:
    shadows = desk.ask(*(shadow_request(desk, seed) for seed in range(20)), queue=SHADOW)
    bulk = desk.ask(*(pictures.jpeg(seed=seed) for seed in range(20, 60)), queue=BULK)
    single = desk.ask(pictures.jpeg(seed=60))

    start_worker()
    desk.answers([*single, *bulk, *shadows])
    assert challenged.asked == [("", 1), ("", 32), ("", 8), *[("challenger", 8)] * 2, ("challenger", 4)]

    # The bulk pictures have lingered; these do not.
    began = time.monotonic()
    start_worker(linger_ms=10_000)
    desk.answers(desk.ask(shadow_request(desk, 61), queue=SHADOW))
    assert time.monotonic() - began < 10
    wait_until(desk.everything_acknowledged, "the last one is acknowledged")


@pytest.mark.parametrize("queue", [INTERACTIVE, BULK])
def test_whatever_else_comes_overtakes_what_compares_versions(
    start_worker: Start, desk: Desk, challenged: ColourModel, queue: str
) -> None:
    live: list[int] = []
    predict = challenged.predict

    def ask_meanwhile(images, *, label=""):
        if label and len(challenged.asked) in {0, 2}:
            live.extend(desk.ask(pictures.jpeg(seed=99), queue=queue))
        return predict(images, label=label)

    challenged.predict = ask_meanwhile
    shadows = desk.ask(*(shadow_request(desk, seed) for seed in range(40)), queue=SHADOW)

    start_worker(linger_ms=0)
    desk.answers(shadows)
    desk.answers(live)

    shadow, other = ("challenger", 8), ("", 1)
    assert challenged.asked == [shadow, other, shadow, other, shadow, shadow, shadow]


def test_an_endless_import_leaves_comparisons_a_turn_now_and_then(
    start_worker: Start, desk: Desk, challenged: ColourModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagger, "_SHADOW_TURN_S", 0)
    shadows = desk.ask(*(shadow_request(desk, seed) for seed in range(9)), queue=SHADOW)
    bulk = desk.ask(*(pictures.jpeg(seed=seed) for seed in range(20, 24)), queue=BULK)

    start_worker(batch_size=2)
    desk.answers([*bulk, *shadows])

    assert challenged.asked == [("", 2), ("challenger", 8), ("", 2), ("challenger", 1)]


def test_a_worker_may_do_nothing_but_compare_versions(
    start_worker: Start, desk: Desk, challenged: ColourModel
) -> None:
    shadows = desk.ask(*(shadow_request(desk, seed) for seed in range(10)), queue=SHADOW)
    imported = desk.ask(pictures.jpeg(seed=20), queue=BULK)

    start_worker(queues=(SHADOW,))
    desk.answers(shadows)

    assert challenged.asked == [("challenger", 8), ("challenger", 2)]
    assert desk.transport.depths()[BULK].ready == len(imported)


def test_comparisons_of_a_version_that_nobody_serves_delay_nobody_for_long(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    desk.ask(shadow_request(desk, 1), queue=SHADOW)
    worker = start_worker()
    wait_until(lambda: "challenger" in worker.health.readiness(), "the worker waits for the label")
    began = time.monotonic()
    desk.answers(desk.ask(pictures.jpeg(seed=2)))
    assert time.monotonic() - began < 40, "as long as for the label of a campaign"
    assert "challenger" in desk.dead_letter(SHADOW).dead_reason


def test_an_answer_tells_the_pictures_share_of_the_batchs_time(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    jobs = desk.ask(*(pictures.jpeg(seed=seed) for seed in range(4)), queue=BULK)
    start_worker()
    for result in desk.answers(jobs):
        assert result.predict_share_ms == pytest.approx(result.stage_ms["predict"] / 4, abs=0.1)
