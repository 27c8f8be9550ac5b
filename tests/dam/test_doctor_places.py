"""What `vitrine doctor` says of folders, disks and the work itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dam.jobs.models import DeadLetter, Round, TaggingJob
from dam.monitoring.doctor import (
    storage,
    work,
)
from dam.monitoring.doctor.findings import Status
from dam.rollout.models import Rollout
from tests.dam.doctor_scene import only
from tests.dam.factories import AssetFactory, TaggingJobFactory

# -------------------------------------------------------- folders and disks


def test_a_home_that_others_may_write_is_told(tmp_path, settings):
    settings.VITRINE_HOME = tmp_path
    tmp_path.chmod(0o777)
    assert storage.home().status is Status.WARNING
    assert f"chmod go-w {tmp_path}" in storage.home().mend
    tmp_path.chmod(0o700)
    assert storage.home().status is Status.OK
    settings.VITRINE_HOME = tmp_path / "nowhere"
    assert storage.home().status is Status.FAILURE


def test_a_home_in_which_nothing_is_kept_may_be_missing(tmp_path, settings, monkeypatch):
    """As in a container, whose key, database and blobs have other places."""
    settings.VITRINE_HOME, settings.BLOB_URL = tmp_path / "nowhere", "s3://bucket/pictures"
    assert storage.home().status is Status.FAILURE
    monkeypatch.setenv("VITRINE_SECRET_KEY", "whichever")
    assert storage.home().status is Status.SKIPPED
    settings.BLOB_URL = str(tmp_path / "nowhere" / "blobs")
    assert storage.home().status is Status.FAILURE


def test_a_secret_key_that_others_may_read_is_told(tmp_path, settings, monkeypatch):
    monkeypatch.delenv("VITRINE_SECRET_KEY", raising=False)
    settings.VITRINE_HOME = tmp_path
    key = tmp_path / "secret_key"
    key.write_text("x")
    key.chmod(0o640)
    assert storage.secret_key_file().status is Status.FAILURE
    key.chmod(0o600)
    assert storage.secret_key_file().status is Status.OK


def test_the_probe_in_the_blob_store_leaves_no_file(tmp_path, settings):
    (tmp_path / "incoming").mkdir()
    settings.BLOB_URL = str(tmp_path)
    assert storage.blob_store().status is Status.OK
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_blob_store_that_is_not_there_is_told_and_not_made(tmp_path, settings):
    settings.BLOB_URL = str(tmp_path / "misspelt")
    assert storage.blob_store().status is Status.FAILURE
    assert not (tmp_path / "misspelt").exists()


def test_a_disk_without_room_for_two_uploads_is_told(tmp_path, settings):
    settings.VITRINE_HOME, settings.BLOB_URL = tmp_path, str(tmp_path)
    found = storage.disks()
    assert found[0].name.startswith("home, blobs")
    assert "free" in found[0].found
    settings.MAX_UPLOAD_BYTES = 1 << 60
    assert all(one.status is Status.FAILURE for one in storage.disks())


# --------------------------------------------------------------------- work


@pytest.mark.django_db
def test_a_ledger_that_does_not_agree_is_told():
    assert work.agreement().status is Status.OK
    AssetFactory(state="pending")
    assert work.agreement().status is Status.FAILURE
    assert "vitrine reconcile" in work.agreement().mend


@pytest.mark.django_db
def test_old_jobs_dead_letters_and_a_silent_relay_are_told():
    assert work.dead_letters().status is Status.OK
    assert only(work.oldest_job()).status is Status.OK
    job = TaggingJobFactory()
    TaggingJob.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(hours=1))
    DeadLetter.objects.create(digest="d", queue="tagging.bulk.dead", body=b"x")
    Round.objects.create(name="rollout", begun_at=timezone.now() - timedelta(minutes=30))
    Rollout.objects.update_or_create(pk=1, defaults={"reported_at": timezone.now() - timedelta(hours=3)})
    oldest = only(work.oldest_job())
    assert (oldest.name, oldest.status) == ("interactive", "failure")
    assert "60 minutes" in oldest.found
    assert "1 of tagging.bulk.dead" in work.dead_letters().found
    assert work.relay().status is Status.FAILURE
    assert work.controller().status is Status.WARNING
