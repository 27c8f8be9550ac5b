"""What the controller sees before it decides: of the registry, the catalogue and the model servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from model_training.rollout.models_config import Labels, Serving


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry."""

    number: int
    """The registry's."""
    served_as: int | None = None
    """Its number on the model servers, once it was given one."""
    failed: bool = False
    force: str = ""
    """Why it should become champion although the gate refuses; empty: it should not."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The registered model: its aliases and its versions by the registry's numbers."""

    champion: int | None = None
    challenger: int | None = None
    versions: Mapping[int, Registered] = field(default_factory=dict)

    def serving(self, number: int) -> Registered | None:
        """The version that the model servers know by this number."""
        return next((each for each in self.versions.values() if each.served_as == number), None)


@dataclass(frozen=True, slots=True)
class Known:
    """A version as the catalogue knows it. ``number``: on the model servers."""

    id: int
    name: str
    number: int
    registry_version: int | None = None
    withdrawn: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


class WishKind(StrEnum):
    """What the catalogue may ask for."""

    PROMOTE = "promote"
    ROLL_BACK = "roll-back"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the catalogue asks for; it asks for one thing at a time."""

    id: int
    kind: WishKind
    version: Known


@dataclass(frozen=True, slots=True)
class InCatalogue:
    """What the catalogue says: what it takes to be in service, what it wants, and all versions by number."""

    champion: Known | None = None
    challenger: Known | None = None
    predecessor: Known | None = None
    wish: Wish | None = None
    known: Mapping[int, Known] = field(default_factory=dict)

    def agrees(self, labels: Labels) -> bool:
        """Whether these labels are what it takes to be in service."""
        told = (self.champion, self.challenger, self.predecessor)
        numbers = tuple(each and each.number for each in told)
        return numbers == (labels.champion, labels.trial, labels.way_back)

    def is_withdrawn(self, number: int | None) -> bool:
        """Whether a version was undone."""
        return number is not None and number in self.known and self.known[number].withdrawn


@dataclass(frozen=True, slots=True)
class Loading:
    """How far a version is on all model servers together."""

    available: bool = False
    """On every one of them."""
    failed: str = ""
    """What a server says that cannot load it."""
    text: str = ""
    """What is waited for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision depends on."""

    serving: Serving | None
    """What ``models.config`` says; None: there is none yet."""
    at_base: frozenset[int]
    """Complete versions at the base path."""
    registry: Registry | None = None
    """None: there is none, or it does not answer."""
    registry_is_down: bool = False
    catalogue: InCatalogue | None = None
    """None: it does not answer."""
    loading: Mapping[int, Loading] = field(default_factory=dict)
    """Of versions that are loaded and bear no label."""
    in_force: bool = True
    """Whether the model servers answer by the labels that ``models.config`` names."""
    report_due: bool = False
    foreign: frozenset[int] = frozenset()
    """Versions that cannot be registered, because they do not say what they are."""
