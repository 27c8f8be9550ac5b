"""An object store: what lies where, how it travels, and how it is encrypted."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from pipeline.blobs import BlobStoreDownError, blob_store_from_url
from pipeline.ports import BlobMissingError, BlobStore
from pipeline.s3 import PART_BYTES, S3Bucket, S3Settings
from pipeline.s3_blobs import S3BlobStore
from tests.pipeline.blobs_s3.sample import DATA, KEY
from tests.plugins.object_store import ObjectStore


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


# ------------------------------------------------------------- what is where


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


# ---------------------------------------------------------------- encryption


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
