"""Spans by OpenTelemetry, and what happens where nobody traces."""

from __future__ import annotations

import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pipeline.telemetry import tracing
from pipeline.telemetry.tracing import (
    begin_span,
    configure_tracing,
    flush_traces,
    is_tracing,
    span,
    span_of_the_past,
    use_provider,
)

GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"


def test_a_span_continues_the_trace_that_it_is_given(spans: InMemorySpanExporter) -> None:
    with span("publish", parent=GIVEN, kind="producer", vitrine__job_id=7) as made:
        made.set(vitrine__queue="bulk")

    (told,) = spans.get_finished_spans()
    assert told.parent is not None
    assert (f"{told.context.trace_id:x}", f"{told.parent.span_id:x}") == ("a" * 32, "b" * 16)
    assert (told.kind.name, told.attributes) == ("PRODUCER", {"vitrine.job_id": 7, "vitrine.queue": "bulk"})
    assert made.traceparent == f"00-{'a' * 32}-{told.context.span_id:016x}-01"


def test_spans_of_the_past_and_spans_side_by_side_end_where_they_are_told(
    spans: InMemorySpanExporter,
) -> None:
    first, second = (begin_span("tag", parent=GIVEN, kind="consumer") for _ in range(2))
    span_of_the_past("decode", parent=first.traceparent, began_ns=1_000, ended_ns=3_000)
    second.failed("not answered")
    second.end()
    first.end()

    decode, failed, done = spans.get_finished_spans()
    assert (decode.start_time, decode.end_time) == (1_000, 3_000)
    assert decode.parent is not None
    assert decode.parent.span_id == done.context.span_id
    assert (failed.status.is_ok, failed.status.description) == (False, "not answered")
    assert done.status.is_ok


@pytest.mark.parametrize("given", ["", "no trace at all", f"00-{'0' * 32}-{'b' * 16}-01"])
def test_what_is_no_traceparent_begins_a_trace(spans: InMemorySpanExporter, given: str) -> None:
    begin_span("tag", parent=given).end()

    (told,) = spans.get_finished_spans()
    assert told.parent is None


def test_a_process_that_does_not_trace_hands_on_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    configure_tracing("worker")

    assert not is_tracing()
    with span("publish", parent=GIVEN) as made:
        made.set(some="thing")
        made.failed("no matter")
    begun = begin_span("tag", parent=GIVEN)
    begun.end()
    past = span_of_the_past("decode", parent=GIVEN, began_ns=1, ended_ns=2)
    assert {made.traceparent, begun.traceparent, past} == {GIVEN}


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_the_environment_switches_traces_on_and_off(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    configure_tracing("worker")
    assert not is_tracing()

    monkeypatch.delenv("OTEL_SDK_DISABLED")
    configure_tracing("worker")
    assert is_tracing()
    resource = tracing._Tracing.provider.resource.attributes
    assert resource["service.name"] == "vitrine-worker"

    flush_traces()
    assert not is_tracing()


def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Hanging(TracerProvider):
        def shutdown(self) -> None:
            released.wait(60)

    monkeypatch.setattr(tracing, "_FLUSH_S", 0.1)
    use_provider(Hanging(shutdown_on_exit=False))
    began = time.monotonic()

    flush_traces()

    assert time.monotonic() - began < 30
    assert not is_tracing()
    released.set()
