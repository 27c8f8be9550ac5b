"""The client of the object store: what it costs, what it survives, and what it cannot do."""

from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
import trustme

from pipeline.blobs import BlobStoreDownError, blob_store_from_url, original_key
from pipeline.ports import BlobStore, DependencyDownError
from pipeline.s3 import S3Bucket, S3Settings
from pipeline.s3_blobs import S3BlobStore
from tests.plugins.object_store import ObjectStore

DATA = b"not really a picture" * 1000
KEY = original_key(hashlib.sha256(DATA).hexdigest())


def says(script: str, *arguments: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


# ------------------------------------------------------------------------- processes

_FORKS = """
import multiprocessing, sys
from pipeline.blobs import blob_store_from_url
store, key = blob_store_from_url(sys.argv[1]), sys.argv[2]
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(store.read, [key] * 4).get(timeout=60)
print([len(data) for data in found], len(store.read(key)))
"""

_WORKS = """
import io, sys
from pipeline.blobs import blob_store_from_url
store = blob_store_from_url(sys.argv[1])
key = store.put(io.BytesIO(b"x")).key
store.read(key), store.put_renditions(key, {"grid.jpg": b"y"}), store.exists(key)
print([name for name in ("botocore", "s3fs", "aiohttp", "urllib3") if name in sys.modules])
"""


def test_processes_forked_before_its_first_use_share_a_store(url: str, store: BlobStore) -> None:
    key = store.put(io.BytesIO(DATA)).key

    assert says(_FORKS, url, key) == f"{[len(DATA)] * 4} {len(DATA)}\n"


def test_a_process_forked_after_its_first_use_is_told_instead_of_waiting_for_ever(store: BlobStore) -> None:
    key = store.put(io.BytesIO(DATA)).key

    context = multiprocessing.get_context("fork")
    told, telling = context.Pipe(duplex=False)

    def read() -> None:
        try:
            store.read(key)
        except BlobStoreDownError as error:
            telling.send(str(error))

    child = context.Process(target=read)
    child.start()
    child.join(60)
    assert told.poll()
    assert "fork before the first use" in told.recv()
    assert store.read(key) == DATA


def test_what_a_worker_does_loads_no_other_client(url: str) -> None:
    assert says(_WORKS, url) == "[]\n"


def test_renditions_cost_one_look_for_their_original(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = S3Bucket(bucket, S3Settings())
    store = S3BlobStore(here, "counted")
    store.put(io.BytesIO(DATA))
    asked: list[str] = []

    def counting(name: str) -> Callable[..., object]:
        really = getattr(here, name)

        def counted(*words: object) -> object:
            asked.append(name)
            return really(*words)

        return counted

    for name in ("write", "head", "check", "remove"):
        monkeypatch.setattr(here, name, counting(name))

    store.put_renditions(KEY, {"grid.jpg": b"x", "preview.jpg": b"y"})

    assert asked == ["write", "write", "head"]


# ----------------------------------------------------------------------- credentials


def test_a_token_of_other_keys_is_left_alone(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-service")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-service")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-service")

    assert store.read(store.put(io.BytesIO(DATA)).key) == DATA


def test_a_profile_is_refused_with_what_to_do_instead(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINE_S3_ACCESS_KEY")
    monkeypatch.delenv("VITRINE_S3_SECRET_KEY")
    monkeypatch.setenv("AWS_PROFILE", "pictures")

    with pytest.raises(DependencyDownError, match=r"AWS_PROFILE.*set VITRINE_S3_ACCESS_KEY"):
        blob_store_from_url(url).exists(KEY)


def test_a_role_that_cannot_be_taken_is_a_matter_of_credentials(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VITRINE_S3_ACCESS_KEY")
    monkeypatch.delenv("VITRINE_S3_SECRET_KEY")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pictures")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/there/is/no/such/token")

    with pytest.raises(DependencyDownError, match="no credentials"):
        blob_store_from_url(url).exists(KEY)


# -------------------------------------------------------------------------- outages


class _Odd(BaseHTTPRequestHandler):
    """A store in another region for ``moved``, one that stops in the middle for everything else."""

    protocol_version = "HTTP/1.1"
    server: OddStore

    def do_GET(self) -> None:
        if "moved" in self.path:
            self.send_response(301)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int((re.findall(r"bytes=(\d+)", self.headers.get("Range", "")) or ["0"])[0])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.send_header("Content-Range", f"bytes {begin}-999999/1000000")
        self.send_header("Content-Length", str(1_000_000 - begin))
        self.end_headers()
        self.wfile.write(b"x" * 1000)
        self.wfile.flush()
        self.server.over.wait(120)

    def log_message(self, *_: object) -> None:
        pass


class OddStore(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Odd)
        self.over = Event()


@pytest.fixture
def odd_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with OddStore() as server:
        monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("odd_store")
def test_a_download_that_stops_in_the_middle_is_given_up() -> None:
    before = time.monotonic()
    with pytest.raises(BlobStoreDownError, match="does not answer"):
        S3Bucket("bucket", S3Settings(), patience_s=2).read("a.jpg")

    assert time.monotonic() - before < 30


@pytest.mark.usefixtures("odd_store")
def test_a_bucket_of_another_region_is_told_with_what_to_set() -> None:
    with pytest.raises(BlobStoreDownError, match="not in region “us-east-1”: set VITRINE_S3_REGION"):
        S3Bucket("moved", S3Settings()).read("a.jpg")


def test_a_store_with_certificates_of_its_own_is_trusted_where_they_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, words = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(words)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with OddStore() as server:
        server.socket = words.wrap_socket(server.socket, server_side=True)
        monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"https://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(BlobStoreDownError, match="does not answer"):
                S3Bucket("moved", S3Settings()).read("a.jpg")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
            with pytest.raises(BlobStoreDownError, match="not in region"):
                S3Bucket("moved", S3Settings()).read("a.jpg")
        finally:
            server.shutdown()
            thread.join()


def test_a_network_that_swallows_packets_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as held:
        deaf = held.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        # Linux answers no further attempt to connect when so many wait to be accepted.
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        bucket = S3Bucket("bucket", S3Settings(), patience_s=2)
        before = time.monotonic()
        for use in (lambda: bucket.head("x"), lambda: bucket.write("x", DATA)):
            with pytest.raises(BlobStoreDownError, match="does not answer"):
                use()

    assert time.monotonic() - before < 60


# ----------------------------------------------------------------------------- keys


@pytest.mark.parametrize("name", ["a b+c.jpg", "100%25.jpg", "Köln “Dom”.jpg", "a#b?c&d=e.jpg", "~(*'!).jpg"])
def test_a_foreign_key_is_found_as_it_is_listed(bucket: str, object_store: ObjectStore, name: str) -> None:
    key = f"foreign/{name}"
    object_store.client().put_object(Bucket=bucket, Key=key, Body=DATA)
    here = S3Bucket(bucket, S3Settings())

    (listed,) = [found for found in here.objects("foreign/") if found.key == key]

    assert here.head(key) == listed
    with here.open(key) as stream:
        assert stream.read() == DATA


def test_a_key_that_cannot_be_asked_for_is_listed_and_refused(bucket: str, object_store: ObjectStore) -> None:
    key = "strange/a\nb.jpg"
    object_store.client().put_object(Bucket=bucket, Key=key, Body=DATA)
    here = S3Bucket(bucket, S3Settings())

    assert [found.key for found in here.objects("strange/")] == [key]
    assert here.head(key) is None
    for one in (key, "a//b.jpg", "../a.jpg", "/a.jpg", "folder/"):
        with pytest.raises(OSError, match="cannot be read"):
            here.open(one)


def test_an_object_that_changes_while_it_is_read_is_not_mixed(bucket: str) -> None:
    here = S3Bucket(bucket, S3Settings())
    here.write("changing", b"a" * 6_000_000)
    with here.open("changing") as stream:
        assert stream.read(10) == b"a" * 10
        here.write("changing", b"b" * 6_000_000)

        with pytest.raises(BlobStoreDownError, match="PreconditionFailed"):
            stream.read()


def test_an_empty_object_is_read_as_one(bucket: str) -> None:
    here = S3Bucket(bucket, S3Settings())
    here.write("empty", b"")

    assert here.read("empty") == b""
    with here.open("empty") as stream:
        assert stream.read() == b""


@pytest.mark.parametrize("address", ["s3://bücket/x", "s3://b%20c/x", "s3://bucket/a//b", "s3://bucket/../x"])
def test_an_address_that_cannot_be_asked_for_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not "):
        blob_store_from_url(address)
