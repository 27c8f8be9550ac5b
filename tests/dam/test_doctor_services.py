"""What `vitrine doctor` says of database, queues, model servers and certificates."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from django.db import connection

from dam.monitoring.doctor import (
    broker,
    certificates,
    database,
    servers,
)
from dam.monitoring.doctor.findings import Status
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, INTERACTIVE, QUEUES, RESULTS
from tests.dam.doctor_scene import by_name, only
from tests.plugins.brokers import RabbitBroker
from tests.workers.colour_model import ColourModel
from tests.workers.colour_server import ColourServer

# ----------------------------------------------------------------- database


@pytest.mark.django_db
def test_the_tests_own_database_is_well():
    looks = (database.answers, database.version, database.rights, database.migrations, database.clock)
    for look in looks:
        found = look()
        assert (only(found) if isinstance(found, list) else found).status is Status.OK, look
    assert {one.status for one in database.extensions()} == {Status.OK}


@pytest.mark.django_db
def test_a_role_without_rights_is_told_what_to_grant():
    with connection.cursor() as cursor:
        # An owner may take even his own rights, and the test's end gives them back.
        cursor.execute("SELECT current_user, current_database()")
        role, name = cursor.fetchone()
        cursor.execute("REVOKE ALL ON SCHEMA public FROM pg_database_owner, PUBLIC")
        cursor.execute(f'REVOKE ALL ON DATABASE "{name}" FROM "{role}"')
        cursor.execute("DROP SCHEMA IF EXISTS queue CASCADE")
    found = database.rights()
    said = " ".join(one.mend for one in found)
    assert {one.status for one in found} == {Status.FAILURE}
    assert f'GRANT CREATE ON SCHEMA public TO "{role}"' in said
    assert f'GRANT CREATE ON DATABASE "{name}" TO "{role}"' in said


@pytest.mark.django_db
def test_migrations_that_are_missing_or_too_many_are_told():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('jobs', '9999_of_tomorrow', now())"
        )
        assert "jobs.9999_of_tomorrow" in database.migrations().found
        cursor.execute("DELETE FROM django_migrations WHERE app = 'jobs' AND name BETWEEN '0003' AND '9998'")
        found = database.migrations()
    assert found.status is Status.FAILURE
    assert "vitrine migrate" in found.mend


# ------------------------------------------------------------------- queues


@pytest.fixture
def queue_url(scratch_database_url, settings):
    settings.QUEUE_URL = scratch_database_url
    return scratch_database_url


def test_queues_that_are_not_declared_are_told(queue_url):
    assert broker.answers().status is Status.OK
    found = broker.topology()
    assert found.status is Status.FAILURE
    assert "vitrine topology --declare" in found.mend


def test_limits_that_differ_and_queues_that_nobody_reads_are_told(queue_url):
    transport = PostgresTransport(queue_url)
    transport.declare()
    assert broker.topology().status is Status.OK
    with transport.consumer([INTERACTIVE, BULK]) as consumer:
        consumer.receive(limit=1, wait_s=0)
        unread = by_name(broker.consumers())
    assert INTERACTIVE not in unread
    assert unread[RESULTS].status is Status.FAILURE
    assert "vitrine write_results" in unread[RESULTS].mend
    PostgresTransport(queue_url, [*QUEUES[1:], type(QUEUES[0])(QUEUES[0].name, max_length=7)]).declare()
    assert QUEUES[0].name in broker.topology().found


def test_rabbitmq_tells_its_version_and_queues_of_other_limits(rabbit_broker: RabbitBroker, settings):
    settings.QUEUE_URL = rabbit_broker.url
    assert broker.answers().found.startswith("RabbitMQ 3.")
    assert rabbit_broker.node.password not in broker.answers().found
    assert broker.version().status is Status.OK
    missing = broker.topology()
    assert missing.status is Status.FAILURE
    assert "--declare" in missing.mend
    other = type(QUEUES[0])(QUEUES[0].name, max_length=7)
    rabbit_broker.transport(queues=[other, *QUEUES[1:]]).declare()
    found = broker.topology()
    assert found.status is Status.FAILURE
    assert QUEUES[0].name in found.found
    assert "delete it" in found.mend
    assert {one.name for one in broker.consumers()} >= {INTERACTIVE, RESULTS}


# ------------------------------------------------------------------ servers


@pytest.mark.django_db
def test_a_model_server_is_asked_for_what_it_serves(monkeypatch, tmp_path, settings):
    settings.VITRINE_HOME = tmp_path
    assert only(servers.model_servers()).status is Status.SKIPPED
    with ColourServer(ColourModel()) as server:
        monkeypatch.setenv("VITRINE_MODEL_SERVERS", server.address)
        found = only(servers.model_servers())
        assert found.name == server.address
        # No version was registered with the tests' catalogue.
        assert found.status is Status.WARNING
        assert "vitrine register_model" in found.mend


def test_without_grpc_the_model_servers_are_skipped_with_the_reason(monkeypatch, db):
    monkeypatch.setenv("VITRINE_MODEL_SERVERS", "127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "grpc", None)
    for name in [name for name in sys.modules if name.startswith("pipeline.tfserving")]:
        monkeypatch.delitem(sys.modules, name)
    found = only(servers.model_servers())
    assert found.status is Status.SKIPPED
    assert "grpc" in found.found


def test_processes_that_ended_are_named(tmp_path, settings):
    settings.VITRINE_HOME = tmp_path
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "run").mkdir()
    state = {"pids": {"web": os.getpid(), "worker": ended.pid}}
    (tmp_path / "run" / "system.json").write_text(json.dumps(state))
    assert only(servers.processes()).found == "worker: ended"


# ------------------------------------------------------------- certificates


@pytest.fixture
def tls_server(tmp_path, monkeypatch):
    """Starts a server with a certificate that ends in so many days; returns its address."""
    with contextlib.ExitStack() as stack:

        def start(days: float) -> str:
            authority = trustme.CA()
            issued = authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=days))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            issued.configure_cert(context)
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            monkeypatch.setenv("VITRINE_QUEUE_CA_FILE", str(tmp_path / "ca.pem"))
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                plain, _ = listener.accept()
                # Whoever does not trust the certificate goes away in the midst of it.
                with (
                    plain,
                    contextlib.suppress(OSError),
                    context.wrap_socket(plain, server_side=True) as encrypted,
                ):
                    encrypted.recv(1)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            return f"amqps://me:hush@localhost:{listener.getsockname()[1]}"

        yield start


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (14, "warning"), (3, "failure"), (-1, "failure")])
def test_a_certificate_that_ends_soon_is_told(tls_server, settings, days, status):
    settings.QUEUE_URL = tls_server(days)
    found = only(certificates.endpoints())
    assert found.status == status, found
    assert "hush" not in found.found + found.name
