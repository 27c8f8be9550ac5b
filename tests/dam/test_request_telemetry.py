"""Every request has an id, which its jobs carry on, and leaves one line that tells no more than it should."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image
from prometheus_client import REGISTRY
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from structlog.typing import EventDict

from dam.assets.models import Asset
from dam.assets.replays import asset_replay, dead_letter_replay
from dam.jobs.models import TaggingJob
from dam.jobs.services import dead_letter_keep
from pipeline.telemetry import tracing
from pipeline.telemetry.requests import current_request_id, for_request
from tests.dam.factories import AssetFactory, StaffFactory, TaggingJobFactory, UserFactory, job_close

pytestmark = pytest.mark.django_db

ASSETS = "/api/v1/assets/"
CALLER = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture
def user() -> User:
    return UserFactory()


@pytest.fixture
def api(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs([merge_contextvars]) as found:
        yield found


def upload(client: Client, content: bytes | None = None, **headers: str):
    if content is None:
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, "PNG")
        content = stream.getvalue()
    return client.post(ASSETS, {"file": SimpleUploadedFile("a.png", content)}, headers=headers)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


# --------------------------------------------------------------------- ids


def test_an_upload_keeps_the_id_that_the_caller_gave_it_from_the_answer_to_the_job(
    api: Client, lines: list[EventDict]
) -> None:
    answer = upload(api, **{"X-Request-ID": "shop-4711/e"})
    assert answer.headers["X-Request-ID"] == "shop-4711/e"
    assert TaggingJob.objects.get().request_id == "shop-4711/e"
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "shop-4711/e"
    assert current_request_id() == ""


@pytest.mark.parametrize("given", ["", "x" * 65, "two\nlines", "Ünï", " around ", "\x07"])
def test_an_id_that_does_not_fit_is_replaced_by_a_new_one(api: Client, given: str) -> None:
    first, second = (upload(api, **{"X-Request-ID": given}).headers["X-Request-ID"] for _ in range(2))
    assert len(first) == 32
    assert first.isalnum()
    assert first != second
    assert TaggingJob.objects.get().request_id == first


def test_a_try_carries_on_the_id_too(api: Client) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    picture = SimpleUploadedFile("a.png", stream.getvalue())
    fields = {"file": picture, "wait": 0}
    assert api.post("/api/v1/predict/", fields, headers={"X-Request-ID": "try-1"}).status_code == 202
    assert TaggingJob.objects.get().request_id == "try-1"


def failed_asset(user: User) -> Asset:
    asset = AssetFactory(state="failed", reason="missing-blob", generation=1, uploaded_by=user)
    job_close(TaggingJobFactory(asset=asset, generation=1, request_id="first"), failed=True)
    return asset


def test_what_is_asked_again_for_a_failed_picture_goes_on_under_the_first_id(api: Client, user: User) -> None:
    asset = failed_asset(user)
    api.post(f"/assets/{asset.pk}/retry/", headers={"X-Request-ID": "click"})
    again = TaggingJob.objects.latest("generation")
    assert (again.generation, again.request_id) == (2, "first")


def test_a_replay_goes_on_under_the_first_id_and_in_the_trace_of_who_asked_for_it(
    user: User, spans: InMemorySpanExporter
) -> None:
    asset = failed_asset(user)
    letter = dead_letter_keep(
        queue="tagging.bulk.dead",
        message_id="m",
        body=b'{"job_id": 1, "generation": 1, "purpose": "live", "blob_key": "b", "sha256": "c", '
        b'"media_type": "image/png", "requested_at": "2026-01-01T00:00:00Z"}',
        reason="given up",
        delivery_count=6,
        job_id=asset.jobs.get().pk,
        generation=1,
    )
    with for_request("click"), tracing.span("replay", parent=CALLER):
        here = tracing.current_traceparent()
        job = dead_letter_replay(letter=letter).job
    assert (job.request_id, job.traceparent) == ("first", here)
    assert here.split("-")[1] == CALLER.split("-")[1]
    assert asset_replay(asset=asset) is None


def test_staff_who_have_pictures_tagged_again_in_the_admin_start_a_request_of_their_own() -> None:
    asset = AssetFactory(state="tagged")
    client = Client()
    client.force_login(StaffFactory(is_superuser=True))
    fields = {"action": "tag_again", "_selected_action": [asset.pk]}
    client.post("/admin/assets/asset/", fields, headers={"X-Request-ID": "admin-7"})
    assert TaggingJob.objects.get().request_id == "admin-7"


# ------------------------------------------------------------------- lines


def test_a_request_leaves_one_line_without_its_query(api: Client, user: User, lines: list[EventDict]) -> None:
    api.get("/?q=my+secret+wedding&sort=name")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"], line["user"]) == ("GET", "/", 200, user.pk)
    assert line["bytes"] > 1000
    assert line["ms"] > 0
    assert "wedding" not in str(lines)


def test_an_upload_leaves_its_size_and_nothing_of_its_content(api: Client, lines: list[EventDict]) -> None:
    upload(api, b"no picture but a diary")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["status"], line["received"] > 22) == (415, True)
    assert "diary" not in str(lines)


@pytest.mark.parametrize("path", ["/sign-in/link/Mg/c0ffee-decaf/", "/sign-in/link/Mg/c0ffee-decaf"])
def test_a_link_that_signs_in_is_not_written_down(path: str, lines: list[EventDict]) -> None:
    Client().get(path)
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["path"] == "/sign-in/link/***"
    assert "decaf" not in str(lines)
    assert "user" not in line


def test_a_line_break_in_a_path_begins_no_line(lines: list[EventDict]) -> None:
    Client().get("/a%0Aevent=forged")
    assert [line["path"] for line in lines] == ["/a%0Aevent%3Dforged"]


def test_a_probe_leaves_a_line_only_if_it_fails(lines: list[EventDict]) -> None:
    client = Client()
    assert client.get("/healthz").headers["X-Request-ID"]
    assert lines == []
    with override_settings(BLOB_URL="nonsense://x"):
        client.get("/healthz?again")
    client.post("/healthz")
    assert [line["status"] for line in lines] == [405]


# ----------------------------------------------------------------- numbers


def test_nobody_finds_metrics_at_the_port_of_the_pages(api: Client) -> None:
    api.force_login(StaffFactory(is_superuser=True))
    assert [api.get(path).status_code for path in ("/metrics", "/metrics/", "/api/metrics")] == [404] * 3


def test_requests_are_counted_by_view_and_status_and_a_made_up_method_makes_no_label(api: Client) -> None:
    name = "django_http_responses_total_by_status_view_method_total"
    labels = {"status": "404", "view": "api-asset", "method": "GET"}
    before = value(name, **labels)
    assert api.get(f"{ASSETS}999/").status_code == 404
    assert value(name, **labels) == before + 1
    api.generic("FROBNICATE", ASSETS)
    methods = {sample.labels.get("method") for family in REGISTRY.collect() for sample in family.samples}
    assert "FROBNICATE" not in methods
    assert "<invalid method>" in methods


def test_uploads_are_counted_by_what_became_of_them_when_that_is_certain(
    api: Client, django_capture_on_commit_callbacks
) -> None:
    outcomes = ("created", "existing", "refused")

    def numbers() -> list[float]:
        counted = [value("vitrine_uploads_total", outcome=outcome) for outcome in outcomes]
        return [*counted, value("vitrine_upload_bytes_total")]

    before = numbers()
    with django_capture_on_commit_callbacks(execute=True):
        size = upload(api).json()["size"]
        # Nothing is committed yet.
        assert numbers() == before
    with django_capture_on_commit_callbacks(execute=True):
        upload(api)
        upload(api, b"no picture")
        with override_settings(MAX_UPLOAD_BYTES=10):
            assert upload(api, b"a" * 100_000).status_code == 413
    assert [now - then for now, then in zip(numbers(), before, strict=True)] == [1, 1, 2, 2 * size]


# ------------------------------------------------------------------ traces


def test_without_tracing_a_job_still_carries_on_the_callers_trace(api: Client) -> None:
    upload(api, traceparent=CALLER)
    assert TaggingJob.objects.get().traceparent == CALLER


@pytest.mark.parametrize("given", ["", "00-1-2-01", CALLER + "-more", CALLER.replace("1", "x")])
def test_what_is_no_traceparent_goes_nowhere(api: Client, given: str) -> None:
    upload(api, traceparent=given)
    assert TaggingJob.objects.get().traceparent == ""


def test_a_request_is_a_span_of_the_callers_trace_and_its_job_follows_from_it(
    api: Client, spans: InMemorySpanExporter
) -> None:
    upload(api, traceparent=CALLER, **{"X-Request-ID": "traced"})
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind.name, f"{span.parent.span_id:016x}") == (
        "POST api-assets",
        "SERVER",
        CALLER.split("-")[2],
    )
    assert span.attributes["http.response.status_code"] == 201
    assert span.attributes["vitrine.request_id"] == "traced"
    made = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert TaggingJob.objects.get().traceparent == made
    assert made.split("-")[1] == CALLER.split("-")[1]
