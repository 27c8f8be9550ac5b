"""What threads that decode side by side share out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import prepare
from pipeline.preprocess.memory import MemoryBudget
from tests.pipeline import pictures
from tests.plugins.processes import wait_for

_PATIENCE_S = 30


class Crowd:
    """Threads that hold bytes until they are told to let go."""

    def __init__(self, budget: MemoryBudget, pool: ThreadPoolExecutor) -> None:
        self._budget = budget
        self._pool = pool
        self.inside: list[str] = []
        self._leave: dict[str, threading.Event] = {}
        self._ended: dict[str, Future[None]] = {}

    def enter(self, name: str, size: int) -> None:
        """Begin to wait for so many bytes."""
        self._leave[name] = threading.Event()
        self._ended[name] = self._pool.submit(self._hold, name, size)

    def _hold(self, name: str, size: int) -> None:
        with self._budget.hold(size):
            self.inside.append(name)
            self._leave[name].wait(_PATIENCE_S)
            self.inside.remove(name)

    def leave(self, name: str) -> None:
        self._leave[name].set()
        self._ended[name].result(_PATIENCE_S)

    def everybody_leaves(self) -> None:
        for event in self._leave.values():
            event.set()

    def wait_for(self, *names: str) -> None:
        wait_for(lambda: set(self.inside) == set(names), _PATIENCE_S, f"{names} to hold")


@contextmanager
def crowd_of(limit: int) -> Iterator[Crowd]:
    with ThreadPoolExecutor(8) as pool:
        crowd = Crowd(MemoryBudget(limit), pool)
        try:
            yield crowd
        finally:
            crowd.everybody_leaves()


def stays_outside(crowd: Crowd, name: str) -> bool:
    """Whether it has not come in after a moment in which it could have."""
    threading.Event().wait(0.2)
    return name not in crowd.inside


def test_as_many_hold_at_the_same_time_as_there_is_room_for() -> None:
    with crowd_of(100) as crowd:
        crowd.enter("a", 40)
        crowd.enter("b", 60)
        crowd.wait_for("a", "b")
        crowd.enter("c", 1)
        assert stays_outside(crowd, "c")

        crowd.leave("a")

        crowd.wait_for("b", "c")


def test_what_is_larger_than_everything_goes_alone_and_is_not_stuck() -> None:
    with crowd_of(100) as crowd:
        crowd.enter("small", 1)
        crowd.wait_for("small")
        crowd.enter("giant", 5000)
        assert stays_outside(crowd, "giant")
        crowd.leave("small")
        crowd.wait_for("giant")

        crowd.enter("next", 1)
        assert stays_outside(crowd, "next")
        crowd.leave("giant")
        crowd.wait_for("next")


def test_a_large_one_that_waits_is_not_overtaken_by_small_ones() -> None:
    with crowd_of(100) as crowd:
        crowd.enter("first", 50)
        crowd.wait_for("first")
        crowd.enter("large", 80)
        assert stays_outside(crowd, "large")
        crowd.enter("small", 10)
        assert stays_outside(crowd, "small")

        crowd.leave("first")

        crowd.wait_for("large", "small")


def test_who_turns_out_to_be_smaller_makes_room_at_once() -> None:
    budget = MemoryBudget(100)
    with ThreadPoolExecutor(1) as pool, budget.hold(100) as mine:
        crowd = Crowd(budget, pool)
        crowd.enter("other", 50)
        assert stays_outside(crowd, "other")

        budget.correct(mine, 20)

        crowd.wait_for("other")
        crowd.leave("other")


def test_who_fails_gives_back_what_it_held() -> None:
    budget = MemoryBudget(100)
    with pytest.raises(RuntimeError, match="inside"), budget.hold(100):
        raise RuntimeError("inside")

    with budget.hold(100) as again:
        assert again.size == 100


class Watched(MemoryBudget):
    """Keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__(2**40)
        self.asked: list[int] = []

    def hold(self, size):
        self.asked.append(size)
        return super().hold(size)


def _asked(data: bytes) -> int:
    memory = Watched()
    prepare(data, PreprocessSpec(id="x", width=260, height=260), memory=memory)
    (size,) = memory.asked
    return size


def test_decoding_asks_for_more_where_it_needs_more() -> None:
    scene = pictures.scene(4000, 1200)
    pixels = 4000 * 1200
    reduced = _asked(pictures.encoded(scene, "JPEG"))
    progressive = _asked(pictures.encoded(scene, "JPEG", progressive=True))
    png = _asked(pictures.encoded(scene, "PNG", compress_level=0))
    tiff = _asked(pictures.encoded(scene, "TIFF"))

    assert reduced < progressive < png < tiff
    assert png >= 6 * pixels, "OpenCV keeps what it decodes twice"
    assert _asked(pictures.sixteen_bit_png()) == 2 * _asked(pictures.encoded(pictures.scene(), "PNG"))
