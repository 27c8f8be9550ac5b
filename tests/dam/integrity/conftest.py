"""A library in a folder, and one in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dam.assets.storage import blob_store
from tests.dam.integrity.harm import Library
from tests.plugins.object_store import ObjectStore


@pytest.fixture
def place(tmp_path: Path, settings) -> Iterator[Path]:
    """The folder that the blobs lie in."""
    settings.BLOB_URL = str(tmp_path / "blobs")
    blob_store.cache_clear()
    yield tmp_path / "blobs"
    blob_store.cache_clear()


@pytest.fixture
def library(place: Path) -> Library:
    return Library()


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture
def prefix(
    object_store: ObjectStore, bucket: str, settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The prefix in the bucket that the blobs lie under."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    inner = uuid4().hex
    settings.BLOB_URL = f"s3://{bucket}/{inner}"
    blob_store.cache_clear()
    yield inner
    blob_store.cache_clear()
