"""The same of a real object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from dam.assets.storage import blob_store
from dam.integrity import again
from dam.integrity.check import check
from dam.integrity.models import IntegrityRun
from dam.integrity.report import Kind, Outcome, Subject
from pipeline.blobs import BlobStoreDownError, original_key
from tests.dam.integrity.harm import Library, flipped, key_of, rendition_of
from tests.plugins.object_store import ObjectStore

pytestmark = pytest.mark.django_db


def test_each_fault_is_found_in_a_bucket(
    prefix: str, bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No object can be told to be older than it is.
    monkeypatch.setattr(again, "YOUNGEST_ORPHAN", -again.YOUNGEST_ORPHAN)
    library, s3 = Library(), object_store.client()
    gone, changed, cut, bare, _ = (library.add(shade) for shade in range(5))
    orphan = original_key("ab" * 32)

    def put(key: str, body: bytes) -> None:
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=body)

    for key in (key_of(gone), rendition_of(bare)):
        s3.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")
    put(key_of(changed), flipped(blob_store().read(key_of(changed))))
    put(key_of(cut), blob_store().read(key_of(cut))[:-1])
    put(orphan, b"nobody's")
    put("incoming/notes.txt", b"foreign")

    report = check(checksums="all")

    assert {(one.kind, one.subject, one.path, one.size) for one in report.findings} == {
        (Kind.MISSING, Subject.ORIGINAL, key_of(gone), gone.size),
        (Kind.MISMATCHED, Subject.ORIGINAL, key_of(changed), changed.size),
        (Kind.MISMATCHED, Subject.ORIGINAL, key_of(cut), cut.size),
        (Kind.MISSING, Subject.RENDITION, rendition_of(bare), 0),
        (Kind.ORPHANED, Subject.ORIGINAL, orphan, 8),
        (Kind.ORPHANED, Subject.FOREIGN, "incoming/notes.txt", 7),
    }
    assert (report.outcome, report.read.count, report.store) == (Outcome.DONE, 3, f"s3://{bucket}/{prefix}")


def test_an_empty_prefix_is_the_wrong_store_and_a_silent_one_an_outage(
    prefix: str, bucket: str, object_store: ObjectStore, place: Path, settings
) -> None:
    Library().add(1)
    settings.BLOB_URL = f"s3://{bucket}/{prefix}"
    assert check().outcome is Outcome.WRONG_STORE

    settings.BLOB_URL = "s3://there-is-no-such-bucket/x"
    with pytest.raises(BlobStoreDownError, match="has no bucket"):
        check()

    settings.BLOB_URL = f"s3://{bucket}/{prefix}"
    object_store.crash()
    try:
        with pytest.raises(BlobStoreDownError, match="does not answer"):
            check()
    finally:
        object_store.start()
    assert [run.outcome for run in IntegrityRun.objects.order_by("pk")] == ["wrong-store", "failed", "failed"]
