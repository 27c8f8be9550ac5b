"""What only an object store does."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
import requests

from pipeline.blobs import BlobStoreDownError, blob_store_from_url, original_key
from pipeline.ports import BlobMissingError, BlobStore, DependencyDownError
from pipeline.s3 import PART_BYTES, S3Bucket, S3Settings
from pipeline.s3_blobs import S3BlobStore
from tests.plugins.object_store import ObjectStore
from tests.plugins.processes import wait_for

DATA = b"not really a picture" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = original_key(SHA256)


@pytest.fixture(autouse=True)
def _environment(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture
def url(bucket: str, request: pytest.FixtureRequest) -> str:
    """Of a store with nothing in it."""
    return f"s3://{bucket}/{hashlib.sha256(request.node.name.encode()).hexdigest()}"


@pytest.fixture
def store(url: str) -> BlobStore:
    return blob_store_from_url(url)


class Recorder(ThreadingHTTPServer):
    """Takes whatever is sent to it and remembers the headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        self.seen: list[tuple[str, Message]] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Recording(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_HEAD(self) -> None:
        self._answer(404)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int) -> None:
        self.server.seen.append((self.command, self.headers))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("ETag", '"x"')
        self.end_headers()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# ---------------------------------------------------------- settings and outages


def test_a_wrong_secret_is_an_outage_that_names_the_credentials(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_S3_SECRET_KEY", "wrong")
    store = blob_store_from_url(url)

    for use in (store.exists, store.read, store.open, store.delete):
        with pytest.raises(BlobStoreDownError, match="check the credentials") as caught:
            use(KEY)
        assert "wrong" not in str(caught.value)
    with pytest.raises(BlobStoreDownError, match="check the credentials"):
        store.put(io.BytesIO(DATA))
    with pytest.raises(BlobStoreDownError, match="check the credentials"):
        list(store.originals(older_than_s=0))


def test_missing_credentials_are_an_outage_that_says_what_to_set(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VITRINE_S3_ACCESS_KEY")
    monkeypatch.delenv("VITRINE_S3_SECRET_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(DependencyDownError, match="set VITRINE_S3_ACCESS_KEY"):
        blob_store_from_url(url).exists(KEY)


def test_credentials_may_come_the_way_of_the_aws_tools(
    url: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VITRINE_S3_ACCESS_KEY")
    monkeypatch.delenv("VITRINE_S3_SECRET_KEY")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_store.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", object_store.secret_key)
    store = blob_store_from_url(url)

    assert store.read(store.put(io.BytesIO(DATA)).key) == DATA


def test_the_secret_may_lie_in_a_file(
    url: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VITRINE_S3_SECRET_KEY")
    monkeypatch.setenv("VITRINE_S3_SECRET_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(DependencyDownError, match="cannot be read"):
        blob_store_from_url(url).exists(KEY)

    (tmp_path / "secret").write_text(f"{object_store.secret_key}\n")
    assert not blob_store_from_url(url).exists(KEY)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"VITRINE_S3_SECRET_KEY": ""}, "belong together"),
        ({"VITRINE_S3_ACCESS_KEY": ""}, "belong together"),
        ({"VITRINE_S3_SECRET_KEY_FILE": "/secret"}, "not both"),
        ({"VITRINE_S3_SSE": "rot13"}, "AES256"),
        ({"VITRINE_S3_ENDPOINT": "localhost:9000"}, "https"),
        ({"VITRINE_S3_ACCESS_KEY": "two words"}, "access_key"),
        ({"VITRINE_S3_SSE": "AES256", "VITRINE_S3_SSE_KMS_KEY_ID": "key"}, "VITRINE_S3_SSE=aws:kms"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_at_the_start(
    url: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], says: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=says) as caught:
        blob_store_from_url(url)
    assert "secret-of-the-tests" not in str(caught.value)


@pytest.mark.parametrize("address", ["s3://", "s3:///prefix", "s3://bucket/x?versionId=3"])
def test_an_address_without_a_bucket_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="s3://BUCKET/PREFIX"):
        blob_store_from_url(address)


def test_a_missing_bucket_is_an_outage_and_its_blobs_are_not_missing() -> None:
    store = blob_store_from_url("s3://there-is-no-such-bucket/pictures")

    for use in (store.exists, store.read, store.open, store.delete):
        with pytest.raises(BlobStoreDownError, match="no bucket “there-is-no-such-bucket”"):
            use(KEY)
    with pytest.raises(BlobStoreDownError, match="no bucket"):
        store.put(io.BytesIO(DATA))
    with pytest.raises(BlobStoreDownError, match="no bucket"):
        list(store.originals(older_than_s=0))


def test_a_store_that_takes_connections_and_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        bucket = S3Bucket("bucket", S3Settings(), patience_s=1)
        before = time.monotonic()
        for use in (lambda: bucket.head("x"), lambda: bucket.write("x", DATA), bucket.check):
            with pytest.raises(BlobStoreDownError, match="does not answer"):
                use()

    assert time.monotonic() - before < 30


def test_an_outage_is_told_and_everything_goes_on_after_it(
    store: BlobStore, object_store: ObjectStore
) -> None:
    key = store.put(io.BytesIO(DATA)).key
    large = store.put(io.BytesIO(os.urandom(3 * PART_BYTES))).key
    stream = store.open(large)
    stream.read(1000)

    object_store.crash()
    try:
        for use in (store.exists, store.read, store.open, store.delete):
            with pytest.raises(BlobStoreDownError, match="does not answer"):
                use(key)
        with pytest.raises(BlobStoreDownError):
            store.put(io.BytesIO(b"new"))
        with pytest.raises(BlobStoreDownError):
            stream.read()
    finally:
        object_store.start()

    # Its parts come up one after the other: the first answers may still be refusals.
    def answers() -> bool:
        try:
            return store.exists(key)
        except DependencyDownError:
            return False

    wait_for(answers, 60, "the store to answer again")
    assert store.read(key) == DATA
    assert store.exists(store.put(io.BytesIO(b"new")).key)


# ----------------------------------------------------------------- what is where


def test_two_prefixes_of_a_bucket_do_not_see_each_other(url: str) -> None:
    first, second = blob_store_from_url(f"{url}/a"), blob_store_from_url(f"{url}/a-b")
    key = first.put(io.BytesIO(DATA)).key

    assert not second.exists(key)
    assert list(second.originals(older_than_s=0)) == []
    second.put(io.BytesIO(b"other"))
    second.delete(key)
    assert first.read(key) == DATA
    assert [one.key for one in first.originals(older_than_s=0)] == [key]


def test_a_large_blob_travels_in_parts_and_arrives_whole(
    url: str, store: BlobStore, object_store: ObjectStore
) -> None:
    data = os.urandom(2 * PART_BYTES + 12345)
    stored = store.put(io.BytesIO(data))

    assert (stored.sha256, stored.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert store.read(stored.key) == data
    with store.open(stored.key) as stream:
        assert stream.read() == data
    where = urlsplit(url)
    head = object_store.client().head_object(Bucket=where.netloc, Key=f"{where.path[1:]}/{stored.key}")
    assert head["ETag"].strip('"').endswith("-3")


def test_equal_bytes_do_not_travel_again(url: str, store: BlobStore, object_store: ObjectStore) -> None:
    where, client = urlsplit(url), object_store.client()
    place = {"Bucket": where.netloc, "Key": f"{where.path[1:]}/{KEY}"}
    store.put(io.BytesIO(DATA))
    client.put_object(**place, Body=DATA, Metadata={"mark": "first"})

    store.put(io.BytesIO(DATA))

    assert client.head_object(**place)["Metadata"] == {"mark": "first"}


def test_interrupted_uploads_of_the_prefix_are_swept_when_they_are_old(
    url: str, store: BlobStore, object_store: ObjectStore
) -> None:
    where, client = urlsplit(url), object_store.client()
    ours, foreign = f"{where.path[1:]}/{KEY}", f"{where.path[1:]}-foreign/{KEY}"
    for key in (ours, foreign):
        begun = client.create_multipart_upload(Bucket=where.netloc, Key=key)
        client.upload_part(
            Bucket=where.netloc, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * (5 << 20)
        )

    def under_way() -> set[str]:
        found = client.list_multipart_uploads(Bucket=where.netloc).get("Uploads", [])
        return {one["Key"] for one in found} & {ours, foreign}

    assert under_way() == {ours, foreign}
    assert store.sweep_incoming(older_than_s=3600) == 0
    assert store.sweep_incoming(older_than_s=-60) == 1
    assert under_way() == {foreign}


def test_an_interrupted_delete_leaves_an_original_that_can_be_deleted_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BreaksOff(S3Bucket):
        left = 1

        def remove(self, key: str) -> None:
            if not self.left:
                raise BlobStoreDownError("the object store does not answer")
            self.left -= 1
            super().remove(key)

    breaking = S3BlobStore(BreaksOff(bucket, S3Settings()), "interrupted")
    store = S3BlobStore(S3Bucket(bucket, S3Settings()), "interrupted")
    store.put(io.BytesIO(DATA))
    renditions = store.put_renditions(KEY, {"grid.jpg": b"x", "preview.jpg": b"x"}).values()

    with pytest.raises(BlobStoreDownError):
        breaking.delete(KEY)
    (found,) = store.originals(older_than_s=0)
    store.delete(found.key)

    assert not any(store.exists(key) for key in (KEY, *renditions))


# -------------------------------------------------------------------- encryption


def test_objects_are_encrypted_by_the_store_when_that_is_asked_for(
    url: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_S3_SSE", "AES256")
    store = blob_store_from_url(url)
    keys = [store.put(io.BytesIO(data)).key for data in (DATA, os.urandom(2 * PART_BYTES + 1))]
    keys += store.put_renditions(keys[0], {"grid.jpg": b"x"}).values()

    where, client = urlsplit(url), object_store.client()
    for key in keys:
        head = client.head_object(Bucket=where.netloc, Key=f"{where.path[1:]}/{key}")
        assert head["ServerSideEncryption"] == "AES256"
    assert store.read(keys[0]) == DATA


def test_the_key_to_encrypt_with_is_named_in_the_request(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server of the tests has no key management; what it would be asked is seen on the wire.
    monkeypatch.setenv("VITRINE_S3_ENDPOINT", recorder.address)
    monkeypatch.setenv("VITRINE_S3_SSE", "aws:kms")
    monkeypatch.setenv("VITRINE_S3_SSE_KMS_KEY_ID", "alias/pictures")

    blob_store_from_url("s3://bucket/pictures").put(io.BytesIO(DATA))

    (headers,) = [headers for method, headers in recorder.seen if method == "PUT"]
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/pictures"


# ------------------------------------------------------------- signed addresses


@pytest.mark.parametrize(
    ("filename", "plain", "full"),
    [
        ("a photo.jpg", "a photo.jpg", ""),
        ("Köln “Dom” 100%.jpg", "K_ln _Dom_ 100_.jpg", "K%C3%B6ln%20%E2%80%9CDom%E2%80%9D%20100%25.jpg"),
        ('a"b\\c\r\nX-Evil: 1.jpg', "a_b_c__X-Evil: 1.jpg", "a%22b%5Cc%0D%0AX-Evil%3A%201.jpg"),
    ],
)
def test_a_signed_address_gives_the_bytes_as_an_attachment_of_that_name(
    store: BlobStore, filename: str, plain: str, full: str
) -> None:
    address = store.download_address(
        store.put(io.BytesIO(DATA)).key, filename=filename, media_type="image/jpeg"
    )
    assert address is not None
    answer = requests.get(address, timeout=30)

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{plain}"' + (
        f"; filename*=UTF-8''{full}" if full else ""
    )


def test_nothing_is_given_without_a_good_signature(store: BlobStore) -> None:
    key = store.put(io.BytesIO(DATA)).key
    address = store.download_address(key, filename="a.jpg", media_type="image/jpeg", expires_s=1)
    assert address is not None
    bare = address.partition("?")[0]

    assert requests.get(bare, timeout=30).status_code == 403
    assert requests.get(address.replace("a.jpg", "b.jpg"), timeout=30).status_code == 403
    wait_for(lambda: requests.get(address, timeout=30).status_code == 403, 30, "the address to expire")


def test_an_address_is_signed_for_the_host_that_browsers_reach(
    url: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = object_store.endpoint.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("VITRINE_S3_PUBLIC_ENDPOINT", public)
    store = blob_store_from_url(url)
    key = store.put(io.BytesIO(DATA)).key

    address = store.download_address(key, filename="a.jpg", media_type="image/jpeg")

    assert address is not None
    assert address.startswith(public + "/")
    # The host is part of what is signed.
    assert requests.get(address, timeout=30).content == DATA
    assert requests.get(address.replace("localhost", "127.0.0.1"), timeout=30).status_code == 403


def test_renditions_that_lose_their_original_meanwhile_are_taken_back(bucket: str) -> None:
    class DeletedMeanwhile(S3Bucket):
        def write(self, key: str, data: bytes) -> None:
            super().write(key, data)
            if key.endswith("grid.jpg"):
                store.delete(KEY)

    store = S3BlobStore(S3Bucket(bucket, S3Settings()), "meanwhile")
    store.put(io.BytesIO(DATA))

    with pytest.raises(BlobMissingError):
        S3BlobStore(DeletedMeanwhile(bucket, S3Settings()), "meanwhile").put_renditions(
            KEY, {"grid.jpg": b"x", "preview.jpg": b"x"}
        )
    assert list(S3Bucket(bucket, S3Settings()).objects("meanwhile/")) == []
