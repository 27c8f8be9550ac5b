"""Certificates of endpoints, read by real handshakes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
import trustme

from dam.monitoring.certificates import certificates_read
from dam.monitoring.settings import MonitorSettings
from tests.plugins.ports import free_ports

ENDED = datetime(2020, 2, 29, 12, 0, tzinfo=UTC)


class Endpoint:
    """A TLS server that shows a certificate by the name that it is asked for."""

    def __init__(self, by_name: dict[str, trustme.LeafCert]) -> None:
        self.asked: list[str | None] = []
        contexts = {}
        for name, certificate in by_name.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(contexts[name])

        def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            self.asked.append(name)
            connection.context = contexts.get(name or "", next(iter(contexts.values())))

        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        next(iter(by_name.values())).configure_cert(self._context)
        self._context.sni_callback = choose
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @contextmanager
    def serving(self) -> Iterator[Endpoint]:
        def serve() -> None:
            with suppress(OSError):  # closed
                while True:
                    plain, _ = self._listener.accept()
                    with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
                        connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield self
        # Closing alone does not wake who waits.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_certificate_of_an_unknown_authority_that_has_ended_is_read_by_its_name(
    authority: trustme.CA,
) -> None:
    ended = authority.issue_cert("localhost", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=ENDED)
    other = authority.issue_cert("other.example")
    with Endpoint({"other.example": other, "localhost": ended}).serving() as endpoint:
        found, missing = certificates_read([f"localhost:{endpoint.port}"])
    assert missing == []
    assert [(one.endpoint, one.ends_at) for one in found] == [(f"localhost:{endpoint.port}", ENDED)]
    assert endpoint.asked == ["localhost"]


def test_endpoints_that_show_no_certificate_are_told_and_hold_up_no_other(authority: trustme.CA) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Endpoint({"localhost": authority.issue_cert("localhost")}).serving() as endpoint,
    ):
        closed, mute = f"127.0.0.1:{free_ports(1)[0]}", f"127.0.0.1:{silent.getsockname()[1]}"
        nowhere = ("nowhere.invalid:443", ":443", "localhost:port")
        endpoints = [closed, mute, *nowhere, f"localhost:{endpoint.port}"]
        found, missing = certificates_read(endpoints, within_s=0.5)
    assert [one.endpoint for one in found] == endpoints[-1:]
    assert [one.endpoint for one in missing] == endpoints[:-1]
    assert "refused" in missing[0].why
    assert "timed out" in missing[1].why


def test_endpoints_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_MONITOR_CERTIFICATES", " a.example:443, [::1]:8443,a.example:443 ,")
    assert MonitorSettings().certificate_endpoints == ("a.example:443", "[::1]:8443")
