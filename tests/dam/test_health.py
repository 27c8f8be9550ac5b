"""What the site says of its own health: each check with why it matters; the broker gates nothing."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test import Client

from dam.api import health
from dam.monitoring import lately as lately_module
from dam.monitoring.lately import Lately
from dam.monitoring.queues import queues_read
from pipeline.ports import TransportDownError
from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for


@pytest.fixture
def look(monkeypatch):
    """Puts another look at the broker into the answer."""

    def put(queues: Lately[object]) -> None:
        monkeypatch.setattr(health, "_queues", queues)

    return put


def answer() -> tuple[int, dict]:
    response = Client().get("/readyz")
    return response.status_code, response.json()["checks"]


@pytest.mark.django_db
def test_each_check_says_what_is_looked_at_and_why_it_matters():
    status, checks = answer()
    assert status == 200
    assert {name: check["gates"] for name, check in checks.items()} == {
        "database": True,
        "migrations": True,
        "blob store": True,
        "broker": False,
    }
    assert all(check["why"].endswith(".") for check in checks.values())


@pytest.mark.django_db
def test_a_broker_that_is_down_is_told_and_uploads_go_on(look, settings):
    (closed,) = free_ports(1)
    settings.QUEUE_URL = f"amqp://me:hush@127.0.0.1:{closed}/tagging"
    look(Lately(queues_read, every_s=10, patience_s=30))
    status, checks = answer()
    assert status == 200
    assert checks["broker"]["ok"] is False
    assert "does not answer" in checks["broker"]["detail"]
    assert "hush" not in str(checks)


@pytest.mark.django_db
def test_queues_that_nobody_declared_are_told(look, settings, scratch_database_url):
    settings.QUEUE_URL = scratch_database_url
    look(Lately(queues_read, every_s=10, patience_s=30))
    status, checks = answer()
    assert status == 200
    assert "queue" in checks["broker"]["detail"]


@pytest.mark.django_db
def test_a_broker_that_hangs_holds_up_no_answer_and_is_asked_once(look, monkeypatch):
    over, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        over.wait(60)
        return "there"

    monkeypatch.setattr(lately_module, "SILENT_AFTER_S", 0.2)
    queues = Lately(hang, every_s=0.1, patience_s=0.01)
    look(queues)
    try:
        assert answer()[1]["broker"]["detail"] == "it has not answered yet"
        wait_for(lambda: "for 0 s" in answer()[1]["broker"]["detail"], 60, "the silence to be told")
        assert len(asked) == 1
    finally:
        over.set()
    wait_for(lambda: queues.known().value == "there", 60, "the broker to be well again")


def test_what_is_asked_lately_is_not_asked_again_for_every_question():
    asked: list[int] = []
    lately = Lately(lambda: asked.append(1) or len(asked), every_s=60, patience_s=30)
    assert [lately.known().value for _ in range(20)] == [1] * 20


def test_what_was_wrong_is_forgotten_when_it_is_over():
    down = threading.Event()
    down.set()

    def read() -> str:
        if down.is_set():
            raise TransportDownError("the broker does not answer: refused\nand a secret")
        return "there"

    lately = Lately(read, every_s=0, patience_s=30)
    assert lately.known().problem == "the broker does not answer: refused"
    down.clear()
    wait_for(lambda: lately.known().value == "there", 60, "the broker to be well again")
    assert not lately.known().problem


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_database_that_is_down_makes_the_process_not_ready(settings):
    (closed,) = free_ports(1)
    connection.close()
    before = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(closed))
    try:
        status, checks = answer()
    finally:
        connection.close()
        connection.settings_dict.update(before)
    assert status == 503
    assert checks["database"]["ok"] is False
    assert Client().get("/healthz").status_code == 200
