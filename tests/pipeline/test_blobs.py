"""What every blob store has to do; a store joins by a fixture of a ``Shelf``."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from pipeline.blobs import FolderBlobStore, InvalidKeyError, original_key
from pipeline.ports import BlobMissingError, BlobStore
from pipeline.s3 import S3Bucket, S3Settings
from pipeline.s3_blobs import S3BlobStore
from tests.plugins.object_store import ObjectStore

DATA = b"not really a picture" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@dataclass(frozen=True)
class Shelf:
    """A store of the test's own, and what is really in it."""

    store: BlobStore
    keys: Callable[[], set[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Shelf:
    root = tmp_path / "blobs"

    def keys() -> set[str]:
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    return Shelf(FolderBlobStore(root), keys)


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture
def s3(object_store: ObjectStore, bucket: str) -> Shelf:
    client, prefix = object_store.client(), f"pictures/{uuid4().hex}"
    settings = S3Settings(
        endpoint=object_store.endpoint,
        region="us-east-1",
        access_key=object_store.access_key,
        secret_key=object_store.secret_key,
    )

    def keys() -> set[str]:
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {one["Key"].removeprefix(f"{prefix}/") for one in found}

    return Shelf(S3BlobStore(S3Bucket(bucket, settings), prefix), keys)


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    found: Shelf = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(shelf: Shelf) -> BlobStore:
    return shelf.store


def test_bytes_are_stored_under_their_hash_and_read_back(shelf: Shelf) -> None:
    store = shelf.store
    stored = store.put(io.BytesIO(DATA))

    assert (stored.sha256, stored.size) == (SHA256, len(DATA))
    assert stored.key == f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}/original" == original_key(SHA256)
    assert store.exists(stored.key)
    assert store.read(stored.key) == DATA
    with store.open(stored.key) as stream:
        assert stream.read(7) == DATA[:7]
    assert shelf.keys() == {stored.key}


def test_equal_bytes_are_one_blob(shelf: Shelf) -> None:
    store = shelf.store
    first, second = store.put(io.BytesIO(DATA)), store.put(io.BytesIO(DATA))

    assert first == second
    assert shelf.keys() == {first.key}


def test_a_stream_larger_than_one_chunk_is_stored_whole(store: BlobStore) -> None:
    data = os.urandom((1 << 20) * 2 + 17)

    assert store.read(store.put(io.BytesIO(data)).key) == data


def test_storing_while_somebody_deletes_leaves_whole_blobs_or_none(store: BlobStore) -> None:
    key = original_key(SHA256)

    def put() -> None:
        for _ in range(60):
            assert store.put(io.BytesIO(DATA)).key == key

    def delete() -> None:
        for _ in range(60):
            store.delete(key)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(put), pool.submit(delete)]:
            done.result()
    store.put(io.BytesIO(DATA))
    assert store.read(key) == DATA


def test_a_stream_that_breaks_off_leaves_nothing(shelf: Shelf) -> None:
    store = shelf.store

    class BreaksOff(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError("the browser went away")
            return super().read(10)

    with pytest.raises(ConnectionResetError):
        store.put(BreaksOff(DATA))

    assert shelf.keys() == set()


def test_renditions_lie_beside_their_original_and_are_replaced_by_newer_ones(shelf: Shelf) -> None:
    store = shelf.store
    key = store.put(io.BytesIO(DATA)).key

    keys = store.put_renditions(key, {"grid.jpg": b"old", "preview.jpg": b"large"})
    assert store.put_renditions(key, {"grid.jpg": b"new"}) == {"grid.jpg": keys["grid.jpg"]}

    assert keys == {name: key.replace("original", name) for name in ("grid.jpg", "preview.jpg")}
    assert [store.read(one) for one in keys.values()] == [b"new", b"large"]
    assert shelf.keys() == {key, *keys.values()}


def test_renditions_without_an_original_are_refused_and_not_kept(shelf: Shelf) -> None:
    store = shelf.store
    with pytest.raises(BlobMissingError):
        store.put_renditions(original_key(SHA256), {"grid.jpg": b"x", "preview.jpg": b"y"})

    assert shelf.keys() == set()


@pytest.mark.parametrize("name", ["original", "", "..", "../x", "a/b", "A.jpg", ".hidden", "x" * 65, "a\n"])
def test_a_name_that_is_none_for_a_rendition_is_refused(shelf: Shelf, name: str) -> None:
    store = shelf.store
    key = store.put(io.BytesIO(DATA)).key

    with pytest.raises(ValueError, match="name"):
        store.put_renditions(key, {"grid.jpg": b"x", name: b"y"})
    assert store.read(key) == DATA
    assert shelf.keys() == {key}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        "ab/cd/../../../etc/passwd",
        f"00/00/{SHA256}/original",
        f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}/../original",
        f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}/original\n",
        f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256.upper()}/original",
        "incoming/x.part",
    ],
)
def test_a_key_that_is_none_reaches_no_file(store: BlobStore, key: str) -> None:
    store.put(io.BytesIO(DATA))

    for use in (store.read, store.open, store.exists, store.delete):
        with pytest.raises(InvalidKeyError):
            use(key)
    with pytest.raises(BlobMissingError):
        store.put_renditions(key, {"grid.jpg": b"x"})


