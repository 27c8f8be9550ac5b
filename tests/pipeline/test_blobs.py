from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.blobs import (
    BlobStoreDownError,
    FolderBlobStore,
    InvalidKeyError,
    blob_store_from_url,
    original_key,
)
from pipeline.ports import BlobMissingError, BlobStore, DependencyDownError

DATA = b"not really a picture" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> FolderBlobStore:
    return FolderBlobStore(root)


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_bytes_are_stored_under_their_hash_and_read_back(store: FolderBlobStore, root: Path) -> None:
    stored = store.put(io.BytesIO(DATA))

    assert (stored.sha256, stored.size) == (SHA256, len(DATA))
    assert stored.key == f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}/original" == original_key(SHA256)
    assert store.exists(stored.key)
    assert store.read(stored.key) == DATA
    with store.open(stored.key) as stream:
        assert stream.read(7) == DATA[:7]
    assert files_under(root) == {stored.key}


def test_equal_bytes_are_one_blob(store: FolderBlobStore, root: Path) -> None:
    first, second = store.put(io.BytesIO(DATA)), store.put(io.BytesIO(DATA))

    assert first == second
    assert files_under(root) == {first.key}


def test_a_stream_larger_than_one_chunk_is_stored_whole(store: FolderBlobStore) -> None:
    data = os.urandom((1 << 20) * 2 + 17)

    assert store.read(store.put(io.BytesIO(data)).key) == data


def put_many_times(arguments: tuple[Path, int]) -> str:
    root, times = arguments
    keys = {FolderBlobStore(root).put(io.BytesIO(DATA)).key for _ in range(times)}
    assert len(keys) == 1
    return keys.pop()


def test_many_processes_may_store_the_same_bytes_at_once(root: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        keys = set(pool.map(put_many_times, [(root, 30)] * 3))

    assert len(keys) == 1
    assert FolderBlobStore(root).read(keys.pop()) == DATA
    assert files_under(root / "incoming") == set()


def test_storing_while_somebody_deletes_leaves_whole_blobs_or_none(store: FolderBlobStore) -> None:
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


def test_a_stream_that_breaks_off_leaves_nothing(store: FolderBlobStore, root: Path) -> None:
    class BreaksOff(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError("the browser went away")
            return super().read(10)

    with pytest.raises(ConnectionResetError):
        store.put(BreaksOff(DATA))

    assert files_under(root) == set()


def test_a_rendition_lies_beside_its_original_and_is_replaced_by_a_newer_one(
    store: FolderBlobStore, root: Path
) -> None:
    key = store.put(io.BytesIO(DATA)).key

    rendition = store.put_rendition(key, "grid.jpg", b"old")
    assert store.put_rendition(key, "grid.jpg", b"new") == rendition

    assert rendition == key.replace("original", "grid.jpg")
    assert store.read(rendition) == b"new"
    assert files_under(root) == {key, rendition}


def test_a_rendition_without_an_original_is_refused(store: FolderBlobStore, root: Path) -> None:
    with pytest.raises(BlobMissingError):
        store.put_rendition(original_key(SHA256), "grid.jpg", b"x")

    assert files_under(root) == set()


@pytest.mark.parametrize("name", ["original", "", "..", "../x", "a/b", "A.jpg", ".hidden", "x" * 65, "a\n"])
def test_a_name_that_is_none_for_a_rendition_is_refused(store: FolderBlobStore, name: str) -> None:
    key = store.put(io.BytesIO(DATA)).key

    with pytest.raises(ValueError, match="name"):
        store.put_rendition(key, name, b"x")
    assert store.read(key) == DATA


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
def test_a_key_that_is_none_reaches_no_file(store: FolderBlobStore, key: str) -> None:
    store.put(io.BytesIO(DATA))

    for use in (store.read, store.open, store.exists, store.delete):
        with pytest.raises(InvalidKeyError):
            use(key)
    with pytest.raises(BlobMissingError):
        store.put_rendition(key, "grid.jpg", b"x")


def test_what_is_not_there_is_missing(store: FolderBlobStore) -> None:
    key = original_key(SHA256)

    assert not store.exists(key)
    for use in (store.read, store.open):
        with pytest.raises(BlobMissingError):
            use(key)


def test_an_unmounted_store_is_down_and_its_blobs_are_not_missing(store: FolderBlobStore, root: Path) -> None:
    key = store.put(io.BytesIO(DATA)).key
    root.rename(root.with_name("unmounted"))

    for use in (store.read, store.open, store.exists):
        with pytest.raises(DependencyDownError):
            use(key)
    with pytest.raises(DependencyDownError):
        store.put_rendition(key, "grid.jpg", b"x")
    with pytest.raises(DependencyDownError):
        store.put(io.BytesIO(DATA))


def test_a_store_whose_place_is_taken_is_down(root: Path) -> None:
    root.write_bytes(b"a file where the folder should be")

    with pytest.raises(BlobStoreDownError):
        FolderBlobStore(root)


def test_deleting_takes_the_renditions_along_and_may_be_repeated(store: FolderBlobStore, root: Path) -> None:
    key = store.put(io.BytesIO(DATA)).key
    rendition = store.put_rendition(key, "grid.jpg", b"x")

    store.delete(key)
    store.delete(key)

    assert not store.exists(key)
    assert not store.exists(rendition)
    assert files_under(root) == set()


def test_old_leftovers_are_swept_and_young_ones_and_blobs_stay(store: FolderBlobStore, root: Path) -> None:
    key = store.put(io.BytesIO(DATA)).key
    old, young, grave = (root / "incoming" / name for name in ("old.part", "young.part", "deleted-1"))
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    grave.mkdir()
    (grave / "original").write_bytes(b"x")
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    os.utime(grave, (long_ago, long_ago))

    assert store.sweep_incoming(older_than_s=3600) == 2

    assert files_under(root) == {key, "incoming/young.part"}


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_an_address_names_a_folder(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "a folder"
    store: BlobStore = blob_store_from_url(
        form.format(str(folder).replace(" ", "%20") if "file" in form else folder)
    )

    store.put(io.BytesIO(DATA))

    assert (folder / original_key(SHA256)).read_bytes() == DATA


@pytest.mark.parametrize(
    ("url", "says"), [("s3://bucket/x", "object storage"), ("ftp://host/x", "file:///path")]
)
def test_an_address_of_another_kind_says_what_to_use(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        blob_store_from_url(url)
