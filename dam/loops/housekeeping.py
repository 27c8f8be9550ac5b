"""The relay's regular rounds, in a thread of their own, so that no sweep delays a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import Error, close_old_connections, connection

from dam.assets.orphans import SweepRefusedError
from dam.assets.storage import blob_store
from dam.assets.words import library_words_refresh
from dam.curation.pairing import pairs_find_all
from dam.jobs.services import round_begin, round_give_back
from dam.loops.reconcile import reconcile_blobs, reconcile_jobs
from dam.rollout.round import rollout_round
from dam.tagging.models import Tag
from dam.tagging.services import claims_derive_all, tries_sweep
from dam.tagging.undo import versions_follow
from dam.telemetry.metrics import (
    ROUND_LAST_REFUSAL,
    ROUND_LAST_SUCCESS,
    ROUND_RESULTS,
    ROUND_RUNS,
    ROUND_SECONDS,
    begin_at_zero,
)
from pipeline.ports import DependencyDownError

log: Any = structlog.get_logger()

LOOK_EVERY_S = 10.0
# At most so long in one go, for the other rounds wait meanwhile.
_FOLLOW_S = 60.0
_PAIR_S = 20.0
_INTERRUPTED_FOR = timedelta(days=1)

ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Round:
    """Something that one of the relays does every so often. ``work`` gives what it did, as numbers.

    ``waits_first``: on a database that knows of no such round, not before its period is over.
    """

    name: str
    every: timedelta
    work: Callable[[ShouldStop], dict[str, int]]
    waits_first: bool = False


def _sweep(should_stop: ShouldStop) -> dict[str, int]:
    return {
        "tries": tries_sweep(should_stop=should_stop),
        "interrupted_writes": blob_store().sweep_incoming(older_than_s=_INTERRUPTED_FOR.total_seconds()),
    }


def _follow(should_stop: ShouldStop) -> dict[str, int]:
    until = time.monotonic() + _FOLLOW_S
    followed = versions_follow(should_stop=lambda: should_stop() or time.monotonic() >= until)
    derived = 0
    if not should_stop() and Tag.objects.filter(derive_pending=True).exists():
        derived = claims_derive_all(should_stop=should_stop)
    return {"followed": followed, "derived_again": derived}


def _pair(should_stop: ShouldStop) -> dict[str, int]:
    until = time.monotonic() + _PAIR_S
    return {"compared": pairs_find_all(should_stop=lambda: should_stop() or time.monotonic() >= until)}


def _reconcile_jobs(should_stop: ShouldStop) -> dict[str, int]:
    return reconcile_jobs(should_stop=should_stop).as_dict()


def _reconcile_blobs(should_stop: ShouldStop) -> dict[str, int]:
    return reconcile_blobs(should_stop=should_stop).as_dict()


ROUNDS = (
    # First what may take a version out of service, then what follows from that.
    Round("rollout", timedelta(seconds=LOOK_EVERY_S), rollout_round),
    Round("follow", timedelta(seconds=LOOK_EVERY_S), _follow),
    Round("jobs", timedelta(minutes=5), _reconcile_jobs),
    Round("tries", timedelta(minutes=5), _sweep),
    Round("duplicates", timedelta(minutes=1), _pair),
    Round("words", timedelta(days=1), lambda _should_stop: library_words_refresh()),
    # It deletes pictures, so a new database has a day in which somebody may see whose store it stands before.
    Round("orphans", timedelta(days=1), _reconcile_blobs, waits_first=True),
)


@contextmanager
def housekeeping() -> Iterator[None]:
    """Do the rounds while the block runs; several relays share them."""
    begin_at_zero(ROUND_RUNS, [one.name for one in ROUNDS], ROUND_RESULTS)
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(LOOK_EVERY_S):
                do_rounds(stop.is_set)
                close_old_connections()
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="housekeeping")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def do_rounds(should_stop: ShouldStop) -> None:
    """Do each round that is due, unless another relay has begun it; what fails is due again."""
    for one in ROUNDS:
        if should_stop():
            return
        try:
            if round_begin(name=one.name, every=one.every, waits_first=one.waits_first):
                _do(one, should_stop)
        except Error as error:
            # The database went away; the loop goes on and the next look finds it again.
            log.warning("round waits", round=one.name, reason=str(error).strip())
            return


def _do(one: Round, should_stop: ShouldStop) -> None:
    began = time.perf_counter()
    try:
        done = one.work(should_stop)
    except DependencyDownError as error:
        ROUND_RUNS.labels(one.name, "waits").inc()
        log.warning("round waits", round=one.name, reason=str(error).strip())
        round_give_back(name=one.name, every=one.every)
        return
    except SweepRefusedError as refused:
        _tell_refused(one, refused)
        return
    except Error:
        ROUND_RUNS.labels(one.name, "waits").inc()
        raise
    except Exception:
        # A fault of ours in one round must neither end the others nor go unseen.
        ROUND_RUNS.labels(one.name, "failed").inc()
        log.exception("round failed", round=one.name)
        return
    spent = time.perf_counter() - began
    ROUND_RUNS.labels(one.name, "done").inc()
    ROUND_SECONDS.labels(one.name).observe(spent)
    ROUND_LAST_SUCCESS.labels(one.name).set_to_current_time()
    if any(done.values()):
        numbers = {name: number for name, number in done.items() if number}
        log.info("round done", round=one.name, **numbers, total_ms=round(spent * 1000, 1))


def _tell_refused(one: Round, refused: SweepRefusedError) -> None:
    """People have to look; it is asked again in its period, for counting lists the whole store."""
    ROUND_RUNS.labels(one.name, "refused").inc()
    ROUND_LAST_REFUSAL.labels(one.name).set_to_current_time()
    log.error("round refused", round=one.name, reason=str(refused))
