"""What to do next: a function of what is seen, and of nothing else.

One thing is done at a time, and then everything is looked at again. So a controller that was killed needs no
memory: what it had done is seen, and what it had not is decided again.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_training.rollout.acts import (
    Act,
    Adopt,
    Alias,
    Ask,
    Begin,
    Fail,
    GiveUp,
    Idle,
    Label,
    Load,
    Publish,
    Report,
    Reserve,
    Retry,
    Trim,
    Wait,
    Withdraw,
)
from model_training.rollout.models_config import CHALLENGER, CHAMPION, Labels, Serving
from model_training.rollout.state import InCatalogue, Registered, Registry, Seen, WishKind


def decide(seen: Seen) -> Act:
    """The next thing to do.

    A roll-back comes first and needs nothing but labels, so neither a registry that is down nor a version
    that is loading holds it up. What was done is told before anything else is begun.
    """
    if seen.serving is None:
        return _begin(seen)
    if seen.catalogue is None:
        return Wait("the catalogue")
    return _Situation(seen, seen.serving, seen.catalogue).next()


def _begin(seen: Seen) -> Act:
    champion = _alias(seen.registry, CHAMPION)
    if champion is not None and champion.served_as in seen.at_base:
        assert champion.served_as is not None
        return Begin(champion.served_as)
    if seen.at_base:
        return Begin(max(seen.at_base))
    if champion is None:
        return Wait("a version at the base path, or a champion in the registry")
    if champion.served_as is None:
        return Reserve(champion.number)
    return Publish(champion.number, champion.served_as)


def _alias(registry: Registry | None, alias: str) -> Registered | None:
    if registry is None:
        return None
    number = registry.champion if alias == CHAMPION else registry.challenger
    return None if number is None else registry.versions.get(number)


@dataclass(frozen=True, slots=True)
class _Situation:
    """Versions are served and the catalogue answers."""

    seen: Seen
    serving: Serving
    catalogue: InCatalogue

    @property
    def labels(self) -> Labels:
        return self.serving.labels

    def next(self) -> Act:
        return (
            self._roll_back()
            or self._tell()
            or self._promote()
            or self._leave_withdrawn()
            or self._follow_champion()
            or self._follow_challenger()
            or self._trim()
            or Idle()
        )

    # ------------------------------------------------------------ the catalogue's wishes

    def _roll_back(self) -> Act | None:
        wish = self.catalogue.wish
        if wish is None or wish.kind is not WishKind.ROLL_BACK or wish.version.number != self.labels.champion:
            return None
        back = self.labels.way_back
        if back is None and self.catalogue.predecessor is not None:
            # Somebody has made models.config anew.
            back = self.catalogue.predecessor.number
        if back is None or back == self.labels.champion:
            return GiveUp(wish.id, "there is no predecessor to go back to")
        return self._bring(back, self._registered(back)) or Label(Labels.of(back, self.labels.trial))

    def _promote(self) -> Act | None:
        wish = self.catalogue.wish
        if wish is None or wish.kind is not WishKind.PROMOTE or wish.version.number == self.labels.champion:
            return None
        if self.seen.registry_is_down:
            return Wait("the registry, with a promotion")
        number, registry = wish.version.number, self.seen.registry
        registered = self._registered(number)
        if registry and registered is None and number in self.seen.at_base - self.seen.foreign:
            return Adopt(number)
        if act := self._bring(number, registered) or self._name_champion(registered):
            return act
        before = self.labels.champion
        way_back = None if self.catalogue.is_withdrawn(before) else before
        return Label(Labels.of(number, self.labels.trial, way_back))

    def _name_champion(self, registered: Registered | None) -> Act | None:
        """See to it that the registry calls a version champion, and not challenger any more."""
        registry = self.seen.registry
        if registry is None or registered is None:
            return None
        if registry.champion != registered.number:
            return Alias(CHAMPION, registered.number)
        return Alias(CHALLENGER, None) if registry.challenger == registered.number else None

    def _registered(self, number: int) -> Registered | None:
        return self.seen.registry.serving(number) if self.seen.registry else None

    def _bring(self, number: int, registered: Registered | None) -> Act | None:
        """See to it that all servers have loaded the version; None: they have."""
        if number in self.labels.versions:
            return None
        if number not in self.seen.at_base:
            if registered is None:
                return Fail(number, "it is neither at the base path nor in the registry")
            return Publish(registered.number, number)
        if number not in self.serving.versions:
            return Load(number)
        loading = self.seen.loading[number]
        if loading.failed:
            return Fail(number, loading.failed)
        return None if loading.available else Wait(loading.text)

    # ------------------------------------------------------------ what is in service

    def _tell(self) -> Act | None:
        if not self.catalogue.agrees(self.labels):
            return Report() if self.seen.in_force else Wait("the model servers to take over the labels")
        return Report() if self.seen.report_due or self._are_numbers_new() else None

    def _are_numbers_new(self) -> bool:
        """Whether the registry's number of a version that is in service is not told yet."""
        numbers = {number: self._registered(number) for number in self.labels.versions}
        known = self.catalogue.known
        return any(
            registered is not None and number in known and known[number].registry_version != registered.number
            for number, registered in numbers.items()
        )

    def _leave_withdrawn(self) -> Act | None:
        trial, way_back = (
            None if self.catalogue.is_withdrawn(number) else number
            for number in (self.labels.trial, self.labels.way_back)
        )
        left = Labels.of(self.labels.champion, trial, way_back)
        return None if left == self.labels else Label(left)

    def _trim(self) -> Act | None:
        if self.serving.versions == self.labels.versions:
            return None
        return Trim() if self.seen.in_force else Wait("the model servers to take over the labels")

    # ------------------------------------------------------------ the registry's aliases

    def _follow_champion(self) -> Act | None:
        registry = self.seen.registry
        if registry is None or self.catalogue.wish is not None:
            return None
        own = registry.serving(self.labels.champion)
        if own is None:
            return None if self.labels.champion in self.seen.foreign else Adopt(self.labels.champion)
        named = _alias(registry, CHAMPION)
        if named is None:
            return Alias(CHAMPION, own.number)
        if named.number == own.number:
            return None
        if self.catalogue.is_withdrawn(named.served_as) and not named.force:
            return Withdraw(CHAMPION, named.number)
        return self._ready(named) or Ask(named.number, named.served_as or 0)

    def _follow_challenger(self) -> Act | None:
        registry = self.seen.registry
        if registry is None:
            return None
        named = _alias(registry, CHALLENGER)
        if named is None:
            return self._try(None)
        if self.catalogue.is_withdrawn(named.served_as):
            return Withdraw(CHALLENGER, named.number)
        return self._ready(named) or self._try(named.served_as)

    def _try(self, challenger: int | None) -> Act | None:
        wanted = Labels.of(self.labels.champion, challenger, self.labels.way_back)
        return None if wanted == self.labels else Label(wanted)

    def _ready(self, named: Registered) -> Act | None:
        """See to it that a version that bears an alias is loaded; None: it is."""
        if named.served_as is None:
            return Reserve(named.number)
        if named.failed:
            # Who fails loses the alias, so somebody has set it anew.
            return Retry(named.number)
        return self._bring(named.served_as, named)


def free_number(wanted: int, taken: frozenset[int]) -> int:
    """``wanted`` if nobody has that number, otherwise the first one after all that are taken."""
    return wanted if wanted not in taken else max(taken) + 1
