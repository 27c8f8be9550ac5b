"""What the queues are is printed, and never with a password."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, QUEUES


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("topology", *words, stdout=out)
    return out.getvalue()


def test_every_queue_is_printed_with_its_limits_and_its_dead_letters():
    facts = json.loads(run("--json"))
    assert [queue["name"] for queue in facts["queues"]] == [queue.name for queue in QUEUES]
    printed = run()
    for queue in QUEUES:
        assert queue.dead_letters in printed
        assert f"{queue.max_length:,}" in printed


def test_the_arguments_that_rabbitmq_is_given_are_printed(settings):
    settings.QUEUE_URL = "amqp://mq/%2F"
    bulk = next(queue for queue in json.loads(run("--json"))["queues"] if queue["name"] == BULK)
    assert bulk["arguments"][BULK]["x-dead-letter-routing-key"] == bulk["dead_letters"]
    assert bulk["arguments"][bulk["dead_letters"]]["x-queue-type"] == "quorum"
    printed = run()
    assert 'x-overflow = "reject-publish"' in printed
    assert f"x-max-length = {bulk['max_length']}" in printed


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("amqp://me:hush@mq:5673/tagging", "amqp://mq:5673, virtual host tagging"),
        ("amqps://me:hush@mq", "amqps://mq:5671, virtual host /"),
        ("amqps://me:hush@mq/%2F?hush=1", "amqps://mq:5671, virtual host /"),
        ("postgresql://me:hush@db:5433/dam", "postgresql on db:5433, database dam"),
        ("postgresql://me@/dam?host=/run/pg&password=hush", "postgresql on /run/pg:5432, database dam"),
    ],
)
def test_the_broker_is_named_without_secrets(settings, url, broker):
    settings.QUEUE_URL = url
    assert json.loads(run("--json"))["broker"] == broker
    assert "hush" not in run() + run("--json")


def test_the_queues_are_declared_on_request(scratch_database_url, settings):
    settings.QUEUE_URL = scratch_database_url
    assert json.loads(run("--declare", "--json"))["declared_now"]
    assert json.loads(run("--declare", "--json"))["declared_now"]
    depths = PostgresTransport(scratch_database_url).depths()
    assert {name for queue in QUEUES for name in (queue.name, queue.dead_letters)} == depths.keys()


def test_a_broker_that_is_down_is_told_without_secrets(settings):
    settings.QUEUE_URL = "postgresql://me:hush@127.0.0.1:1/dam"
    with pytest.raises(CommandError, match="not declared") as told:
        run("--declare")
    assert "hush" not in str(told.value)
