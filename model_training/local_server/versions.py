"""Which versions are loaded and which one answers: TensorFlow Serving's manager in small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import structlog

from model_training.local_server import monitoring
from model_training.local_server.config import ModelConfig
from model_training.local_server.errors import ServingError, invalid, not_found
from model_training.local_server.servable import Servable, Threads

log = structlog.get_logger(__name__)


class State(IntEnum):
    """Numbers of ``tensorflow.serving.ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(slots=True)
class _Version:
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    users: int = 0
    stamp: float = 0.0
    """When its graph was written."""

    def failed_as_of(self, stamp: float) -> bool:
        """Whether this very file was tried and failed: it is tried again only if it is replaced."""
        return self.error is not None and self.stamp == stamp


@dataclass(frozen=True, slots=True)
class Status:
    """What ``GetModelStatus`` says of a version."""

    version: int
    state: State
    error: ServingError | None


@dataclass(slots=True)
class _Model:
    config: ModelConfig
    versions: dict[int, _Version] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    """Those in force. A configuration's come into force together, when all that they need is loaded."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Those that were refused at the last look; said once, not at each of them."""
    complaint: str = ""
    """Why its folder could not be read at the last look; said once, not at each of them."""

    def relabel(self) -> dict[str, int]:
        """Take the configuration's labels, all or none; returns those that cannot be moved.

        As TensorFlow Serving does it with ``--allow_version_labels_for_unavailable_models``: a label that is
        new may point anywhere, and one that somebody uses moves only to a version that answers.
        """
        wanted = self.config.labels
        stuck = {
            label: number
            for label, number in wanted.items()
            if self.labels.get(label, number) != number and not self._answers(number)
        }
        if not stuck:
            self.labels = wanted
        return stuck

    def _answers(self, number: int) -> bool:
        return number in self.versions and self.versions[number].state is State.AVAILABLE

    def on_disk(self) -> dict[int, float]:
        """Complete version folders and when their graphs were written."""
        found = {}
        complaint = ""
        try:
            for entry in self.config.base_path.iterdir():
                graph = entry / "saved_model.pb"
                if entry.name.isascii() and entry.name.isdigit() and graph.is_file():
                    found[int(entry.name)] = graph.stat().st_mtime
        except OSError as error:
            complaint = str(error)
        if complaint and complaint != self.complaint:
            log.warning("base path cannot be read", model=self.config.name, error=complaint)
        self.complaint = complaint
        return found


