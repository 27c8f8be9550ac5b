"""An object store: settings that are wrong, and servers that do not answer."""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path

import pytest

from pipeline.blobs import BlobStoreDownError, blob_store_from_url
from pipeline.ports import BlobStore, DependencyDownError
from pipeline.s3 import PART_BYTES, S3Bucket, S3Settings
from tests.pipeline.blobs_s3.sample import DATA, KEY
from tests.plugins.object_store import ObjectStore
from tests.plugins.processes import wait_for


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


def test_the_keys_may_lie_in_files(
    url: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("VITRINE_S3_ACCESS_KEY", "VITRINE_S3_SECRET_KEY"):
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    (tmp_path / "VITRINE_S3_ACCESS_KEY").write_text(f"{object_store.access_key}\n")
    with pytest.raises(DependencyDownError, match="VITRINE_S3_SECRET_KEY_FILE cannot be read"):
        blob_store_from_url(url).exists(KEY)

    (tmp_path / "VITRINE_S3_SECRET_KEY").write_text(f"{object_store.secret_key}\n")
    store = blob_store_from_url(url)
    assert not store.exists(KEY)
    # The listing has a client of its own.
    assert list(store.originals(older_than_s=0)) == []

    (tmp_path / "VITRINE_S3_ACCESS_KEY").write_text("two words\n")
    with pytest.raises(DependencyDownError, match="holds no access key") as caught:
        blob_store_from_url(url).exists(KEY)
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"VITRINE_S3_SECRET_KEY": ""}, "belong together"),
        ({"VITRINE_S3_ACCESS_KEY": ""}, "belong together"),
        ({"VITRINE_S3_SECRET_KEY_FILE": "/secret"}, "not both"),
        ({"VITRINE_S3_ACCESS_KEY_FILE": "/key"}, "not both"),
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
