"""What only RabbitMQ has: ways in, and arguments of queues."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pika
import pytest
import trustme

from pipeline.ports import Delivery, Message, QueueFullError, TransportDownError
from pipeline.rabbitmq import RabbitTransport
from pipeline.rabbitmq.access import connection_parameters
from pipeline.rabbitmq.consumer import RabbitConsumer
from pipeline.rabbitmq.queues import QueueMismatchError
from pipeline.topology import BULK, QUEUES, QueueSpec
from pipeline.transports import transport_from_url
from tests.plugins.brokers import RabbitBroker
from tests.plugins.processes import wait_for
from tests.plugins.rabbitmq import RabbitNode, require_rabbitmq

WAIT_S = 60.0
DEAD = QueueSpec(BULK).dead_letters


@pytest.fixture
def transport(rabbit_broker: RabbitBroker) -> RabbitTransport:
    transport = rabbit_broker.transport()
    transport.declare()
    return transport


def there_and_back(transport: RabbitTransport) -> None:
    transport.declare()
    with transport.publisher() as publisher, transport.consumer([BULK]) as consumer:
        publisher.publish([Message(BULK, b"there and back")])
        (delivery,) = consumer.receive(limit=1, wait_s=WAIT_S)
        assert delivery.body == b"there and back"
        consumer.ack([delivery])


# ------------------------------------------------------------------ the way in


def test_name_and_password_may_come_from_the_environment_or_a_file(
    rabbit_broker: RabbitBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = rabbit_broker.node
    bare = rabbit_broker.url.replace(f"{node.user}:{node.password}@", "")
    monkeypatch.setenv("VITRINE_QUEUE_USER", node.user)
    monkeypatch.setenv("VITRINE_QUEUE_PASSWORD", node.password)
    there_and_back(RabbitTransport(bare))
    monkeypatch.delenv("VITRINE_QUEUE_PASSWORD")
    (tmp_path / "password").write_text(f"{node.password}\n")
    monkeypatch.setenv("VITRINE_QUEUE_PASSWORD_FILE", str(tmp_path / "password"))
    there_and_back(RabbitTransport(bare))
    there_and_back(RabbitTransport(bare.replace("://", f"://{node.user}@")))
    monkeypatch.delenv("VITRINE_QUEUE_USER")
    (tmp_path / "user").write_text(f"{node.user}\n")
    monkeypatch.setenv("VITRINE_QUEUE_USER_FILE", str(tmp_path / "user"))
    there_and_back(RabbitTransport(bare))


def test_what_the_address_says_goes_before_the_environment() -> None:
    environment = {"VITRINE_QUEUE_USER": "somebody else", "VITRINE_QUEUE_PASSWORD": "not this one"}
    address = "amqp://m%40e:p%2F%3A%40ss@localhost/v%2Fhost"
    credentials = connection_parameters(address, environment).credentials
    assert isinstance(credentials, pika.PlainCredentials)
    assert (credentials.username, credentials.password) == ("m@e", "p/:@ss")


def test_a_wrong_password_and_a_missing_virtual_host_are_told_apart_and_no_password_is_shown(
    rabbit_broker: RabbitBroker,
) -> None:
    node = rabbit_broker.node
    wrong = RabbitTransport(rabbit_broker.url.replace(node.password, "not-the-password"))
    with pytest.raises(TransportDownError, match="refused the user name or the password") as told:
        wrong.declare()
    assert "not-the-password" not in str(told.value)
    with pytest.raises(TransportDownError, match="virtual host"):
        RabbitTransport(node.url_of("nowhere")).declare()
    # The long-lived connections tell it in the same words.
    with wrong.publisher() as publisher, pytest.raises(TransportDownError, match="refused the user name"):
        publisher.publish([Message(BULK, b"")])


def test_an_address_that_cannot_be_read_is_refused_without_repeating_it() -> None:
    for address in ("amqp://me:secret@host:port/x", "amqp://me:secret℀@host", "redis://me:secret@host"):
        with pytest.raises(ValueError, match="must") as told:
            transport_from_url(address)
        assert "secret" not in str(told.value)


@dataclass(frozen=True)
class Encrypted:
    """A node that takes TLS only from who shows a certificate, and what one needs to know of it."""

    url: str
    authority: Path
    certificate: Path


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Encrypted]:
    require_rabbitmq()
    with tempfile.TemporaryDirectory(prefix="vitrine-rabbitmq-tls-") as name:
        folder = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "authority.pem")
        server = authority.issue_cert("localhost")
        server.cert_chain_pems[0].write_to_path(folder / "server.pem")
        server.private_key_pem.write_to_path(folder / "server.key")
        authority.issue_cert("worker@vitrine.example").private_key_and_cert_chain_pem.write_to_path(
            folder / "client.pem"
        )
        settings = {
            "ssl_options.cacertfile": str(folder / "authority.pem"),
            "ssl_options.certfile": str(folder / "server.pem"),
            "ssl_options.keyfile": str(folder / "server.key"),
            "ssl_options.verify": "verify_peer",
            "ssl_options.fail_if_no_peer_cert": "true",
        }
        with RabbitNode(folder / "node", settings=settings, tls=True) as node:
            url = node.url_of("/", port=node.tls_port, scheme="amqps")
            yield Encrypted(
                url.replace("127.0.0.1", "localhost"), folder / "authority.pem", folder / "client.pem"
            )


def test_messages_travel_by_tls_with_certificates_of_both_sides(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_QUEUE_CA_FILE", str(encrypted.authority))
    monkeypatch.setenv("VITRINE_QUEUE_CERT_FILE", str(encrypted.certificate))
    there_and_back(RabbitTransport(encrypted.url))


def test_a_broker_whose_certificate_nobody_vouches_for_or_of_another_name_is_not_talked_to(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_QUEUE_CERT_FILE", str(encrypted.certificate))
    with pytest.raises(TransportDownError, match=r"(?i)certificate"):
        RabbitTransport(encrypted.url).declare()
    monkeypatch.setenv("VITRINE_QUEUE_CA_FILE", str(encrypted.authority))
    with pytest.raises(TransportDownError, match=r"(?i)certificate"):
        RabbitTransport(encrypted.url.replace("localhost", "127.0.0.1")).declare()


def test_a_certificate_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_QUEUE_CA_FILE", "/no/such/file.pem")
    with pytest.raises(ValueError, match="VITRINE_QUEUE_"):
        RabbitTransport("amqps://localhost")


# --------------------------------------------------------------------- queues


def test_queues_are_quorum_queues_with_every_limit_explicit(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    vhost = rabbit_broker.url.rpartition("/")[2]
    found = {one["name"]: one["arguments"] for one in rabbit_broker.node.manage("GET", f"queues/{vhost}")}
    assert {
        name: {key: value for key, value in arguments.items() if key != "x-max-length"}
        for name, arguments in found.items()
        if name.startswith(BULK)
    } == {
        "tagging.bulk": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 4,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "tagging.bulk.dead",
            "x-dead-letter-strategy": "at-least-once",
        },
        "tagging.bulk.dead": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-overflow": "reject-publish",
        },
    }
    assert len(found) == 2 * len(QUEUES)
    assert all(arguments["x-max-length"] > 0 for arguments in found.values())


def test_a_queue_that_exists_with_other_arguments_is_told_with_what_to_do(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    other = rabbit_broker.transport(queues=[QueueSpec(BULK, delivery_limit=7)])
    with pytest.raises(QueueMismatchError, match=r"tagging\.bulk .*other arguments.*policy"):
        other.declare()


def test_a_queue_deleted_under_a_publisher_is_told_and_declared_anew(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"1")])
        with pika.BlockingConnection(connection_parameters(rabbit_broker.url)) as connection:
            connection.channel().queue_delete(BULK)
        with pytest.raises(TransportDownError, match="no queue"):
            publisher.publish([Message(BULK, b"2")])
        publisher.publish([Message(BULK, b"3")])
    assert transport.depths()[BULK].ready == 1


def test_a_consumer_whose_queue_was_deleted_goes_on_with_the_new_one(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    with transport.consumer([BULK]) as consumer, transport.publisher() as publisher:
        assert consumer.receive(limit=1, wait_s=0) == []
        with pika.BlockingConnection(connection_parameters(rabbit_broker.url)) as connection:
            connection.channel().queue_delete(BULK)
        assert consumer.receive(limit=1, wait_s=3) == []
        publisher.publish([Message(BULK, b"new")])
        assert consumer.receive(limit=1, wait_s=WAIT_S)[0].body == b"new"


def test_an_operators_policy_lowers_a_limit_and_a_message_that_a_full_dead_letter_queue_refuses_stays_held(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    vhost = rabbit_broker.url.rpartition("/")[2]
    rabbit_broker.node.limit_queue("dead$", max_length=1, vhost=vhost)
    transport.declare()
    with transport.publisher() as publisher, transport.consumer([BULK]) as consumer:
        publisher.publish([Message(BULK, b"", f"{number}") for number in range(10)])
        held = consumer.receive(limit=10, wait_s=WAIT_S, linger_s=WAIT_S)
        rejected = list(itertools.takewhile(partial(is_rejected, consumer), held))
        assert 1 <= len(rejected) < 10
        wait_for(lambda: rabbit_broker.messages(BULK) == 10 - len(rejected), WAIT_S, "the rest, held")
        rabbit_broker.node.unlimit_queue(vhost=vhost)
        for delivery in held[len(rejected) :]:
            wait_for(partial(is_rejected, consumer, delivery), WAIT_S, "room for another dead letter")
    wait_for(lambda: rabbit_broker.messages(BULK) == 0, WAIT_S, "an empty queue")
    wait_for(lambda: rabbit_broker.messages(DEAD) == 10, WAIT_S, "every dead letter")


def is_rejected(consumer: RabbitConsumer, delivery: Delivery) -> bool:
    try:
        consumer.reject(delivery, reason="bad")
    except QueueFullError:
        return False
    return True
