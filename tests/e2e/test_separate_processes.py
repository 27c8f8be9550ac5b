"""The whole path in separate processes, with a real broker and a real S3 server: the shape of production."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.plugins.otlp_collector import OtlpCollector, ReceivedSpan
from tests.plugins.photos import write_photos
from tests.plugins.plant import DATABASE_PASSWORD, Plant
from tests.plugins.rabbitmq import require_rabbitmq
from tests.plugins.system import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

BULK = 160


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, collector: OtlpCollector
) -> Iterator[Plant]:
    require_rabbitmq()
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    told |= {"VITRINE_LOG_FORMAT": "json", "VITRINE_SECRET_KEY": "signing-k3y"}
    with Plant(tmp_path_factory.mktemp("plant"), models=model_dir, web=True, **told) as plant:
        yield plant


@pytest.fixture
def api(plant: Plant) -> Iterator[requests.Session]:
    with plant.api() as session:
        yield session


def send(plant: Plant, api: requests.Session, path: Path, **headers: str) -> int:
    url = f"{plant.address}/api/v1/assets/"
    with path.open("rb") as file:
        answer = api.post(url, files={"file": (path.name, file)}, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def closed(plant: Plant, api: requests.Session, asset: int) -> dict[str, Any]:
    """The asset once its job is closed."""
    url = f"{plant.address}/api/v1/assets/{asset}/"
    wait_for(lambda: api.get(url).json()["state"] != "pending", within_s=120, what=plant.last_words)
    return api.get(url).json()


def count(plant: Plant, condition: str, *values: object) -> int:
    return int(plant.rows(f"SELECT count(*) FROM jobs_taggingjob WHERE {condition}", *values)[0][0])


def redelivered(plant: Plant) -> int:
    """How many messages the broker has delivered more than once since it runs."""
    counters = plant.node.evaluate("rabbit_global_counters:overview()")
    found = re.findall(r"messages_redelivered_total\s*=>\s*(\d+)", counters)
    assert found, counters
    return sum(map(int, found))


def test_an_upload_is_tagged_found_and_fetched_from_the_object_store(
    plant: Plant, api: requests.Session, photos: list[Path]
) -> None:
    cat = next(path for path in photos if path.name == "chelsea.png")
    asset = closed(plant, api, send(plant, api, cat))
    assert asset["state"] == "tagged"
    found = api.get(f"{plant.address}/api/v1/assets/", params={"q": "cat"}).json()["results"]
    assert [hit["id"] for hit in found] == [asset["id"]]

    redirect = api.get(f"{plant.address}/api/v1/assets/{asset['id']}/file", allow_redirects=False)
    assert redirect.status_code == 302
    assert redirect.headers["Location"].startswith(plant.objects.endpoint)
    # The address holds the right to fetch; our own token goes to nobody else.
    assert requests.get(redirect.headers["Location"], timeout=60).content == cat.read_bytes()
    grid = api.get(f"{plant.address}/api/v1/assets/{asset['id']}/renditions/grid")
    assert Image.open(io.BytesIO(grid.content)).format == "JPEG"


def test_an_upload_overtakes_a_bulk_import_and_every_process_stops_cleanly_in_the_middle_of_it(
    plant: Plant, api: requests.Session, photos: list[Path], tmp_path: Path
) -> None:
    before = plant.ledger()
    redelivered_before = redelivered(plant)
    write_photos(tmp_path / "first", BULK, seed=1, long_side=320)
    write_photos(tmp_path / "second", BULK, seed=2, long_side=320)

    # With nobody at work the queue of the import grows.
    assert [worker.stop() for worker in plant.workers] == [0, 0]
    plant.vitrine("import", str(tmp_path / "first"))
    wait_for(lambda: count(plant, "bulk AND state = 'published'") == BULK, within_s=60, what=plant.last_words)
    for worker in plant.workers:
        worker.start()
    upload = closed(plant, api, send(plant, api, next(p for p in photos if p.name == "coffee.png")))
    assert upload["state"] == "tagged"
    (overtaken,) = plant.rows(
        "SELECT count(*) FROM jobs_taggingjob b, jobs_taggingjob u WHERE u.asset_id = %s AND b.bulk"
        " AND b.created_at < u.created_at AND (b.closed_at IS NULL OR b.closed_at > u.closed_at)",
        upload["id"],
    )[0]
    assert overtaken > BULK // 2

    with plant.vitrine_started("import", str(tmp_path / "second")) as importing:
        for process in (plant.writer, plant.relay, *plant.workers):
            wait_for(lambda: count(plant, "state = 'published'") > 0, within_s=60, what=plant.last_words)
            assert process.stop() == 0, process.tail()
            process.start()
        said, errors = importing.communicate(timeout=120)
        assert importing.returncode == 0, said + errors

    wait_for(
        lambda: count(plant, "state IN ('queued', 'published')") == 0, within_s=180, what=plant.last_words
    )
    after = plant.ledger()
    assert after["agrees"]
    assert after["tagged"] - before["tagged"] == 2 * BULK + 1
    assert after["failed"] == before["failed"]
    assert count(plant, "attempts <> 1") == 0
    wait_for(lambda: not plant.queues_with_messages(), within_s=60, what=plant.last_words)
    # No stop gave a message back, so none cost an attempt.
    assert redelivered(plant) == redelivered_before
    assert plant.keeper.unmeant_exits() == {}


# ------------------------------------------------------- what they say of it


def traced(collector: OtlpCollector, plant: Plant, request_id: str) -> list[ReceivedSpan]:
    """All spans of the trace of that request, once the writer has told of its part."""

    def trace() -> str | None:
        told = (span for span in collector.spans() if span.name == "record")
        named = (span for span in told if span.attributes["vitrine.request_id"] == request_id)
        return next((span.trace_id for span in named), None)

    def spans() -> list[ReceivedSpan]:
        return [span for span in collector.spans() if span.trace_id == trace()]

    # Each process sends by itself, after a moment.
    services = {"vitrine-web", "vitrine-relay", "vitrine-worker", "vitrine-writer"}
    wait_for(lambda: {span.service for span in spans()} == services, within_s=60, what=plant.last_words)
    wait_for(lambda: "tag" in {span.name for span in spans()}, within_s=60, what=plant.last_words)
    return spans()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_one_trace_and_one_request_id_go_from_the_upload_to_the_tag(
    plant: Plant, api: requests.Session, collector: OtlpCollector, tmp_path: Path
) -> None:
    (picture,) = write_photos(tmp_path, 1, seed=9, long_side=640)
    before = {log: len(lines(log)) for log in (plant.home / "logs").glob("*.log")}
    asset = closed(plant, api, send(plant, api, picture, **{"X-Request-ID": "gallery-42"}))
    assert asset["state"] == "tagged"

    spans = traced(collector, plant, "gallery-42")
    (upload,) = [span for span in spans if span.service == "vitrine-web"]
    assert (upload.name, upload.kind, upload.parent_id) == ("POST api-assets", "server", "")
    (published,) = [span for span in spans if span.service == "vitrine-relay"]
    assert (published.name, published.kind, published.parent_id) == ("publish", "producer", upload.span_id)
    (tag,) = [span for span in spans if span.name == "tag"]
    assert (tag.service, tag.kind, tag.parent_id) == ("vitrine-worker", "consumer", published.span_id)
    stages = [span for span in spans if span.parent_id == tag.span_id and span.service == tag.service]
    assert {span.name for span in stages} == {"fetch", "decode", "encode", "store", "predict", "publish"}
    assert all(tag.began_ns <= span.began_ns <= span.ended_ns <= tag.ended_ns for span in stages)
    (recorded,) = [span for span in spans if span.service == "vitrine-writer"]
    assert (recorded.name, recorded.kind, recorded.parent_id) == ("record", "consumer", tag.span_id)
    assert upload.began_ns <= published.began_ns <= tag.began_ns <= recorded.began_ns
    assert {span.attributes["vitrine.request_id"] for span in (upload, published, tag, recorded)} == {
        "gallery-42"
    }

    told: dict[str, list[str]] = {}
    for log, count_before in before.items():
        for line in lines(log)[count_before:]:
            if "gallery-42" in (line.get("request_id"), *line.get("request_ids", ())):
                told.setdefault(line["service"], []).append(line["event"])
    assert told == {
        "web": ["request"],
        "relay": ["published"],
        "worker": ["batch"],
        "writer": ["recorded"],
    }


def test_no_process_writes_down_a_secret_or_a_file(plant: Plant, api: requests.Session) -> None:
    """Whatever the tests before this one did, outages and stops included."""
    keys = [value for name, value in plant.objects.environment().items() if "KEY" in name]
    token = str(api.headers["Authorization"]).removeprefix("Bearer ")
    secrets = {DATABASE_PASSWORD, "signing-k3y", token, *keys}
    assert len(secrets) >= 5
    logs = list((plant.home / "logs").glob("*.log"))
    assert {"web.log", "relay.log", "results_writer.log", "worker_0.log"} <= {log.name for log in logs}
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not [secret for secret in secrets if secret in text], log.name
        assert "JFIF" not in text
        assert "data:image" not in text
