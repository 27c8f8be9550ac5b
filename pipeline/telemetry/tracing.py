"""Traces, where OpenTelemetry is installed and told where to send them; otherwise nothing happens here.

One trace goes from the upload through the queues and the worker to the catalogue's write: jobs and messages
carry the ``traceparent`` of the W3C recommendation *Trace Context*. The environment is OpenTelemetry's own:
with ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) spans are sent by OTLP over
HTTP, and ``OTEL_SDK_DISABLED``, ``OTEL_TRACES_SAMPLER`` and ``OTEL_RESOURCE_ATTRIBUTES`` do what they do
elsewhere. A process that does not trace hands on what it was given.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["internal", "server", "producer", "consumer", "client"]
Attribute = str | int | float | bool

# The only version there is; what is longer or malformed would not fit where it is kept.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str] = ContextVar("traceparent", default="")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_S = 5.0


class TracingNotInstalledError(Exception):
    """Traces are asked for, and the packages that make them are not there."""


class _Tracing:
    """The process's tracer, once there is one."""

    tracer: Any = None
    provider: Any = None


def configure_tracing(service: str) -> None:
    """Send spans from now on, if the environment says where to. Call it after the last fork.

    Args:
        service: which part of Vitrine this process is; it becomes ``service.name`` as ``vitrine-SERVICE``.

    Raises:
        TracingNotInstalledError: asked for, and the extra ``tracing`` is not installed.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    try:
        # Of no use, and half a second of imports, where nothing is traced.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise TracingNotInstalledError(
            f"{' or '.join(_ENDPOINTS)} asks for traces, which need the extra `tracing`: "
            f"pip install 'vitrine[tracing]' ({error})."
        ) from error
    resource = Resource.create({"service.name": f"vitrine-{service}", "service.namespace": "vitrine"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use_provider(provider)


def use_provider(provider: Any) -> None:
    """Make spans with this provider (``opentelemetry.sdk.trace.TracerProvider``); None: with none."""
    _Tracing.provider = provider
    _Tracing.tracer = None if provider is None else provider.get_tracer("vitrine")


def flush_traces() -> None:
    """Send what is not sent yet, at the end of the process; a collector that is down holds it up for 5 s."""
    provider = _Tracing.provider
    if provider is None:
        return
    use_provider(None)
    # The package waits for half a minute, and our supervisor may have killed us by then.
    sending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    sending.start()
    sending.join(_FLUSH_S)


def accepted_traceparent(given: str) -> str:
    """What a caller gave, if it is a ``traceparent``; else empty."""
    return given if _TRACEPARENT.fullmatch(given) else ""


def current_traceparent() -> str:
    """That of the :func:`span` around this, for what follows from it; empty if there is no trace."""
    return _current.get()


def is_tracing() -> bool:
    """Whether spans are made here."""
    return _Tracing.tracer is not None


@dataclass(slots=True)
class Span:
    """What is under way; without tracing it does nothing."""

    traceparent: str
    """For what follows from it; empty if there is no trace."""
    _span: Any = None

    def set(self, **attributes: Attribute) -> None:
        """Say more about it; names are given with ``__`` for a dot."""
        if self._span is not None:
            self._span.set_attributes(_dotted(attributes))

    def rename(self, name: str) -> None:
        """It turned out what it is."""
        if self._span is not None:
            self._span.update_name(name)

    def end(self) -> None:
        """It is over; for a span of :func:`begin_span` only."""
        if self._span is not None:
            self._span.end()

    def failed(self, reason: str) -> None:
        """It did not do what it should."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

            self._span.set_status(Status(StatusCode.ERROR, reason))


@contextmanager
def span(name: str, *, parent: str = "", kind: Kind = "internal", **attributes: Attribute) -> Iterator[Span]:
    """A span around the block. An exception that leaves the block is recorded in it.

    Args:
        name: what is done, few different ones.
        parent: ``traceparent`` of what it follows from; empty: the span around it, or a trace of its own.
        kind: OpenTelemetry's kind of span.
        attributes: with ``__`` for a dot.
    """
    if _Tracing.tracer is None:
        with _surroundings(parent or _current.get()) as traceparent:
            yield Span(traceparent)
        return
    with (
        _Tracing.tracer.start_as_current_span(
            name, context=_context(parent), kind=_kind(kind), attributes=_dotted(attributes)
        ) as made,
        _surroundings(_traceparent(made)) as traceparent,
    ):
        yield Span(traceparent, made)


@contextmanager
def _surroundings(traceparent: str) -> Iterator[str]:
    token = _current.set(traceparent)
    try:
        yield traceparent
    finally:
        _current.reset(token)


def begin_span(name: str, *, parent: str, kind: Kind = "internal", **attributes: Attribute) -> Span:
    """A span that the caller ends by :meth:`Span.end`, for one of many that are under way side by side.

    Args:
        name: what is done.
        parent: ``traceparent`` of what it follows from; empty: a trace of its own.
        kind: OpenTelemetry's kind of span.
        attributes: with ``__`` for a dot.
    """
    if _Tracing.tracer is None:
        return Span(parent)
    made = _Tracing.tracer.start_span(
        name, context=_context(parent), kind=_kind(kind), attributes=_dotted(attributes)
    )
    return Span(_traceparent(made), made)


def span_of_the_past(
    name: str,
    *,
    parent: str,
    began_ns: int,
    ended_ns: int,
    kind: Kind = "internal",
    **attributes: Attribute,
) -> str:
    """A span for what is over; returns its ``traceparent``, or that of the parent where nothing is traced.

    Args:
        name: what was done.
        parent: ``traceparent`` of what it follows from.
        began_ns: nanoseconds since 1970.
        ended_ns: nanoseconds since 1970.
        kind: OpenTelemetry's kind of span.
        attributes: with ``__`` for a dot.
    """
    if _Tracing.tracer is None:
        return parent
    made = _Tracing.tracer.start_span(
        name,
        context=_context(parent),
        kind=_kind(kind),
        attributes=_dotted(attributes),
        start_time=began_ns,
    )
    made.end(ended_ns)
    return _traceparent(made)


def _context(parent: str) -> Any:
    if not parent:
        return None
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator().extract({"traceparent": parent})


def _traceparent(made: Any) -> str:
    context = made.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _kind(kind: Kind) -> Any:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    return SpanKind[kind.upper()]


def _dotted(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {name.replace("__", "."): value for name, value in attributes.items()}
