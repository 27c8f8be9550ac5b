"""What is wrong, in a sentence, and since when; or that all is well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dam.library.status_facts import Facts
from dam.library.status_integrity import damage_of, is_stale
from dam.monitoring.limits import (
    CONNECTIONS_SHARE,
    CONTROLLER_SILENT,
    RELAY_SILENT,
    SLOW_S,
    STUCK_S,
    room,
)
from dam.monitoring.queues import QueueState
from dam.rollout.serving import live_version
from pipeline.topology import DEAD_SUFFIX, REQUEST_QUEUES, RESULTS, SHADOW

Level = Literal["danger", "warn"]

_LANES = {"interactive": "uploads", "bulk": "imports", "shadow": "comparisons"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong.

    Args:
        level: whether it harms by now, or will.
        text: a sentence.
        advice: another one: what it means, or what to do.
        place: the part of the page that shows more of it.
        since: when it began, if that is known.
        href: where the administration lists what is concerned, if it does.
    """

    level: Level
    text: str
    advice: str
    place: str
    since: datetime | None = None
    href: str = ""


def troubles_of(facts: Facts) -> list[Trouble]:
    """What is wrong, the worst first."""
    found = [
        *_broker(facts),
        *_readers(facts),
        *_model(facts),
        *_relay(facts),
        *_originals(facts),
        *_ledger(facts),
        *_waiting(facts),
        *_places(facts),
        *_dead_letters(facts),
        *_controller(facts),
    ]
    return sorted(found, key=lambda trouble: trouble.level != "danger")


def _broker(facts: Facts) -> Iterator[Trouble]:
    if problem := facts.queues.trouble:
        yield Trouble(
            "danger",
            "The broker of the queues does not answer.",
            f"Uploads go on, and pictures wait for their tags. It said: {problem}",
            "queues",
            _stalled_since(facts),
        )


def _readers(facts: Facts) -> Iterator[Trouble]:
    """Queues that nobody reads."""
    if facts.queues.trouble:
        return
    unread = [one for one in facts.queues.value or () if not one.consumers]
    answers = [one for one in unread if one.name == RESULTS or one.name.endswith(DEAD_SUFFIX)]
    requests = [one for one in unread if one not in answers]
    needed = [one for one in requests if one.name != SHADOW or one.ready]
    if needed:
        every = len(requests) == len(REQUEST_QUEUES)
        yield Trouble(
            "danger",
            "No worker is there." if every else f"No worker reads {_names(needed)}.",
            f"{_number(sum(one.ready for one in requests), 'job')} in the queues; nothing is lost. "
            "Start one, or look into its log.",
            "queues",
            _stalled_since(facts),
        )
    elif requests:
        yield Trouble(
            "warn",
            f"No worker reads {_names(requests)}.",
            "New versions are not compared. VITRINE_QUEUES says what a worker reads.",
            "queues",
        )
    if answers:
        yield Trouble(
            "danger",
            "The results writer is not there.",
            "Answers wait, and nothing is lost. Start `vitrine write_results`, or look into its log.",
            "queues",
            _stalled_since(facts),
        )


def _names(queues: list[QueueState]) -> str:
    names = [one.name for one in queues]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _stalled_since(facts: Facts) -> datetime | None:
    """When the last answer came, if something waits for one since; None: nothing is harmed yet."""
    ages = facts.state.jobs.oldest_s.values()
    oldest_s = max(ages, default=0.0)
    if not oldest_s:
        return None
    issued = facts.state.read_at - timedelta(seconds=oldest_s)
    return max(issued, facts.answered_at) if facts.answered_at else issued


def _model(facts: Facts) -> Iterator[Trouble]:
    champion = facts.rollout.champion
    if champion is not None and live_version(facts.rollout) is None:
        yield Trouble(
            "danger",
            f"Version {champion.version} is withdrawn, and no other one is loaded.",
            "Pictures wait for their tags. Promote a version, or take the undoing back.",
            "model",
            champion.withdrawn_at,
        )