class Versions:
    """The models and their versions. Loads and unloads in its own thread; everything else only looks up.

    A new version is loaded and warmed up before the old one goes, and the old one goes when the last
    request that uses it is answered. So there is always a version for a request to find.
    """

    def __init__(self, config: Mapping[str, ModelConfig], *, threads: Threads, poll_s: float) -> None:
        self._threads = threads
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._models = {name: _Model(entry, labels=entry.labels) for name, entry in config.items()}
        self._stopping = False
        self._asked = 1
        self._done = 0
        """Rounds that were asked for, and the last one that is finished."""
        self._before_poll: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="versions")

    # ------------------------------------------------------------ life

    def start(self, before_poll: Callable[[], None] | None = None) -> None:
        """Begin to load. ``before_poll`` is called in the loading thread before each look at the disk."""
        self._before_poll = before_poll
        self._thread.start()

    def close(self) -> None:
        """Stop polling and free what is loaded. Requests must have ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        for model in self._models.values():
            for version in model.versions.values():
                if version.servable is not None:
                    version.servable.close()

    def wait_available(self, timeout: float | None = None) -> bool:
        """Until every model has a version that answers, or the time is over, or :meth:`close`."""

        def ready() -> bool:
            return self._stopping or all(
                any(v.state is State.AVAILABLE for v in model.versions.values())
                for model in self._models.values()
            )

        with self._changed:
            return self._changed.wait_for(ready, timeout) and not self._stopping

    def reconfigure(self, config: Mapping[str, ModelConfig], *, wait: bool = True) -> None:
        """Serve other models, versions or labels from now on; optionally return when they are loaded."""
        with self._changed:
            for name, entry in config.items():
                if name in self._models:
                    self._models[name].config = entry
                else:
                    self._models[name] = _Model(entry, labels=entry.labels)
            for name in set(self._models) - set(config):
                # Wants nothing any more: unloaded by the next round.
                gone = self._models[name].config
                self._models[name].config = ModelConfig(name, gone.base_path, specific=frozenset({-1}))
            self._asked += 1
            own = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: not wait or self._stopping or self._done >= own)

    # ---------------------------------------------------------- lookup

    @contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, Servable]]:
        """The version that a ``ModelSpec`` names, kept loaded while it is used.

        Raises:
            ServingError: as TensorFlow Serving's server core.
        """
        with self._changed:
            number, version = self._find(spec)
            servable = version.servable
            assert servable is not None
            version.users += 1
        try:
            yield number, servable
        finally:
            with self._changed:
                version.users -= 1
                self._changed.notify_all()

    def known_name(self, name: str) -> str:
        """The same, if it is or was the name of a model here; else empty."""
        with self._changed:
            return name if name in self._models else ""

    def _find(self, spec: Any) -> tuple[int, _Version]:
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        model = self._models.get(spec.name)
        available = {
            number: version
            for number, version in (model.versions.items() if model else ())
            if version.state is State.AVAILABLE
        }
        if choice is None:
            if not available:
                raise not_found(f"Servable not found for request: Latest({spec.name})")
            number = max(available)
        else:
            number = self._label(spec) if choice == "version_label" else spec.version.value
            if number not in available:
                raise not_found(f"Servable not found for request: Specific({spec.name}, {number})")
        return number, available[number]

    def _label(self, spec: Any) -> int:
        model = self._models.get(spec.name)
        number = model.labels.get(spec.version_label) if model else None
        if number is None:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return number

    def statuses(self, spec: Any) -> list[Status]:
        """All versions of a model that were ever tried, newest first, or the one that is named.

        Raises:
            ServingError: NOT_FOUND.
        """
        with self._changed:
            model = self._models.get(spec.name)
            known = {n: Status(n, v.state, v.error) for n, v in (model.versions.items() if model else ())}
            choice = spec.WhichOneof("version_choice")
            if choice is None:
                if not known:
                    raise not_found(f"Could not find any versions of model {spec.name}")
                return [known[number] for number in sorted(known, reverse=True)]
            number = self._label(spec) if choice == "version_label" else spec.version.value
            if number not in known:
                raise not_found(f"Could not find version {number} of model {spec.name}")
            return [known[number]]

    # --------------------------------------------------------- loading

    def _run(self) -> None:
        while True:
            if self._before_poll is not None:
                self._before_poll()
            with self._changed:
                models = list(self._models.values())
                asked = self._asked
            for model in models:
                self._round(model)
            with self._changed:
                self._done = asked
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping or self._asked > self._done, self._poll_s)
                if self._stopping:
                    return

    def _round(self, model: _Model) -> None:
        """Load what is wanted and not there, then unload what is there and not wanted."""
        config = model.config
        on_disk = model.on_disk()
        wanted = config.wanted(set(on_disk))
        for number in sorted(wanted):
            known = model.versions.get(number)
            if known is None or (known.state is State.END and not known.failed_as_of(on_disk[number])):
                self._load(model, number, on_disk[number])
        self._relabel(model)
        for number in set(model.versions) - wanted:
            # Named again later, it is tried again.
            model.versions[number].stamp = 0.0
        leaving = {
            number
            for number, version in model.versions.items()
            if version.state is State.AVAILABLE and number not in wanted
        }
        staying = {n for n, v in model.versions.items() if v.state is State.AVAILABLE} - leaving
        removed = config.specific == {-1}
        # An emptied folder or a new version that does not load must not take the service down.
        if staying or removed:
            for number in sorted(leaving):
                self._unload(model, number)

    def _relabel(self, model: _Model) -> None:
        with self._changed:
            stuck = model.relabel()
        if stuck and stuck != model.refused:
            log.warning("labels stay: their versions are not available", model=model.config.name, **stuck)
        model.refused = stuck

    def _load(self, model: _Model, number: int, stamp: float) -> None:
        name, folder = model.config.name, model.config.base_path / str(number)
        version = _Version(State.LOADING, stamp=stamp)
        self._set(model, number, version)
        try:
            with monitoring.loading(folder):
                servable = Servable(folder, self._threads)
            try:
                warmed = servable.warm_up(folder)
            except ServingError:
                servable.close()
                raise
        except ServingError as error:
            log.warning("version failed to load", model=name, version=number, error=error.message)
            self._set(model, number, _Version(State.END, error=error, stamp=stamp))
            return
        self._set(model, number, _Version(State.AVAILABLE, servable=servable, stamp=stamp))
        log.info("version available", model=name, version=number, warmup_requests=warmed)

    def _unload(self, model: _Model, number: int) -> None:
        version = model.versions[number]
        with self._changed:
            version.state = State.UNLOADING
            self._changed.wait_for(lambda: version.users == 0)
            servable, version.servable = version.servable, None
            version.state = State.END
        if servable is not None:
            servable.close()
        log.info("version unloaded", model=model.config.name, version=number)

    def _set(self, model: _Model, number: int, version: _Version) -> None:
        with self._changed:
            model.versions[number] = version
            self._changed.notify_all()
