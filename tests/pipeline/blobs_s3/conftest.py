"""An empty store in a bucket, with the settings of its server in the environment."""

from __future__ import annotations

import hashlib

import pytest

from pipeline.blobs import blob_store_from_url
from pipeline.ports import BlobStore
from tests.plugins.object_store import ObjectStore


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
