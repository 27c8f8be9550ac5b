"""A run: database and blob store are compared, and what was found is recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from dam.integrity.again import Again
from dam.integrity.comparison import Comparison
from dam.integrity.reading import Reader
from dam.integrity.report import Outcome, Report
from dam.integrity.selectors import read_last_until
from dam.integrity.services import run_begin, run_end, run_heard
from pipeline.trees import Tree, tree_from_url

FINDINGS_KEPT = 1_000
"""Of each fault; all of them are counted."""

THREADS = 8
"""That read originals; as many others ask the store for single files."""

_WAITING_PER_THREAD = 4
_TOLD_EVERY_S = 0.5
_HEARD_EVERY_S = 10.0
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")


def checksums_share(text: str) -> float:
    """The share of the originals, from 0 to 1, whose bytes ``all``, ``none`` or ``5%`` has read.

    Raises:
        ValueError: it is none of these.
    """
    if text in {"all", "none"}:
        return float(text == "all")
    found = _SHARE.fullmatch(text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise ValueError(f"not a share of the originals: {text!r}; use all, none, or one such as 5%")
    return share


def check(
    *,
    checksums: str = "none",
    should_stop: Callable[[], bool] = bool,
    progress: Callable[[Report], None] = lambda _report: None,
    command: str = "",
    store: Tree | None = None,
) -> Report:
    """Compare database and blob store, and record the run with what it found.

    Changes nothing but its own records; two at once are harmless. Call it outside a transaction.

    Args:
        checksums: whose bytes are read: ``all``, ``none``, or a share such as ``5%`` of those that were read
            longest ago. Originals that the last runs found changed are read in any case.
        should_stop: asked all the while; the report is then of what was seen until then.
        progress: given the report so far, about twice a second.
        command: what began it, for the record.
        store: another place than that of the catalogue.

    Raises:
        ValueError: ``checksums`` is none of these; nothing was recorded.
        DependencyDownError: the store does not answer; the run is recorded as failed.
        django.db.Error: the database does not answer.
    """
    share = checksums_share(checksums)
    tree = tree_from_url(settings.BLOB_URL) if store is None else store
    report = Report(tree.url, checksums, timezone.now(), FINDINGS_KEPT)
    if 0 < share < 1:
        # From the start, so that a run that fails takes nobody's place.
        report.read_from = report.read_until = read_last_until()
    run_begin(report=report, command=command or "check()")
    try:
        # Two sets, for whoever asks holds locks meanwhile, and must not stand in line behind large files.
        with (
            ThreadPoolExecutor(THREADS, "reading") as reading,
            ThreadPoolExecutor(THREADS, "asking") as asking,
        ):
            reader = Reader(tree, reading, most=_WAITING_PER_THREAD * THREADS, should_stop=should_stop)
            try:
                comparison = Comparison(tree, report, reader, Again(tree, asking), _Teller(report, progress))
                report.outcome = comparison.work(share, should_stop)
            finally:
                reader.give_up()
    except BaseException as error:
        report.outcome, report.ended_at = Outcome.FAILED, timezone.now()
        report.trouble = str(error).strip().partition("\n")[0] or type(error).__name__
        _record_failure(report)
        raise
    report.ended_at = timezone.now()
    run_end(report=report)
    return report


def _record_failure(report: Report) -> None:
    try:
        run_end(report=report)
    except Error:
        # It is the database that went away: the next run closes this one.
        connection.close()


class _Teller:
    """Tells of a report now and then: to whoever looks on, and to the record."""

    def __init__(self, report: Report, progress: Callable[[Report], None]) -> None:
        self._report = report
        self._progress = progress
        self._told = self._heard = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY_S:
            self._told = now
            self._progress(self._report)
        if now - self._heard >= _HEARD_EVERY_S:
            self._heard = now
            run_heard(report=self._report)
