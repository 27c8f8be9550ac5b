"""What a worker process does with SIGTERM while something it depends on is missing."""

from __future__ import annotations

import os

from pipeline.messages import Outcome
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.colour_server import ColourServer
from tests.workers.desk import Desk, wait_until
from tests.workers.worker_process import StartProcess


def test_a_worker_without_a_model_says_what_it_waits_for_and_stops_at_once(
    start_process: StartProcess, server: ColourServer, model: ColourModel
) -> None:
    model.served = {}
    worker = start_process(ready=False, SHUTDOWN_DEADLINE_S="600")
    wait_until(lambda: "waiting for the model" in worker.unreadiness(), "the worker tells what it waits for")
    assert server.address in worker.unreadiness()
    (line,) = worker.events("waiting for the model")
    assert (line["model"], line["servers"]) == ("tagger", server.address)

    assert worker.stop() == 0


def test_a_worker_gets_ready_when_the_model_does(start_process: StartProcess, model: ColourModel) -> None:
    model.served = {}
    worker = start_process(ready=False)
    wait_until(lambda: "waiting for the model" in worker.unreadiness(), "the worker tells what it waits for")

    model.served = {"": model_spec(7)}

    wait_until(worker.ready, "the worker gets ready")
    assert [line["model_version"] for line in worker.events("worker ready")] == [7]


def test_a_stop_during_an_outage_ends_after_the_deadline_and_says_that_work_is_left(
    start_process: StartProcess, desk: Desk, model: ColourModel
) -> None:
    worker = start_process(SHUTDOWN_DEADLINE_S="1")
    model.served = {}
    jobs = desk.ask(pictures.jpeg(), queue=BULK)
    wait_until(lambda: not worker.ready(), "the worker is at work on it")

    assert worker.stop() == os.EX_TEMPFAIL

    assert [line["level"] for line in worker.events("stopped with unfinished work")] == ["error"]
    model.served = {"": model_spec()}
    start_process()
    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED
