"""What the page *Status* says of queues, rounds and what failed, in words and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse

from dam.library.status_facts import Facts
from dam.library.wording import reason_short
from dam.monitoring.limits import RELAY_SILENT, room
from dam.monitoring.recent import FailedJob, KeptLetter
from pipeline.topology import BULK, INTERACTIVE, QUEUES, RESULTS, SHADOW

_QUEUE_NAMES: Mapping[str, str] = {
    INTERACTIVE: "People wait",
    BULK: "Imports and campaigns",
    SHADOW: "Comparisons of versions",
    RESULTS: "Answers",
}
ROUNDS: Mapping[str, tuple[str, timedelta]] = {
    "rollout": ("Watches the model in service", timedelta(seconds=10)),
    "follow": ("Derives again what people see", timedelta(seconds=10)),
    "jobs": ("Publishes lost jobs again", timedelta(minutes=5)),
    "tries": ("Forgets tries", timedelta(minutes=5)),
    "duplicates": ("Compares new pictures with the library", timedelta(minutes=1)),
    "words": ("Gathers the words of the library", timedelta(days=1)),
    "orphans": ("Sweeps the blob store", timedelta(days=1)),
}
"""What each of the relay's rounds does, and how often."""

_AGES: Mapping[str, str] = {"1m": "a minute", "10m": "ten minutes", "1h": "an hour", "1d": "a day"}


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue with its dead letters."""

    title: str
    name: str
    ready: int
    held: int | None
    readers: int
    who: str
    """Who reads it: a worker, or the results writer."""
    dead: int
    """Dead letters of it that nobody has settled, and those that are still to be read."""
    missing: bool
    """Somebody should read it, and nobody does."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One of the relay's rounds."""

    title: str
    name: str
    begun_at: datetime | None
    every: str
    late: bool


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Something that failed."""

    key: str
    title: str
    text: str
    at: datetime
    href: str
    admin: str
    """Where the administration shows more."""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A disk."""

    name: str
    size_bytes: int
    free_bytes: int
    used: float
    """Share, from 0 to 1."""
    low: bool


def queue_rows(facts: Facts) -> list[QueueRow]:
    """The queues in the order of their priority; none while the broker has never answered."""
    states = {one.name: one for one in facts.queues.value or ()}
    kept = facts.state.dead_letters
    rows = []
    for queue in QUEUES:
        state, dead = states.get(queue.name), states.get(queue.dead_letters)
        if state is None:
            continue
        rows.append(
            QueueRow(
                title=_QUEUE_NAMES.get(queue.name, queue.name),
                name=queue.name,
                ready=state.ready,
                held=state.held,
                readers=state.consumers,
                who="writer" if queue.name == RESULTS else "worker",
                dead=kept.get(queue.dead_letters, 0) + (dead.ready + (dead.held or 0) if dead else 0),
                missing=not state.consumers and (queue.name != SHADOW or state.ready > 0),
            )
        )
    return rows


def round_rows(facts: Facts) -> list[RoundRow]:
    """The rounds as far as they are known, and others that were ever begun."""
    begun = {one.name: one.begun_at for one in facts.rounds}
    rows = []
    for name in [*ROUNDS, *(name for name in begun if name not in ROUNDS)]:
        title, every = ROUNDS.get(name, (name, timedelta(days=1)))
        at = begun.get(name)
        late = at is not None and facts.state.read_at - at > every + RELAY_SILENT
        rows.append(RoundRow(title, name, at, _every(every), late))
    return rows


def _every(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    if seconds >= 86_400:
        return "every day" if seconds == 86_400 else f"every {seconds // 86_400} days"
    if seconds >= 60:
        return "every minute" if seconds == 60 else f"every {seconds // 60} minutes"
    return f"every {seconds} seconds"


def waiting_ages(facts: Facts) -> list[tuple[str, int]]:
    """How many pictures wait for longer than so long; ages that none has reached are left out."""
    older = facts.state.assets.pending_older_than
    return [(words, older[name]) for name, words in _AGES.items() if older.get(name)]


def failed_rows(jobs: list[FailedJob]) -> list[ErrorRow]:
    """Jobs that failed, with where to look."""
    return [
        ErrorRow(
            key=f"job-{job.job_id}",
            title=job.filename or f"A try, job {job.job_id}",
            text=": ".join(part for part in (reason_short(job.reason), job.detail) if part),
            at=job.at,
            href=reverse("asset", args=[job.asset_id]) if job.asset_id else "",
            admin=reverse("admin:jobs_taggingjob_change", args=[job.job_id]),
        )
        for job in jobs
    ]


def letter_rows(letters: list[KeptLetter]) -> list[ErrorRow]:
    """Dead letters, with where they are replayed or dropped."""
    return [
        ErrorRow(
            key=f"letter-{letter.letter_id}",
            title=f"Dead letter {letter.letter_id}",
            text=f"{letter.queue}: {letter.reason or 'no reason given'}",
            at=letter.at,
            href="",
            admin=reverse("admin:jobs_deadletter_change", args=[letter.letter_id]),
        )
        for letter in letters
    ]


def place_rows(facts: Facts) -> list[PlaceRow]:
    """The disks."""
    return [
        PlaceRow(
            name=disk.place,
            size_bytes=disk.size_bytes,
            free_bytes=disk.free_bytes,
            used=1 - disk.free_bytes / disk.size_bytes if disk.size_bytes else 0.0,
            low=room(size_bytes=disk.size_bytes, free_bytes=disk.free_bytes) != "enough",
        )
        for disk in facts.disks
    ]
