"""What a worker tells of its work: metrics, its line for each batch, and spans."""

from __future__ import annotations

import socket
import time

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from pipeline.messages import Outcome
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.colour_server import ColourServer
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start
from tests.workers.worker_process import StartProcess

ANSWER = {"stage": "answer"}
GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"
NOT_SAMPLED = f"00-{'c' * 32}-{'d' * 16}-00"


def test_metrics_and_the_line_tell_what_became_of_a_batch(
    start_process: StartProcess, desk: Desk, model: ColourModel
) -> None:
    worker = start_process(UNKNOWN_LABEL_PATIENCE_S="0")
    before = worker.metrics()
    assert before["vitrine_ready"] == 1
    assert before['vitrine_worker_model_info{label="default",version="1"}'] == 1
    batch = [
        desk.request(pictures.jpeg(1000, 700), request_id="import"),
        desk.request(pictures.jpeg(400, 300, seed=2), request_id="import"),
        desk.request(pictures.TEXT, request_id="upload"),
    ]
    desk.answers(desk.ask(*batch, queue=BULK))
    wait_until(desk.everything_acknowledged, "acknowledgement")
    # The line is written after the acknowledgement, and the counters before the line.
    wait_until(lambda: len(worker.events("batch")) == 1, "the line of the batch")

    now = worker.metrics()
    queue = f'queue="{BULK}"'
    assert now[f'vitrine_pictures_total{{outcome="tagged",{queue},reason=""}}'] == 2
    assert now[f'vitrine_pictures_total{{outcome="failed",{queue},reason="corrupt"}}'] == 1
    assert now[f"vitrine_queue_wait_seconds_count{{{queue}}}"] == 3
    assert now[f'vitrine_batch_messages_sum{{{queue},stage="tag"}}'] == 3
    counts = {"fetch": 3, "decode": 3, "encode": 2, "store": 2, "prepare": 1, "predict": 1, "publish": 1}
    for stage, count in {**counts, "ack": 1}.items():
        labels = f'{{{queue},stage="{stage}"}}'
        assert now[f"vitrine_stage_duration_seconds_count{labels}"] == count, stage
        assert 0 <= now[f"vitrine_stage_duration_seconds_sum{labels}"] < 60, stage
    assert now['vitrine_picture_megapixels_bucket{le="0.3"}'] == 1
    assert now["vitrine_picture_megapixels_sum"] == pytest.approx(0.82)
    (line,) = worker.events("batch")
    busy = now["vitrine_worker_busy_seconds_total"] - before["vitrine_worker_busy_seconds_total"]
    assert busy >= float(str(line["total_ms"])) / 1000 - 0.01
    assert (line["service"], line["request_ids"]) == ("worker", ["import", "upload"])
    assert (line["pictures"], line["failed"], line["reasons"]) == (3, 1, ["corrupt"])

    model.served = {"": model_spec(2)}
    desk.publish_raw(b"no request")
    desk.ask(desk.request(pictures.jpeg(), model_label="withdrawn", request_id="campaign"), queue=BULK)
    desk.answers(desk.ask(pictures.jpeg(seed=3)))
    rejected = f"vitrine_messages_rejected_total{{{queue}}}"
    wait_until(lambda: worker.metrics().get(rejected) == 2, "both are rejected")
    assert {line.get("request_id", "") for line in worker.events("dead-lettered")} == {"", "campaign"}
    assert [name for name in worker.metrics() if name.startswith("vitrine_worker_model_info")] == [
        'vitrine_worker_model_info{label="default",version="2"}'
    ]


def test_an_outage_is_counted_and_its_lines_name_the_requests(
    start_process: StartProcess, desk: Desk, server: ColourServer
) -> None:
    worker = start_process()
    server.stop()
    jobs = desk.ask(desk.request(pictures.jpeg(), request_id="upload"))
    wait_until(lambda: bool(worker.events("dependency down")), "the worker notices")
    wait_until(lambda: worker.metrics()["vitrine_ready"] == 0, "it says so")
    server.start()
    desk.answers(jobs)
    wait_until(lambda: bool(worker.events("batch")), "the line of the batch")

    now = worker.metrics()
    assert now['vitrine_dependency_failures_total{stage="answer"}'] == len(worker.events("dependency down"))
    assert {tuple(down["request_ids"]) for down in worker.events("dependency down")} == {("upload",)}  # type: ignore[arg-type]
    assert now["vitrine_ready"] == 1


