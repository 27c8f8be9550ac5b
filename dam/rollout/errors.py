"""Why a wish about model versions is not fulfilled, in words for people; each with a stable code."""

from __future__ import annotations

from collections.abc import Sequence

from dam.rollout.models import Step


class ConflictError(Exception):
    """What is wished does not fit what stands now."""

    code = "conflict"


class BusyError(ConflictError):
    """Another step is asked for, and the controller has not done it yet."""

    code = "busy"


class AlreadyServesError(ConflictError):
    """The version is the champion."""

    code = "already-serves"


class NoChallengerError(ConflictError):
    """Nothing is being tried."""

    code = "no-challenger"


class NoWayBackError(ConflictError):
    """There is no version before that could serve."""

    code = "no-way-back"


class WithdrawnError(ConflictError):
    """The version is withdrawn already, or is not and should be."""

    code = "withdrawn"


class VersionTakenError(ConflictError):
    """Another model has this number."""

    code = "version-taken"


class SettledError(ConflictError):
    """The step was settled otherwise."""

    code = "settled"


class GateRefusedError(ConflictError):
    """The evidence does not allow it; ``reasons`` say why, and ``step`` keeps what was known."""

    code = "gate-refused"

    def __init__(self, reasons: Sequence[str], step: Step) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = tuple(reasons)
        self.step = step
