"""Running the checks: each by itself, each within its time, whatever another one does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import Error, connections, transaction

from dam.monitoring.doctor.findings import (
    Area,
    Check,
    Finding,
    Look,
    Status,
    Told,
    failure,
    said_by,
    skipped,
)

LIMIT_S = 10.0
"""So long a check may take before it is given up."""


def examine(areas: Sequence[Area], *, limit_s: float = LIMIT_S) -> list[Told]:
    """Look at all areas side by side, and tell what was found in their order.

    Args:
        areas: what to look at.
        limit_s: seconds that each check may take.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(areas)), thread_name_prefix="doctor") as threads:
        told = threads.map(lambda area: list(_examined(area, limit_s)), areas)
        return [one for of_area in told for one in of_area]


def _examined(area: Area, limit_s: float) -> Iterator[Told]:
    shut = ""
    if area.gate is not None:
        found = _within(area.gate, limit_s, reads_database=False)
        yield from _told(area, area.gate, found)
        if any(finding.status is Status.FAILURE for finding in found):
            shut = f"not looked at: see “{area.gate.name}”"
        elif all(finding.status is Status.SKIPPED for finding in found):
            # Nothing there to look at, which was said already.
            return
    for check in area.checks:
        if shut:
            yield Told(area.title, check.name, skipped(shut))
        else:
            yield from _told(area, check, _within(check, limit_s, reads_database=area.reads_database))


def _told(area: Area, check: Check, found: Sequence[Finding]) -> Iterator[Told]:
    for finding in found:
        yield Told(area.title, f"{check.name}: {finding.name}" if finding.name else check.name, finding)


def _within(check: Check, limit_s: float, *, reads_database: bool) -> Sequence[Finding]:
    """What the check finds, unless it takes too long; its thread is then left behind, and harms nobody."""
    answer: queue.SimpleQueue[Sequence[Finding]] = queue.SimpleQueue()

    def work() -> None:
        answer.put(_looked(check.look, limit_s, reads_database=reads_database))

    # A daemon: the process ends without waiting for whoever hangs.
    threading.Thread(target=work, name=f"doctor: {check.name}", daemon=True).start()
    try:
        return answer.get(timeout=limit_s)
    except queue.Empty:
        return [
            failure(
                f"no answer within {limit_s:g} s",
                mend="Look whether the other end hangs, or a firewall swallows packets; "
                "`vitrine doctor --limit 60` waits longer.",
            )
        ]


def _looked(look: Look, limit_s: float, *, reads_database: bool) -> Sequence[Finding]:
    try:
        with _own_connection(limit_s):
            found = _reading(look, limit_s) if reads_database else look()
    except Exception as error:  # noqa: BLE001  # a fault of one check must neither hide it nor end the others
        return [_fault(error)]
    return [found] if isinstance(found, Finding) else found


def _fault(error: Exception) -> Finding:
    if isinstance(error, Error):
        return failure(
            f"the database refused: {said_by(error)}",
            mend="Apply the migrations (`vitrine migrate`); if they are, report what the database says.",
        )
    return failure(
        f"this check itself failed: {type(error).__name__}: {said_by(error)}",
        mend="Please report it, with the version of Vitrine; the other checks are not touched by it.",
    )


@contextmanager
def _own_connection(limit_s: float) -> Iterator[None]:
    """A connection of this thread that waits no longer than the check may."""
    own = connections.create_connection("default")
    settings: dict[str, Any] = dict(own.settings_dict)
    # libpq counts whole seconds, two at the least.
    patience = {"connect_timeout": max(2, int(limit_s / 2))}
    own.settings_dict = {**settings, "OPTIONS": {**settings.get("OPTIONS", {}), **patience}}
    connections["default"] = own
    try:
        yield
    finally:
        own.close()


def _reading(look: Callable[[], Any], limit_s: float) -> Any:
    with transaction.atomic(), connections["default"].cursor() as cursor:
        # For this transaction alone: a pooler would hand a setting of the session to somebody else.
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = {int(limit_s * 900)}")
        return look()
