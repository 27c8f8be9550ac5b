from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.topology import BULK, REQUEST_QUEUES
from workers.settings import WorkerSettings

NEEDED = {
    "VITRINE_QUEUE_URL": "postgresql:///q",
    "VITRINE_BLOB_URL": "/b",
    "VITRINE_MODEL_SERVERS": "a:1,b:2",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_three_addresses_are_enough(environment: pytest.MonkeyPatch) -> None:
    settings = WorkerSettings()

    assert (settings.queue_url, settings.blob_url, settings.model_servers) == tuple(NEEDED.values())
    assert settings.queues == REQUEST_QUEUES
    assert settings.decode_threads >= 1


@pytest.mark.parametrize("missing", NEEDED)
def test_a_missing_address_is_told_by_its_name(environment: pytest.MonkeyPatch, missing: str) -> None:
    environment.delenv(missing)

    with pytest.raises(ValidationError, match=missing.removeprefix("VITRINE_").lower()):
        WorkerSettings()


def test_the_limits_are_those_of_the_catalogue(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VITRINE_MAX_UPLOAD_BYTES", "1000")
    environment.setenv("VITRINE_MAX_PIXELS", "2000")

    limits = WorkerSettings().limits

    assert (limits.max_bytes, limits.max_pixels) == (1000, 2000)


def test_queues_are_named_in_order_of_priority(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VITRINE_QUEUES", f" {BULK} , tagging.interactive")

    assert WorkerSettings().queues == (BULK, "tagging.interactive")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_SIZE", "0"),
        ("SCORE_FLOOR", "2"),
        ("LOG_FORMAT", "xml"),
        ("DECODE_MEMORY_MB", "0"),
        ("MODEL_CA_FILE", "/no/such/file"),
        ("QUEUES", " , "),
        ("HEALTH_PORT", "65536"),
        ("QUEUES", "tagging.results"),
    ],
)
def test_a_value_out_of_range_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"VITRINE_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        WorkerSettings()


def test_the_address_of_the_broker_may_lie_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://me:hush@mq/\n")
    environment.setenv("VITRINE_QUEUE_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(ValidationError, match="VITRINE_QUEUE_URL or VITRINE_QUEUE_URL_FILE, not both"):
        WorkerSettings()

    environment.delenv("VITRINE_QUEUE_URL")
    assert WorkerSettings().queue_url == "amqp://me:hush@mq/"


def test_a_wrong_setting_is_told_without_the_passwords_beside_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VITRINE_QUEUE_URL", "amqp://me:hush@mq/")
    environment.delenv("VITRINE_BLOB_URL")
    with pytest.raises(ValidationError, match="blob_url") as caught:
        WorkerSettings()
    assert "hush" not in str(caught.value)


def test_an_empty_variable_is_none(environment: pytest.MonkeyPatch) -> None:
    for name in ("MODEL_CA_FILE", "QUEUES", "HEALTH_PORT"):
        environment.setenv(f"VITRINE_{name}", "")

    settings = WorkerSettings()

    assert (settings.model_ca_file, settings.queues, settings.health_port) == (None, REQUEST_QUEUES, 0)