def _relay(facts: Facts) -> Iterator[Trouble]:
    last = max((one.begun_at for one in facts.rounds), default=None)
    if last is None or facts.state.read_at - last > RELAY_SILENT:
        yield Trouble(
            "danger",
            "The relay is not there." if last else "No relay has ever run.",
            "Uploads are kept, and reach no worker. Start it, `vitrine relay`, or look into its log.",
            "rounds",
            last,
        )


def _originals(facts: Facts) -> Iterator[Trouble]:
    if damage := damage_of(facts.integrity):
        text, advice, href = damage
        yield Trouble("danger", text, advice, "integrity", href=href)
    elif is_stale(facts.integrity, now=facts.state.read_at):
        yield Trouble(
            "warn",
            "Nobody has compared database and blob store for long.",
            "Bytes that changed would not be known. `vitrine integrity` compares them.",
            "integrity",
        )


def _ledger(facts: Facts) -> Iterator[Trouble]:
    sums = facts.ledger.value
    if sums is not None and not sums.agrees:
        parts = [
            f"{number:,} {what}"
            for number, what in (
                (sums.forgotten, "pending without a job"),
                (sums.unproven, "tagged without a prediction"),
                (sums.unexplained, "failed without a failed job"),
            )
            if number
        ]
        yield Trouble(
            "danger",
            "The ledger does not agree.",
            f"{', '.join(parts) or 'The sums differ'}. `vitrine reconcile` issues jobs that are missing.",
            "ledger",
        )


def _waiting(facts: Facts) -> Iterator[Trouble]:
    for lane, slow_s in SLOW_S.items():
        oldest_s = max(facts.state.jobs.oldest_s[state, lane] for state in ("queued", "published"))
        if oldest_s > slow_s:
            yield Trouble(
                "danger" if oldest_s > STUCK_S[lane] else "warn",
                f"The oldest of the {_LANES[lane]} waits too long.",
                "Something on the way is slow or stopped; what else is wrong here says what.",
                "ledger",
                facts.state.read_at - timedelta(seconds=oldest_s),
            )


def _places(facts: Facts) -> Iterator[Trouble]:
    if facts.disks_problem:
        yield Trouble(
            "danger", "A folder that Vitrine keeps things in is not there.", facts.disks_problem, "places"
        )
    for disk in facts.disks:
        left = room(size_bytes=disk.size_bytes, free_bytes=disk.free_bytes)
        if left != "enough":
            yield Trouble(
                "danger" if left == "full" else "warn",
                f"The disk of {disk.place} is {'full' if left == 'full' else 'nearly full'}.",
                "Make room, or move it to a larger disk; uploads fail when it is full.",
                "places",
            )
    if outage := facts.blob_store.value or facts.blob_store.problem:
        yield Trouble(
            "danger",
            "The blob store does not answer.",
            f"Uploads are refused, pictures are not shown. It said: {outage}",
            "places",
        )
    used, limit = sum(facts.database.connections.values()), facts.database.connections_limit
    if used > CONNECTIONS_SHARE * limit:
        yield Trouble(
            "warn",
            f"The database has {used} of {limit} connections in use.",
            "Raise max_connections, run fewer processes, or put a pooler in front.",
            "places",
        )


def _dead_letters(facts: Facts) -> Iterator[Trouble]:
    number = sum(facts.state.dead_letters.values())
    if number:
        yield Trouble(
            "warn",
            f"{_number(number, 'dead letter')} wait{'s' if number == 1 else ''} for you.",
            "Each is a message that the queue gave up: replay it, or drop it.",
            "errors",
            facts.dead_since,
        )


def _controller(facts: Facts) -> Iterator[Trouble]:
    heard = facts.rollout.reported_at
    if heard is not None and facts.state.read_at - heard > CONTROLLER_SILENT:
        yield Trouble(
            "warn",
            "The controller is silent.",
            "Pictures are tagged all the same; promotions and roll-backs wait for it.",
            "model",
            heard,
        )
