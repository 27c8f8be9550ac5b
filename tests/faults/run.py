"""One run: a system is started, pictures come in, everything fails once, and the proof is made."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import proof
from tests.faults.faults import FAULTS, Fault
from tests.faults.mixed_pictures import write_mixed
from tests.faults.scene import Scene, StuckError
from tests.plugins.plant import Plant

# Far beyond what any recovery may take: what is not done by then is stuck.
_RECOVERS_WITHIN_S = 240
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Recovery:
    """What became of one fault; seconds count from the healing."""

    fault: str
    lasted_s: float
    first_answer_s: float | None
    """None: everything was answered before."""
    all_answered_s: float | None
    """None: the next fault came first."""
    notes: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What one run found."""

    seed: int
    pictures: int
    recoveries: list[Recovery] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    last_words: str = ""


def run(
    home: Path,
    *,
    models: Path,
    seed: int,
    pictures: int,
    outage_scale: float = 1.0,
    overlap: float = 0.3,
    heartbeat_s: int | None = None,
    tell: Tell = print,
    **variables: str,
) -> Outcome:
    """Run once; complaints are in the outcome.

    Args:
        home: an empty folder.
        models: see :class:`Plant`.
        seed: decides the pictures, the order of the faults and their moments.
        pictures: good and bad ones, spread over the faults.
        outage_scale: what outages are shortened to.
        overlap: how often the next fault comes while the last one is still being worked off, in [0, 1].
        heartbeat_s: see :class:`Plant`.
        tell: told what happens.
        variables: environment of every process.
    """
    began = time.monotonic()
    chance = random.Random(seed)
    order = list(FAULTS)
    chance.shuffle(order)
    outcome = Outcome(seed, pictures)
    tell(f"seed {seed}: {pictures} pictures, {len(order)} faults")
    with ThreadPoolExecutor(1) as painter, contextlib.ExitStack() as stack:
        shares = [fault.share for fault in order]
        writing = painter.submit(write_mixed, home / "pictures", pictures, shares=shares, seed=seed)
        plant = stack.enter_context(
            Plant(home / "plant", models=models, heartbeat_s=heartbeat_s, **variables)
        )
        files = writing.result()
        tell(f"the system stands after {time.monotonic() - began:.0f} s")
        scene = Scene(plant, chance, outage_scale=outage_scale)
        try:
            for fault, folder in zip(order, files.folders, strict=True):
                outcome.recoveries.append(_suffer(scene, fault, folder, overlap, tell))
            _finish(scene)
            outcome.complaints = proof.complaints(scene, files)
            outcome.facts = proof.facts(plant)
        except (StuckError, AssertionError) as error:
            outcome.complaints.append(f"{type(error).__name__}: {error}")
            with contextlib.suppress(Exception):
                outcome.complaints.append(f"queues: {plant.depths()}, ledger: {plant.ledger()}")
        finally:
            for part in scene.imports:
                part.give_up()
        if outcome.complaints:
            outcome.last_words = plant.last_words()
    outcome.wall_s = time.monotonic() - began
    return outcome


def _suffer(scene: Scene, fault: Fault, folder: Path, overlap: float, tell: Tell) -> Recovery:
    scene.notes.clear()
    scene.part_size = sum(1 for _ in folder.iterdir())
    harm = fault.harm(scene)
    next(harm)
    scene.import_part(folder)
    struck = time.monotonic()
    # Runs to its end: then everything is healed.
    for _ in harm:
        raise AssertionError(f"{fault.name} has more than one yield")
    healed = time.monotonic()
    closed = _closed(scene)
    first_s = all_s = None
    if not _all_done(scene):
        waited_for = f"the first answer after: {fault.name}"
        scene.wait(lambda: _closed(scene) > closed or _all_done(scene), _RECOVERS_WITHIN_S, waited_for)
        first_s = time.monotonic() - healed
    if scene.chance.random() >= overlap:
        scene.wait(lambda: _all_done(scene), _RECOVERS_WITHIN_S, f"all answers after: {fault.name}")
        all_s = time.monotonic() - healed
    recovery = Recovery(fault.name, healed - struck, first_s, all_s, tuple(scene.notes))
    tell(_line(recovery))
    return recovery


def _line(recovery: Recovery) -> str:
    first_s, all_s = recovery.first_answer_s, recovery.all_answered_s
    first = "nothing was waiting" if first_s is None else f"first answer {first_s:.1f} s after it"
    rest = "the next one came first" if all_s is None else f"{all_s:.1f} s"
    notes = f" ({'; '.join(recovery.notes)})" if recovery.notes else ""
    return f"  {recovery.fault}: {recovery.lasted_s:.1f} s{notes}; {first}, all: {rest}"


def _closed(scene: Scene) -> int:
    progress = scene.progress()
    return progress.closed if progress else -1


def _all_done(scene: Scene) -> bool:
    if not all(part.done for part in scene.imports):
        return False
    progress = scene.progress()
    return progress is not None and progress.open == 0


def _finish(scene: Scene) -> None:
    """Until every job is closed and every queue empty: the last acks come after the commits."""
    scene.wait(lambda: _all_done(scene), _RECOVERS_WITHIN_S, "the end of all jobs")
    # A copy of a message that was delivered twice may still be on its way round.
    with contextlib.suppress(StuckError):
        scene.wait(lambda: not scene.plant.queues_with_messages(), 120, "empty queues")
