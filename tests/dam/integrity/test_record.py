"""Every run leaves a record, whatever became of it, and the record says what still stands."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dam.integrity.check import check
from dam.integrity.models import IntegrityFinding, IntegrityRun
from dam.integrity.report import Kind, Outcome, Subject
from dam.integrity.selectors import run_newest, run_standing
from pipeline.blobs import BlobStoreDownError
from tests.dam.factories import StaffFactory, UserFactory
from tests.dam.integrity.harm import Library, flipped, key_of, put, rendition_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(StaffFactory())
    return client


def test_a_run_is_recorded_with_its_numbers_and_findings(library: Library, place: Path) -> None:
    gone, bare = library.add(1), library.add(2)
    (place / key_of(gone)).unlink()
    (place / rendition_of(bare)).unlink()

    report = check(checksums="all", command="a test")

    run = IntegrityRun.objects.get()
    assert (run.pk, run.outcome, run.command, run.store) == (report.run_id, "done", "a test", str(place))
    assert (run.originals, run.renditions, run.read, run.damaged, run.listed) == (2, 4, 1, 1, 4)
    assert run.original_bytes == gone.size + bare.size
    assert (run.begun_at, run.ended_at) == (report.begun_at, report.ended_at)
    assert run.tally(Kind.MISSING, Subject.ORIGINAL) == (1, gone.size)
    assert run.tally(Kind.ORPHANED, Subject.FOREIGN) == (0, 0)
    original, rendition = run.findings.all()
    assert (original.path, original.words) == (key_of(gone), "missing originals")
    assert original.assets == [[gone.pk, "1.png"]]
    assert (rendition.path, rendition.words) == (rendition_of(bare), "missing renditions")


def test_a_run_that_fails_is_recorded_with_the_reason(library: Library, settings) -> None:
    library.add(1)
    settings.BLOB_URL += "-elsewhere"

    with pytest.raises(BlobStoreDownError):
        check()

    run = IntegrityRun.objects.get()
    assert run.outcome == "failed"
    assert run.trouble.startswith("there is no folder")
    assert run.ended_at is not None


def test_a_run_that_was_killed_is_closed_by_a_later_one(library: Library) -> None:
    check()
    killed = run_newest()
    long_ago = timezone.now() - timedelta(hours=1)
    for run, heard in ((killed, long_ago), (None, timezone.now())):
        row = run or IntegrityRun.objects.create(begun_at=long_ago, command="under way", store="x")
        IntegrityRun.objects.filter(pk=row.pk).update(outcome="running", ended_at=None, updated_at=heard)

    check()

    outcomes = IntegrityRun.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["stopped", "running", "done"]
    assert IntegrityRun.objects.get(pk=killed.pk).trouble == "broken off: the process was killed"


def test_old_runs_go(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dam.integrity.services._RUNS_KEPT", 3)
    newest = [check().run_id for _ in range(5)][-3:]

    assert sorted(IntegrityRun.objects.values_list("pk", flat=True)) == newest


def test_the_verdict_stands_until_a_run_comes_to_another(library: Library, place: Path, settings) -> None:
    gone, other = library.add(1), library.add(2)
    (place / key_of(gone)).unlink()
    damaged = check().run_id

    check(should_stop=lambda: True)
    assert run_standing().pk == damaged
    good, settings.BLOB_URL = settings.BLOB_URL, str(place.parent / "elsewhere")
    with pytest.raises(BlobStoreDownError):
        check()
    assert run_standing().pk == damaged
    (place.parent / "elsewhere").mkdir()
    wrong = check()
    assert (wrong.outcome, run_standing().pk) == (Outcome.WRONG_STORE, wrong.run_id)
    settings.BLOB_URL = good
    library.upload_again(gone)
    assert (check().run_id, 0) == (run_standing().pk, run_standing().damaged)
    assert other.pk


def test_a_stopped_run_that_found_harm_speaks_of_it(library: Library, place: Path, monkeypatch) -> None:
    monkeypatch.setattr("dam.integrity.comparison._BATCH", 1)
    assets = sorted((library.add(shade) for shade in range(6)), key=key_of)
    (place / key_of(assets[1])).unlink()
    asked = iter([False] * 8 + [True] * 100)

    report = check(should_stop=lambda: next(asked))

    assert (report.outcome, report.damaged) == (Outcome.STOPPED, 1)
    assert run_standing().pk == report.run_id


def test_staff_reads_runs_and_findings_and_changes_none(library: Library, place: Path, staff: Client) -> None:
    gone, changed = library.add(1), library.add(2)
    (place / key_of(gone)).unlink()
    (place / key_of(changed)).write_bytes(flipped((place / key_of(changed)).read_bytes()))
    put(place / "notes.txt", b"x")
    run = IntegrityRun.objects.get(pk=check(checksums="all").run_id)

    page = staff.get(reverse("admin:integrity_integrityrun_change", args=[run.pk])).content.decode()
    assert "Missing originals: 1" in page
    assert "Upload the same file again" in page
    listed = reverse("admin:integrity_integrityfinding_changelist")
    everything = staff.get(listed, {"run__id__exact": run.pk}).content.decode()
    harm = staff.get(listed, {"run__id__exact": run.pk, "harm": "damage"}).content.decode()
    assert ("notes.txt" in everything, "notes.txt" in harm) == (True, False)
    for asset in (gone, changed):
        assert f"{key_of(asset)[:18]}…/original" in harm
        assert reverse("asset", args=[asset.pk]) in harm
    finding = IntegrityFinding.objects.first()
    one = reverse("admin:integrity_integrityfinding_change", args=[finding.pk])
    assert staff.get(one).status_code == 200
    assert staff.post(one, {}).status_code == 403
    assert (
        staff.get(reverse("admin:integrity_integrityrun_changelist"), {"outcome__exact": "done"}).status_code
        == 200
    )


def test_others_do_not_read_them(library: Library) -> None:
    check()
    client = Client()
    client.force_login(UserFactory())

    assert client.get(reverse("admin:integrity_integrityrun_changelist")).status_code == 302
