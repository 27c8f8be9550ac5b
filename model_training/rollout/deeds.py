"""Does what was decided.

Each deed may be done twice and may be killed in the middle: what others see of it is one rename, one request
or one field, and the order is such that what was not done is decided again. Nobody else writes
``models.config``.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

from model_training.golden import GOLDEN_FILE, GoldenError, read_golden
from model_training.registry.adopt import SERVED_AS, ForeignVersionError
from model_training.registry.content import content_hash
from model_training.rollout import acts as do
from model_training.rollout.aliases import FAILED, FORCE, REFUSED, WITHDRAWN, UnservableError
from model_training.rollout.catalogue import (
    GATE_REFUSED,
    CatalogueDownError,
    CatalogueRefusedError,
    Version,
)
from model_training.rollout.decisions import free_number
from model_training.rollout.looking import Surroundings
from model_training.rollout.models_config import CHALLENGER, CHAMPION, Labels, Serving, write_serving
from model_training.rollout.state import InCatalogue, Known, Registered, Registry, Seen, WishKind
from pipeline.ports import IncompatibleModelError

_log = structlog.get_logger(__name__)

_UNFIT = (GoldenError, IncompatibleModelError, CatalogueRefusedError)
"""Of a version that is about to get its first label."""


class Deeds:
    """What the controller can do, given what it saw when it was decided.

    Every method may raise what says that a neighbour is down; the deed is then decided again.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._told: dict[int, tuple[str, int | None]] = {}
        """Versions that the catalogue was told of by this process: name, and number in the registry."""

    def do(self, act: do.Act, seen: Seen) -> None:  # noqa: C901, PLR0912 - one line for each kind
        """Do one thing."""
        match act:
            case do.Idle() | do.Wait():
                return
            case do.Begin(number):
                self._write(frozenset({number}), Labels.of(number))
            case do.Adopt(number):
                self._adopt(number)
            case do.Reserve(registered):
                self._reserve(registered, seen)
            case do.Publish(registered, number):
                self._publish(registered, number, seen)
            case do.Load(number):
                self._around.servers.expect(number)
                serving = _serving(seen)
                self._write(serving.versions | {number}, serving.labels)
            case do.Label(labels):
                self._label(labels, seen)
            case do.Trim():
                labels = _serving(seen).labels
                self._write(labels.versions, labels)
            case do.Report():
                self._report(seen)
            case do.Alias(alias, registered_or_none):
                self._around.registry.alias(alias, registered_or_none)
            case do.Ask(registered, number):
                self._ask(registered, number, seen)
            case do.Withdraw(alias, registered):
                self._around.registry.note(registered, WITHDRAWN, "undone in the catalogue")
                self._take_alias(alias, seen)
            case do.Retry(registered):
                self._around.registry.forget(registered, FAILED)
            case do.GiveUp(wish, why):
                self._around.catalogue.settle(wish, done=False, detail=why)
            case do.Fail(number, why):
                self._fail(number, why, seen)

    # ------------------------------------------------------------ versions

    def _adopt(self, number: int) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="vitrine-") as work:
                folder = self._around.path.fetch(number, Path(work))
                self._around.registry.adopt(folder, number)
        except ForeignVersionError as error:
            self._around.foreign.add(number)
            _log.warning("a version cannot be registered", version=number, why=str(error))

    def _reserve(self, registered: int, seen: Seen) -> None:
        if seen.catalogue is None:
            raise CatalogueDownError("the catalogue does not say which numbers are taken")
        given = {each.served_as for each in _registry(seen).versions.values() if each.served_as is not None}
        there = self._around.path.versions()
        taken = there | given | seen.catalogue.known.keys()
        number = self._same(registered, there - given) or free_number(registered, frozenset(taken))
        self._around.registry.note(registered, SERVED_AS, str(number))

    def _same(self, registered: int, numbers: frozenset[int]) -> int | None:
        """The version at the base path that has the content of a registered one: somebody put it there."""
        content = self._around.registry.content(registered) if numbers else None
        for number in sorted(numbers) if content else ():
            with tempfile.TemporaryDirectory(prefix="vitrine-") as work:
                if content_hash(self._around.path.fetch(number, Path(work))) == content:
                    return number
        return None

    def _publish(self, registered: int, number: int, seen: Seen) -> None:
        with tempfile.TemporaryDirectory(prefix="vitrine-") as work:
            try:
                folder = self._around.registry.download(registered, Path(work))
            except UnservableError as error:
                self._fail(number, str(error), seen)
                return
            self._around.path.publish(folder, number)

    def _label(self, labels: Labels, seen: Seen) -> None:
        serving = _serving(seen)
        for number in labels.versions - serving.labels.versions:
            try:
                self._check(number)
                self._tell_of(number, seen)
            except _UNFIT as error:
                self._fail(number, str(error), seen)
                return
        champion = seen.registry and seen.registry.serving(labels.champion)
        if champion and labels.champion != serving.labels.champion:
            # What was said of it on the way is over, above all the leave to pass the gate.
            self._around.registry.forget(champion.number, FORCE, REFUSED, FAILED, WITHDRAWN)
        self._write(serving.versions | labels.versions, labels)

    def _check(self, number: int) -> None:
        content = self._around.path.beside(number, GOLDEN_FILE)
        if content is None:
            raise GoldenError(f"it has no golden request ({GOLDEN_FILE}) beside it: export it anew")
        self._around.servers.check(number, read_golden(content))

    def _fail(self, number: int, why: str, seen: Seen) -> None:
        _log.error("a version is not fit to serve", version=number, why=why)
        serving = seen.serving
        registered = seen.registry.serving(number) if seen.registry else None
        if registered is not None:
            self._around.registry.note(registered.number, FAILED, why)
        wish = seen.catalogue.wish if seen.catalogue else None
        if wish and (wish.kind is WishKind.ROLL_BACK or wish.version.number == number):
            self._around.catalogue.settle(wish.id, done=False, detail=why)
        if registered is not None:
            # Last of what decides whether it is tried: set again, the alias means another try.
            for alias in (CHAMPION, CHALLENGER):
                if _bearer(_registry(seen), alias) == registered.number:
                    self._take_alias(alias, seen)
        if serving is not None and number in serving.versions - serving.labels.versions:
            self._write(serving.versions - {number}, serving.labels)

    def _write(self, versions: frozenset[int], labels: Labels) -> None:
        around = self._around
        serving = Serving(versions, labels)
        write_serving(around.models_config, around.model, serving, base_path=around.served_as)

    # ------------------------------------------------------------ registry and catalogue

    def _take_alias(self, alias: str, seen: Seen) -> None:
        """Off whom it should not be on: the champion is who serves, and a challenger there need not be."""
        own: Registered | None = None
        if alias == CHAMPION and seen.serving is not None:
            own = _registry(seen).serving(seen.serving.labels.champion)
        self._around.registry.alias(alias, own.number if own else None)

    def _ask(self, registered: int, number: int, seen: Seen) -> None:
        registry = self._around.registry
        try:
            self._check(number)
            known = self._tell_of(number, seen)
        except _UNFIT as error:
            self._fail(number, str(error), seen)
            return
        force = _registry(seen).versions[registered].force
        try:
            self._around.catalogue.promote(known.id, source="registry", force=bool(force), reason=force)
        except CatalogueRefusedError as error:
            if error.code != GATE_REFUSED:
                raise
            _log.warning("the gate refuses the champion of the registry", version=number, why=str(error))
            registry.note(registered, REFUSED, str(error))
            self._take_alias(CHAMPION, seen)
        else:
            registry.forget(registered, FORCE, REFUSED)

    def _report(self, seen: Seen) -> None:
        labels = _serving(seen).labels
        before = _catalogue(seen).champion
        ids: dict[int, int] = {}
        for number in labels.versions:
            became = number == labels.champion and (before is None or before.number != number)
            ids[number] = self._tell_of(number, seen, refresh=became).id
        trial, way_back = (number and ids[number] for number in (labels.trial, labels.way_back))
        self._around.catalogue.report(ids[labels.champion], trial, way_back)
        self._around.reported_at = time.monotonic()

    def _tell_of(self, number: int, seen: Seen, *, refresh: bool = False) -> Known:
        """See to it that the catalogue knows a version that is loaded; returns it as it does."""
        identity = self._around.servers.spec(number).identity
        known = _catalogue(seen).known.get(number)
        if known is not None and known.name != identity.name:
            known = None
        registered = seen.registry.serving(number) if seen.registry else None
        noted = known.registry_version if known else None
        registry_version = registered.number if registered else noted
        if known and not refresh and self._told.get(number) == (identity.name, registry_version):
            return known
        if registered is not None:
            metrics = self._around.registry.metrics(registered.number)
        else:
            metrics = dict(known.metrics) if known else {}
        told = self._around.catalogue.register(
            Version(
                name=identity.name,
                number=number,
                preprocess_id=identity.preprocess_id,
                vocabulary_id=identity.vocabulary_id,
                embedding_id=identity.embedding_id,
                registry_version=registry_version,
                metrics=metrics,
                vocabulary=self._vocabulary(number),
            ),
            refresh=refresh,
        )
        self._told[number] = (identity.name, registry_version)
        return told

    def _vocabulary(self, number: int) -> list[dict[str, Any]]:
        content = self._around.path.beside(number, "vocabulary.json")
        try:
            return list(json.loads(content)["tags"]) if content else []
        except (ValueError, KeyError, TypeError) as error:
            raise IncompatibleModelError(f"its vocabulary.json cannot be read: {error}") from error


def _serving(seen: Seen) -> Serving:
    assert seen.serving is not None
    return seen.serving


def _registry(seen: Seen) -> Registry:
    assert seen.registry is not None
    return seen.registry


def _catalogue(seen: Seen) -> InCatalogue:
    assert seen.catalogue is not None
    return seen.catalogue


def _bearer(registry: Registry, alias: str) -> int | None:
    return registry.champion if alias == CHAMPION else registry.challenger
