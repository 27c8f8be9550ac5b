"""What only a folder does."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.blobs import BlobStoreDownError, FolderBlobStore, blob_store_from_url, original_key
from pipeline.ports import BlobStore, DependencyDownError

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


def test_an_unmounted_store_is_down_and_its_blobs_are_not_missing(store: FolderBlobStore, root: Path) -> None:
    key = store.put(io.BytesIO(DATA)).key
    root.rename(root.with_name("unmounted"))

    for use in (store.read, store.open, store.exists):
        with pytest.raises(DependencyDownError):
            use(key)
    with pytest.raises(DependencyDownError):
        store.put_renditions(key, {"grid.jpg": b"x"})
    with pytest.raises(DependencyDownError):
        store.put(io.BytesIO(DATA))


def test_a_store_whose_place_is_taken_is_down(root: Path) -> None:
    root.write_bytes(b"a file where the folder should be")

    with pytest.raises(BlobStoreDownError):
        FolderBlobStore(root)


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


def test_an_address_of_another_kind_says_what_to_use() -> None:
    with pytest.raises(ValueError, match=r"file:///path or s3://bucket/prefix"):
        blob_store_from_url("ftp://host/x")


def test_who_keeps_pictures_in_a_folder_loads_nothing_of_object_storage(root: Path) -> None:
    script = (
        "import sys; from pipeline.blobs import blob_store_from_url; blob_store_from_url(sys.argv[1]);"
        "print([name for name in ('obstore', 'botocore') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], check=True, capture_output=True, text=True
    )

    assert done.stdout == "[]\n"
