"""What the controller can do next, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass

from model_training.rollout.models_config import Labels


@dataclass(frozen=True, slots=True)
class Idle:
    """Everything is as it should be."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is under way elsewhere."""

    what: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Write the first ``models.config``, for one version of the base path."""

    number: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Register a version of the base path that the registry does not have."""

    number: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Give a registered version its number on the model servers, before anything is published under it."""

    registered: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Bring a registered version to the base path."""

    registered: int
    number: int


@dataclass(frozen=True, slots=True)
class Load:
    """Add a version to those that are loaded, labels as they are."""

    number: int


@dataclass(frozen=True, slots=True)
class Label:
    """Check versions that get their first label, tell the catalogue of them, and move the labels."""

    labels: Labels


@dataclass(frozen=True, slots=True)
class Trim:
    """Unload what bears no label."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the catalogue what is in service."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Move an alias of the registry, or take it away."""

    alias: str
    registered: int | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Check a version whose alias somebody made champion, and ask the catalogue whether it may be."""

    registered: int
    number: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Mark a version in the registry as undone, and take its alias away."""

    alias: str
    registered: int


@dataclass(frozen=True, slots=True)
class Retry:
    """Forget that a version failed: its alias was set again."""

    registered: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the catalogue that what it asks for cannot be done."""

    wish: int
    why: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Give a version up: why is noted in the registry, its alias goes, a wish for it is settled."""

    number: int
    why: str


Act = (
    Idle
    | Wait
    | Begin
    | Adopt
    | Reserve
    | Publish
    | Load
    | Label
    | Trim
    | Report
    | Alias
    | Ask
    | Withdraw
    | Retry
    | GiveUp
    | Fail
)
