"""How a worker waits for what is down."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from pipeline.ports import DependencyDownError, IncompatibleModelError
from pipeline.telemetry.health import Health
from workers.patience import GaveUpError, Patience, Shutdown


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown(deadline_s=0.3)


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "answer"

    return attempt


def failures(stage: str) -> float:
    return REGISTRY.get_sample_value("vitrine_dependency_failures_total", {"stage": stage}) or 0.0


def test_patience_tries_until_the_dependency_answers(shutdown: Shutdown) -> None:
    health = Health(max_silence_s=60)
    health.started()
    patience = Patience(shutdown, health)
    began, before = time.monotonic(), failures("a stage of this test")

    answer = patience.persist("a stage of this test", failing(2, DependencyDownError("away")))

    assert (answer, health.readiness()) == ("answer", "")
    assert failures("a stage of this test") == before + 2
    # A quarter of a second and half a second, each drawn between half and all of that.
    assert 0.375 <= patience.paused_s <= time.monotonic() - began


def test_patience_beats_while_it_waits(shutdown: Shutdown) -> None:
    health = Health(max_silence_s=0.5)
    troubles = []

    def attempt() -> None:
        troubles.append(health.liveness())
        if len(troubles) < 4:
            raise DependencyDownError("away")

    Patience(shutdown, health).persist("store", attempt)

    assert troubles == [""] * 4


def test_patience_ends_when_the_time_to_finish_is_over(shutdown: Shutdown) -> None:
    shutdown.ask()
    began = time.monotonic()

    with pytest.raises(GaveUpError, match="store"):
        Patience(shutdown, Health(max_silence_s=60)).persist(
            "store", failing(10**6, DependencyDownError("away"))
        )

    assert 0.3 <= time.monotonic() - began < 10


def test_an_error_that_is_no_outage_is_not_waited_out(shutdown: Shutdown) -> None:
    with pytest.raises(ZeroDivisionError):
        Patience(shutdown, Health(max_silence_s=60)).persist("store", failing(1, ZeroDivisionError()))


def test_a_failure_may_end_the_waiting(shutdown: Shutdown) -> None:
    def enough(error: Exception) -> None:
        raise LookupError from error

    with pytest.raises(LookupError):
        Patience(shutdown, Health(max_silence_s=60)).persist(
            "answer", failing(1, IncompatibleModelError("no")), on_failure=enough
        )