def test_what_is_not_there_is_missing(store: BlobStore) -> None:
    key = original_key(SHA256)

    assert not store.exists(key)
    for use in (store.read, store.open):
        with pytest.raises(BlobMissingError):
            use(key)


def test_deleting_takes_the_renditions_along_and_may_be_repeated(shelf: Shelf) -> None:
    store = shelf.store
    key = store.put(io.BytesIO(DATA)).key
    (rendition,) = store.put_renditions(key, {"grid.jpg": b"x"}).values()

    store.delete(key)
    store.delete(key)

    assert not store.exists(key)
    assert not store.exists(rendition)
    assert shelf.keys() == set()


def test_originals_are_listed_in_the_order_of_their_keys_and_renditions_are_not(store: BlobStore) -> None:
    keys = [store.put(io.BytesIO(b"picture %d" % n)).key for n in range(12)]
    store.put_renditions(keys[3], {"grid.jpg": b"x", "zoom.jpg": b"x"})

    found = list(store.originals(older_than_s=0))

    assert [one.key for one in found] == sorted(keys)
    assert [original_key(one.sha256) for one in found] == sorted(keys)
    assert all(0 <= one.age_s < 300 for one in found)


def test_an_original_younger_than_asked_is_not_listed(store: BlobStore) -> None:
    store.put(io.BytesIO(DATA))

    assert list(store.originals(older_than_s=3600)) == []


def test_originals_may_be_deleted_while_they_are_listed(store: BlobStore) -> None:
    keys = [store.put(io.BytesIO(b"picture %d" % n)).key for n in range(5)]

    for found in store.originals(older_than_s=0):
        store.delete(found.key)

    assert not any(store.exists(key) for key in keys)
    assert list(store.originals(older_than_s=0)) == []


def test_an_opened_blob_can_be_read_from_any_place(store: BlobStore) -> None:
    data = os.urandom(3_000_000)
    with store.open(store.put(io.BytesIO(data)).key) as stream:
        assert stream.seekable()
        assert stream.seek(0, io.SEEK_END) == len(data)
        stream.seek(2_000_000)
        assert stream.read(10) == data[2_000_000:2_000_010]
        stream.seek(0)
        assert stream.read() == data


def test_many_threads_may_use_a_store_at_once(store: BlobStore) -> None:
    def use(number: int) -> bool:
        data = b"picture %d" % (number % 5) * 1000
        key = store.put(io.BytesIO(data)).key
        store.put_renditions(key, {"grid.jpg": b"x"})
        return store.exists(key) and store.read(key) == data

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(use, range(30)))
    assert len(list(store.originals(older_than_s=0))) == 5


def test_what_is_not_there_at_first_is_seen_as_soon_as_it_is(shelf: Shelf) -> None:
    store = shelf.store
    assert not store.exists(original_key(SHA256))

    key = store.put(io.BytesIO(DATA)).key
    assert store.exists(key)

    store.delete(key)
    assert not store.exists(key)


def test_an_address_is_given_by_a_store_that_has_some(shelf: Shelf) -> None:
    key = shelf.store.put(io.BytesIO(DATA)).key

    address = shelf.store.download_address(key, filename="a.jpg", media_type="image/jpeg")

    assert isinstance(shelf.store, FolderBlobStore) == (address is None)
    assert address is None or urlsplit(address).path.endswith(f"/{key}")
