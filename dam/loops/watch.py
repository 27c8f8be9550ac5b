"""The watch: looks at a source again and again, and takes what is new and complete."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TextIO
from urllib.parse import unquote_plus

import structlog
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, connection
from watchfiles import watch as notifications

from dam.assets.models import Collection, SourceFile
from dam.assets.sources import BucketSource, FolderSource, FoundFile, Source, paths_below
from dam.assets.watching import fingerprints_known, source_file_take
from dam.loops.backoff import Backoff
from dam.telemetry.process import MAX_SILENCE_S
from pipeline.ports import DependencyDownError
from pipeline.telemetry.health import Health
from pipeline.telemetry.metrics import DEPENDENCY_FAILURES

log = structlog.get_logger()

TICK_S = 0.5
_AT_ONCE = 500
# Of files that are new and may not be complete: an initial scan of millions must not fill the memory.
_MOST_WAITING = 10_000


@dataclass
class Watch:
    """One source, watched by one process; a second one of the same source takes nothing twice either."""

    source: Source
    user: User
    collection: Collection | None = None
    interval_s: float = 60.0
    settle_s: float = 2.0
    should_stop: Callable[[], bool] = bool
    counts: Counter[str] = field(default_factory=Counter)
    """What this process did, by outcome."""

    def __post_init__(self) -> None:
        self._waiting: dict[str, tuple[str, float]] = {}
        self._scan: Iterator[FoundFile] | None = None
        self._next_scan = float("-inf")

    @property
    def has_caught_up(self) -> bool:
        """Whether a scan is complete and no file waits."""
        return self._scan is None and not self._waiting and self._next_scan > float("-inf")

    def look(self, changed: Iterable[str] = ()) -> None:
        """Look at what was told to have changed, at what waits, and at all of it when that is due.

        Raises:
            DependencyDownError, OperationalError, InterfaceError: an outage; the next look begins anew.
        """
        try:
            told = dict.fromkeys((*self._waiting, *changed))  # in the order in which they were found
            self._look_at(found for path in told for found in self._seen(path))
            if self._scan is None and time.monotonic() >= self._next_scan:
                self._scan = iter(self.source.scan())
            while self._scan is not None and len(self._waiting) < _MOST_WAITING and not self.should_stop():
                if not self._look_at(islice(self._scan, _AT_ONCE)):
                    self._scan, self._next_scan = None, time.monotonic() + self.interval_s
        except (DependencyDownError, OperationalError, InterfaceError):
            self.begin_anew()
            raise

    def begin_anew(self) -> None:
        """Something may have been missed: scan at the next look."""
        self._scan, self._next_scan = None, float("-inf")

    def _seen(self, path: str) -> Iterator[FoundFile]:
        found = False
        for file in self.source.look(path):
            found = True
            yield file
        if not found:
            self._waiting.pop(path, None)

    def _look_at(self, files: Iterable[FoundFile]) -> int:
        """Take those that are new and complete; how many were looked at."""
        count, files = 0, iter(files)
        while part := list(islice(files, _AT_ONCE)):
            count += len(part)
            known = fingerprints_known(source=self.source, paths=[file.path for file in part])
            for file in part:
                if self.should_stop():
                    return count
                if known.get(file.path) == file.fingerprint:
                    self._waiting.pop(file.path, None)
                elif self._is_complete(file):
                    self._take(file)
        return count

    def _is_complete(self, file: FoundFile) -> bool:
        """Whether two looks, some time apart, found the same."""
        if not self.source.settles:
            return True
        fingerprint, since = self._waiting.get(file.path, ("", 0.0))
        if fingerprint == file.fingerprint:
            return time.monotonic() - since >= self.settle_s
        self._waiting[file.path] = (file.fingerprint, time.monotonic())
        return False

    def _take(self, file: FoundFile) -> None:
        row = source_file_take(source=self.source, file=file, user=self.user, collection=self.collection)
        if row is None:
            # Gone or changed. The next look tells, and a changed one waits anew.
            self._waiting[file.path] = ("", time.monotonic())
            return
        self._waiting.pop(file.path, None)
        self.counts[row.outcome] += 1
        words = {"path": row.path, "asset": row.asset_id, "reason": row.reason, "detail": row.detail}
        log.info(
            "refused" if row.outcome == SourceFile.Outcome.REFUSED else "took",
            outcome=row.outcome,
            **{name: word for name, word in words.items() if word},
        )


def run(
    watch: Watch,
    stop: threading.Event,
    *,
    once: bool = False,
    events: TextIO | None = None,
    health: Health | None = None,
) -> None:
    """Watch until asked to stop, or with ``once`` until all that is there was taken or refused.

    Outages of the source, the database and the blob store are waited out, and told to ``health``.
    """
    backoff = Backoff()
    health = health or Health(max_silence_s=MAX_SILENCE_S)
    log.info("watching", source=watch.source.name)
    health.started()
    for changed in _ticks(watch, stop, events):
        health.beat()
        try:
            watch.look(changed)
            backoff.reset()
            health.outage_over()
        except (DependencyDownError, OperationalError, InterfaceError) as error:
            connection.close()
            delay = backoff.next_delay()
            reason = str(error).strip().partition("\n")[0]
            DEPENDENCY_FAILURES.labels("watch").inc()
            health.outage(reason)
            log.warning("waiting out an outage", error=reason, retry_s=round(delay, 1))
            stop.wait(delay)
            continue
        if stop.is_set() or (once and watch.has_caught_up):
            break
    log.info("stopped", **watch.counts)


def _ticks(watch: Watch, stop: threading.Event, events: TextIO | None) -> Iterator[set[str]]:
    """What is said to have changed; empty sets in between, so that the rest has its turn."""
    if isinstance(watch.source, FolderSource):
        yield from _folder_ticks(watch, watch.source, stop)
    elif events is not None and isinstance(watch.source, BucketSource):
        yield set()
        yield from _event_ticks(watch.source, stop, events)
    yield set()
    while not stop.wait(TICK_S):
        yield set()


def _folder_ticks(watch: Watch, source: FolderSource, stop: threading.Event) -> Iterator[set[str]]:
    while not stop.is_set():
        told = notifications(
            source.root,
            watch_filter=None,
            debounce=round(TICK_S * 1000),
            rust_timeout=round(TICK_S * 1000),
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        )
        # Whatever happened while nobody listened is found by the scan that follows the first answer.
        watch.begin_anew()
        try:
            with closing(told):
                for changes in told:
                    yield paths_below(source.root, (path for _, path in changes))
                    if not source.root.is_dir():
                        log.warning("the folder is gone", source=source.name)
                        break
        except OSError as error:
            # No folder, or more folders than the system lets anybody watch.
            log.warning("no notifications, only looking from time to time", error=str(error))
        again = time.monotonic() + watch.interval_s
        while not stop.is_set() and time.monotonic() < again:
            yield set()
            stop.wait(TICK_S)


def _event_ticks(source: BucketSource, stop: threading.Event, events: TextIO) -> Iterator[set[str]]:
    """Paths that lines of S3 event notifications name; ends with the stream."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        for line in events:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="events", daemon=True).start()
    while not stop.is_set():
        try:
            line = lines.get(timeout=TICK_S)
        except Empty:
            yield set()
            continue
        if line is None:
            log.info("the events have ended, going on by listing")
            return
        yield paths_of_event(source, line)


def paths_of_event(source: BucketSource, line: str) -> set[str]:
    """What a notification in the form of AWS and MinIO says was put into the source."""
    try:
        records = json.loads(line).get("Records") or []
        return {
            path
            for record in records
            if "ObjectCreated" in record["eventName"]
            # Keys come in the form of a query string.
            and (
                path := source.path_of(
                    record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
                )
            )
        }
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        log.warning("not an event", error=repr(error), line=line[:200])
        return set()
