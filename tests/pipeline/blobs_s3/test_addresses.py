"""An object store: signed addresses that browsers fetch from."""

from __future__ import annotations

import io

import pytest
import requests

from pipeline.blobs import blob_store_from_url
from pipeline.ports import BlobStore
from tests.pipeline.blobs_s3.sample import DATA
from tests.plugins.object_store import ObjectStore
from tests.plugins.processes import wait_for


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