def test_a_worker_that_waits_for_the_model_is_not_busy(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    worker = start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=1)))
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready")
    busy, failures, began = (
        total("worker_busy_seconds"),
        total("dependency_failures", ANSWER),
        time.monotonic(),
    )
    model.down = True
    jobs = desk.ask(pictures.jpeg(seed=2))
    wait_until(lambda: total("dependency_failures", ANSWER) >= failures + 4, "some attempts")
    model.down = False
    desk.answers(jobs)
    worker.stop()

    # The pauses were 0.25, 0.5, 1 and 2 s, each drawn between half and all of that.
    assert total("worker_busy_seconds") - busy < time.monotonic() - began - 0.8


def total(name: str, labels: dict[str, str] | None = None) -> float:
    """A counter of this process, in which the worker is a thread."""
    return REGISTRY.get_sample_value(f"vitrine_{name}_total", labels) or 0.0


def test_a_port_for_health_that_is_taken_is_told(start_process: StartProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        worker = start_process(ready=False, HEALTH_PORT=str(taken.getsockname()[1]))
        assert worker.process.wait(60) == 64
    assert "in use" in "\n".join(worker.lines())


# ------------------------------------------------------------------ spans


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def test_each_picture_has_a_span_with_its_stages_in_the_trace_of_its_request(
    spans: InMemorySpanExporter, start_worker: Start, desk: Desk
) -> None:
    good = desk.request(pictures.jpeg(), traceparent=GIVEN)
    bad = desk.request(pictures.TEXT, traceparent=GIVEN)
    jobs = desk.ask(good, bad, queue=BULK)
    worker = start_worker()
    results = desk.answers(jobs)
    worker.stop()

    spans = spans.get_finished_spans()
    assert {f"{span.context.trace_id:x}" for span in spans} == {"a" * 32}
    tags = {
        span.attributes["vitrine.job_id"]: span for span in spans if span.attributes and span.name == "tag"
    }
    assert {f"{parent_of(tag):x}" for tag in tags.values()} == {"b" * 16}
    for request, result, stages, outcome in (
        (good, results[0], {"fetch", "decode", "encode", "store", "predict", "publish"}, ("tagged", "")),
        (bad, results[1], {"fetch", "decode", "publish"}, ("failed", "corrupt")),
    ):
        tag = tags[request.job_id]
        children = [span for span in spans if span.name != "tag" and parent_of(span) == tag.context.span_id]
        assert {span.name for span in children} == stages
        assert len(children) == len(stages)
        assert all(tag.start_time <= span.start_time <= span.end_time <= tag.end_time for span in children)  # type: ignore[operator]
        assert result.traceparent == f"00-{'a' * 32}-{tag.context.span_id:016x}-01"
        assert tag.attributes is not None
        assert (tag.attributes["vitrine.outcome"], tag.attributes["vitrine.reason"]) == outcome
        assert tag.attributes["vitrine.request_id"] == request.request_id
        assert (tag.kind.name, tag.status.is_ok) == ("CONSUMER", True)


def test_a_trace_that_is_not_sampled_is_handed_on_and_not_told(
    spans: InMemorySpanExporter, start_worker: Start, desk: Desk
) -> None:
    start_worker()

    (result,) = desk.answers(desk.ask(desk.request(pictures.jpeg(), traceparent=NOT_SAMPLED)))

    assert result.traceparent.startswith(f"00-{'c' * 32}-")
    assert result.traceparent.endswith("-00")
    assert spans.get_finished_spans() == ()


def test_a_request_that_nobody_can_answer_ends_as_a_failed_span(
    spans: InMemorySpanExporter, start_worker: Start, desk: Desk
) -> None:
    desk.ask(desk.request(pictures.jpeg(), model_label="withdrawn", traceparent=GIVEN), queue=BULK)
    worker = start_worker(unknown_label_patience_s=0)
    assert "withdrawn" in desk.dead_letter(BULK).dead_reason
    worker.stop()

    (tag,) = [span for span in spans.get_finished_spans() if span.name == "tag"]
    assert (tag.status.is_ok, tag.status.description) == (False, "not answered")


def test_a_worker_that_does_not_trace_hands_on_what_it_was_given(start_worker: Start, desk: Desk) -> None:
    start_worker()

    results = desk.answers(
        desk.ask(*(desk.request(data, traceparent=GIVEN) for data in (pictures.jpeg(), b"x")))
    )

    assert [result.outcome for result in results] == [Outcome.TAGGED, Outcome.FAILED]
    assert {result.traceparent for result in results} == {GIVEN}
