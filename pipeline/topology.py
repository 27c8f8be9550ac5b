"""The queues, declared in one place for every transport."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.messages import Purpose

INTERACTIVE = "tagging.interactive"
BULK = "tagging.bulk"
SHADOW = "tagging.shadow"
RESULTS = "tagging.results"
DEAD_SUFFIX = ".dead"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One work queue. Its dead-letter queue is ``name + DEAD_SUFFIX``."""

    name: str
    delivery_limit: int = 5
    """Deliveries a message gets before it is dead-lettered: the next one would be limit + 1."""
    max_length: int = 10_000
    """Messages that it takes; more are refused, and wait where they are kept anyway."""

    @property
    def dead_letters(self) -> str:
        """Name of the queue that takes what was delivered too often or rejected."""
        return self.name + DEAD_SUFFIX


QUEUES: tuple[QueueSpec, ...] = (
    QueueSpec(INTERACTIVE),
    QueueSpec(BULK),
    QueueSpec(SHADOW),
    QueueSpec(RESULTS),
)

# In the order in which a worker drains them: a person who waits overtakes any import, and what only
# compares model versions gets what time is left.
REQUEST_QUEUES: tuple[str, ...] = (INTERACTIVE, BULK, SHADOW)


def request_queue(purpose: Purpose, *, bulk: bool) -> str:
    """The queue of a request: people wait for ``try`` and single uploads, for nothing else."""
    if purpose is Purpose.SHADOW:
        return SHADOW
    if purpose is Purpose.TRY:
        return INTERACTIVE
    return BULK if bulk or purpose is not Purpose.LIVE else INTERACTIVE
