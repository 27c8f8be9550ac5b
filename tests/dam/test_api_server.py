"""Uploads as a real web server receives them: nothing of a half-received request is believed."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from django.db import connection
from knox.models import AuthToken
from PIL import Image

from dam.assets.models import Asset
from tests.dam.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

# Above what Django keeps in memory.
LIMIT = 4_000_000
TIMEOUT_S = 60


@dataclass
class Server:
    port: int
    uploads: Path
    """Where files lie while they arrive."""


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """gunicorn with one worker that serves one request after the other."""
    uploads = tmp_path_factory.mktemp("uploads")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        # The tests' own database on the server that DATABASE_URL names.
        address = re.sub(
            r"^(\w+://[^/?]*)/[^?]*", rf"\1/{connection.settings_dict['NAME']}", os.environ["DATABASE_URL"]
        )
        number = listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "dam.wsgi:application", "--bind", f"fd://{number}"]
        process = subprocess.Popen(
            [*command, "--workers", "1", "--timeout", "120", "--no-control-socket"],
            pass_fds=[number],
            env=os.environ
            | {
                "DATABASE_URL": address,
                "VITRINE_MAX_UPLOAD_BYTES": str(LIMIT),
                "VITRINE_UPLOAD_TEMP_DIR": str(uploads),
            },
        )
        try:
            yield Server(port=listener.getsockname()[1], uploads=uploads)
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@pytest.fixture
def token() -> str:
    return AuthToken.objects.create(user=UserFactory())[1]


def noise(pixels: int) -> bytes:
    """A JPEG that cannot be packed: about as many bytes as pixels."""
    side = int(pixels**0.5)
    stream = io.BytesIO()
    Image.frombytes("L", (side, side), os.urandom(side * side)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def multipart(content: bytes) -> bytes:
    head = b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    return head + b"Content-Type: image/jpeg\r\n\r\n" + content + b"\r\n--b0--\r\n"


def head(token: str, *lines: str) -> bytes:
    return "\r\n".join(
        [
            "POST /api/v1/assets/ HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {token}",
            "Content-Type: multipart/form-data; boundary=b0",
            "Connection: close",
            *lines,
            "",
            "",
        ]
    ).encode()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)


def answer(sock: socket.socket) -> tuple[int, str]:
    """Status and body of the answer."""
    received = b""
    while chunk := sock.recv(65536):
        received += chunk
    top, _, body = received.partition(b"\r\n\r\n")
    return int(top.split()[1]), body.decode()


def wait_until_idle(server: Server) -> None:
    """The one worker answers this after it has finished whatever came before."""
    assert requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=TIMEOUT_S).ok


def assert_nothing_was_kept(server: Server) -> None:
    wait_until_idle(server)
    assert Asset.objects.count() == 0
    assert list(server.uploads.iterdir()) == []


def test_a_whole_upload_becomes_an_asset(server: Server, token: str) -> None:
    body = multipart(noise(10_000))
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body)
        status, text = answer(sock)
    assert (status, Asset.objects.count()) == (201, 1), text


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_an_upload_cut_off_half_way_becomes_no_asset_and_is_told(
    server: Server, token: str, kept: float
) -> None:
    body = multipart(noise(500_000))
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body[: int(len(body) * kept)])
        sock.shutdown(socket.SHUT_WR)
        status, text = answer(sock)
    assert (status, "cut-off" in text) == (400, True), text
    assert_nothing_was_kept(server)


def test_a_client_that_vanishes_in_the_middle_leaves_no_asset(server: Server, token: str) -> None:
    body = multipart(noise(3_600_000))
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body[: len(body) * 4 // 5])
    assert_nothing_was_kept(server)


def test_a_form_whose_last_field_is_cut_off_becomes_no_asset(server: Server, token: str) -> None:
    field = b'--b0\r\nContent-Disposition: form-data; name="bulk"\r\n\r\ntrue\r\n--b0--\r\n'
    body = multipart(noise(10_000)).replace(b"--b0--\r\n", field)
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body.removesuffix(b"--b0--\r\n"))
        sock.shutdown(socket.SHUT_WR)
        status, text = answer(sock)
    assert (status, "cut-off" in text) == (400, True), text
    assert_nothing_was_kept(server)


def test_a_body_without_its_closing_boundary_becomes_no_asset(server: Server, token: str) -> None:
    body = multipart(noise(10_000)).removesuffix(b"--b0--\r\n")
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body)
        status, text = answer(sock)
    assert (status, "cut-off" in text) == (400, True), text
    assert_nothing_was_kept(server)


def test_a_length_announced_too_short_becomes_no_asset(server: Server, token: str) -> None:
    body = multipart(noise(10_000))
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body) // 2}") + body)
        status, text = answer(sock)
    assert status == 400, text
    assert_nothing_was_kept(server)


def test_a_body_of_unannounced_length_is_refused(server: Server, token: str) -> None:
    with connect(server) as sock:
        sock.sendall(head(token, "Transfer-Encoding: chunked") + b"5\r\n--b0\r\r\n0\r\n\r\n")
        status, text = answer(sock)
    assert (status, "length-required" in text) == (411, True), text


def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes(
    server: Server, token: str
) -> None:
    with connect(server) as sock:
        sock.sendall(head(token, "Content-Length: 5000000000") + multipart(b"\xff\xd8\xff")[:50])
        status, text = answer(sock)
    assert (status, "too-many-bytes" in text) == (413, True), text
    assert_nothing_was_kept(server)


def test_a_file_a_little_over_the_limit_is_refused_while_it_comes(server: Server, token: str) -> None:
    body = multipart(b"\xff\xd8\xff" + bytes(LIMIT))
    with connect(server) as sock:
        sock.sendall(head(token, f"Content-Length: {len(body)}") + body)
        status, text = answer(sock)
    assert (status, "too-many-bytes" in text) == (413, True), text
    assert_nothing_was_kept(server)


@pytest.mark.parametrize("megabytes", [5, 30])
def test_a_client_that_sends_too_much_still_hears_why(server: Server, token: str, megabytes: int) -> None:
    answered = requests.post(
        f"http://127.0.0.1:{server.port}/api/v1/assets/",
        files={"file": ("a.jpg", b"\xff\xd8\xff" + bytes(megabytes * 1_000_000))},
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_S,
    )
    assert (answered.status_code, answered.json()["code"]) == (413, "too-many-bytes")
