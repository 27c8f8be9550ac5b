"""A worker process on each broker: killed, asked to stop, poisoned, and in a hurry."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from pipeline.messages import Outcome
from pipeline.topology import BULK, INTERACTIVE, RESULTS
from tests.pipeline import pictures
from tests.plugins.brokers import RabbitBroker
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.colour_server import ColourServer
from tests.workers.desk import Desk, wait_until
from tests.workers.worker_process import StartProcess

on_both_brokers = pytest.mark.parametrize("queue_url", ["postgres", "rabbit"], indirect=True)


@on_both_brokers
def test_a_stop_under_load_finishes_what_was_delivered_and_costs_no_attempt(
    start_process: StartProcess, desk: Desk
) -> None:
    worker = start_process(BATCH_SIZE="4")
    jobs = desk.ask(*(pictures.jpeg(1500, 1000, seed=i) for i in range(40)), queue=BULK)
    wait_until(desk.has_answers, "the worker is at work")

    assert worker.stop() == 0

    answered, waiting = desk.answered(), desk.waiting()
    assert len(worker.events("worker stopped")) == 1
    assert waiting, "it finished everything before it was asked to stop"
    assert {delivery.delivery_count for delivery in waiting} == {1}
    assert sorted([*answered, *(int(delivery.message_id) for delivery in waiting)]) == sorted(jobs)


@on_both_brokers
def test_kill_9_in_the_middle_of_a_batch_loses_nothing(
    start_process: StartProcess, desk: Desk, model: ColourModel
) -> None:
    worker = start_process()
    model.served = {}  # it cannot finish
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(10)), queue=BULK)
    wait_until(lambda: desk.transport.depths()[BULK].ready == 0, "the worker holds everything")
    wait_until(lambda: not worker.ready(), "the worker is at work on it")

    worker.process.kill()
    worker.process.wait()
    model.served = {"": model_spec()}
    start_process()

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}
    assert desk.transport.depths()[f"{BULK}.dead"].ready == 0


@on_both_brokers
def test_a_picture_that_a_person_waits_for_overtakes_an_import(
    start_process: StartProcess, desk: Desk
) -> None:
    start_process(BATCH_SIZE="4")
    bulk = desk.ask(*(pictures.jpeg(1500, 1000, seed=i) for i in range(60)), queue=BULK)
    wait_until(desk.has_answers, "the worker is at work on the import")

    (urgent,) = desk.ask(pictures.jpeg(seed=999), queue=INTERACTIVE)

    assert {result.outcome for result in desk.answers([*bulk, urgent])} == {Outcome.TAGGED}
    # Before it came what was answered until then, and what was in work.
    assert desk.answered().index(urgent) < 40


class Killing(ColourModel):
    """Kills the process that asks about a red picture, as a fault in a decoder would."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = 0
        self.deaths = 0

    def predict(self, images, *, label=""):
        predictions = super().predict(images, label=label)
        if (predictions.scores[:, 0] > 0.99).any():
            os.kill(self.pid, signal.SIGKILL)
            self.deaths += 1
        return predictions


@on_both_brokers
def test_a_poison_message_is_given_up_and_takes_no_neighbour_with_it(
    start_process: StartProcess, desk: Desk
) -> None:
    poison = pictures.encoded(np.full((20, 30, 3), (255, 0, 0), np.uint8), "PNG")
    neighbours = desk.ask(*(pictures.jpeg(seed=i) for i in range(10)), queue=BULK)
    (poisoned,) = desk.ask(poison, queue=BULK)
    neighbours += desk.ask(*(pictures.jpeg(seed=i) for i in range(10, 20)), queue=BULK)
    killing = Killing()

    with ColourServer(killing) as server:

        def given_up() -> bool:
            return desk.transport.depths()[f"{BULK}.dead"].ready > 0

        while not given_up():
            worker = start_process(ready=False, MODEL_SERVERS=server.address, BATCH_SIZE="8")
            killing.pid = worker.process.pid
            wait_until(
                lambda worker=worker: worker.process.poll() is not None or given_up(),
                "the worker dies, or the message is given up",
            )
        if worker.process.poll() is not None:  # the broker gave the message up while nobody was there
            start_process(MODEL_SERVERS=server.address)
        results = desk.answers(neighbours)

    assert 0 < killing.deaths <= 5
    assert {result.outcome for result in results} == {Outcome.TAGGED}
    assert desk.dead_letter(BULK).message_id == str(poisoned)


@pytest.mark.parametrize("queue_url", ["rabbit"], indirect=True)
def test_a_full_queue_of_results_is_waited_for_and_nothing_is_said_twice(
    start_process: StartProcess, desk: Desk, rabbit_broker: RabbitBroker
) -> None:
    node, vhost = rabbit_broker.node, rabbit_broker.url.rpartition("/")[2]
    # Small batches, for a queue learns only between them that it is full.
    worker = start_process(BATCH_SIZE="4")
    node.limit_queue("results$", max_length=4, vhost=vhost)
    wait_until(lambda: node_limits(rabbit_broker) == {4}, "the limit")
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(40)), queue=BULK)
    wait_until(lambda: "full" in worker.unreadiness(), "the worker meets the full queue")
    assert desk.transport.depths()[RESULTS].ready < len(jobs)

    node.unlimit_queue(vhost=vhost)

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}
    assert sorted(desk.answered()) == sorted(jobs)
    assert desk.answers_received == len(jobs)
    wait_until(worker.ready, "the worker is ready again")
    assert worker.stop() == 0
    assert sum(int(str(line["pictures"])) for line in worker.events("batch")) == len(jobs)


def node_limits(broker: RabbitBroker) -> set[int]:
    """The operator's limits that are in force on the queue of results."""
    vhost = broker.url.rpartition("/")[2]
    queue = broker.node.manage("GET", f"queues/{vhost}/{RESULTS}")
    definition = queue.get("effective_policy_definition") or {}
    return {definition["max-length"]} if "max-length" in definition else set()


class Holding(ColourModel):
    """Gives no answer before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_now = threading.Event()
        self.go_on = threading.Event()

    def predict(self, images, *, label=""):
        self.asked_now.set()
        assert self.go_on.wait(120)
        return super().predict(images, label=label)


@on_both_brokers
def test_a_call_that_outlasts_the_deadline_ends_the_process_and_the_picture_comes_again(
    start_process: StartProcess, desk: Desk
) -> None:
    holding = Holding()
    with ColourServer(holding) as server:
        settings = {"MODEL_SERVERS": server.address, "SHUTDOWN_DEADLINE_S": "1"}
        worker = start_process(PREDICT_DEADLINE_S="120", **settings)
        jobs = desk.ask(pictures.jpeg(), queue=BULK)
        assert holding.asked_now.wait(60)

        status = worker.stop()
        holding.go_on.set()

        assert status == os.EX_TEMPFAIL
        assert [line["level"] for line in worker.events("ending the process by force")] == ["critical"]
        start_process(**settings)
        assert desk.answers(jobs)[0].outcome is Outcome.TAGGED
