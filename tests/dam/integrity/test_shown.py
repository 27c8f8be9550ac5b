"""What a run found is seen on the page Status, by the doctor and by the monitor."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from dam.integrity.check import check
from dam.integrity.models import IntegrityRun
from dam.integrity.selectors import integrity_read
from dam.jobs.models import Round
from dam.library import status_facts
from dam.monitoring.doctor.findings import Status
from dam.monitoring.doctor.integrity import integrity
from dam.monitoring.lately import Lately
from dam.monitoring.samples import integrity_samples
from tests.dam.factories import StaffFactory
from tests.dam.integrity.harm import Library, flipped, key_of, put, rendition_of
from tests.dam.library_pages.rendered import text
from tests.dam.library_pages.test_status_page import queues, roomy

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who may look, while everything else is well."""
    Round.objects.create(name="rollout", begun_at=timezone.now())
    monkeypatch.setattr(status_facts, "disks_read", roomy)
    for name, read in (("_queues", queues), ("_blob_store", str), ("_ledger", lambda: None)):
        monkeypatch.setattr(status_facts, name, Lately(read, every_s=0, patience_s=30))
    client = Client()
    client.force_login(StaffFactory())
    return client


@pytest.fixture
def harmed(library: Library, place: Path) -> Library:
    """One original is missing, another changed, a rendition is missing, and a file lies about."""
    gone, changed, bare = library.add(1), library.add(2), library.add(3)
    (place / key_of(gone)).unlink()
    (place / key_of(changed)).write_bytes(flipped((place / key_of(changed)).read_bytes()))
    (place / rendition_of(bare)).unlink()
    put(place / "notes.txt", b"x")
    check(checksums="all")
    return library


def verdict(client: Client) -> str:
    found = re.search(r'<h2 id="verdict">(.*?)</h2>', text(client.get("/status/")))
    assert found is not None
    return unescape(found[1])


def panel(client: Client) -> str:
    """The words of the panel, as a person reads them."""
    html = text(client.get("/status/"))
    section = html[html.index('id="integrity"') :]
    words = re.sub(r"<[^>]+>", " ", section[section.index(">") + 1 : section.index("</section>")])
    return re.sub(r"\s+", " ", unescape(words)).strip()


def samples() -> dict[str, float]:
    return {
        " ".join((one.metric.name, *one.labels)): one.value for one in integrity_samples(integrity_read())
    }


def test_before_the_first_run_nobody_knows(staff: Client) -> None:
    assert verdict(staff).startswith("All is well")
    assert panel(staff).endswith("Nobody has compared database and blob store yet: vitrine integrity does.")
    assert integrity().status is Status.SKIPPED
    assert samples() == {}


def test_a_sound_library_is_shown_as_such(staff: Client, library: Library) -> None:
    library.add(1)
    run = IntegrityRun.objects.get(pk=check(checksums="all").run_id)

    assert verdict(staff).startswith("All is well")
    assert panel(staff).startswith("Integrity sound Compared database and blob store")
    assert "Originals looked for 1 read, byte by byte 1 All comparisons" in panel(staff)
    found = integrity()
    assert (found.status, "all 1 originals there, 1 of them read" in found.found) == (Status.OK, True)
    told = samples()
    assert told["vitrine_integrity_findings missing original"] == 0
    assert told["vitrine_integrity_last_success_timestamp_seconds"] == run.ended_at.timestamp()
    assert told["vitrine_integrity_read_bytes"] == run.read_bytes > 0
    assert told["vitrine_integrity_seconds"] >= 0


def test_damage_is_the_verdict_with_a_way_to_the_list(staff: Client, harmed: Library) -> None:
    assert verdict(staff) == "2 originals are missing or changed."
    said = panel(staff)
    assert said.startswith("Integrity damaged")
    assert "Missing originals 1 Originals that are not what they were 1 Missing renditions 1" in said
    html = text(staff.get("/status/"))
    (link,) = re.findall(r'<a id="worst-list" href="([^"]+)"', html)
    listed = text(staff.get(unescape(link)))
    assert "1.png" in listed
    assert "2.png" in listed
    assert "notes.txt" not in listed
    for href in re.findall(r'<a id="integrity-[\w]+" href="([^"]+)"', html):
        assert staff.get(unescape(href)).status_code == 200


def test_damage_is_a_failure_for_the_doctor_and_counted_by_the_monitor(harmed: Library) -> None:
    found = integrity()
    assert found.status is Status.FAILURE
    assert found.found.endswith("missing originals: 1, originals that are not what they were: 1")
    assert "Upload the same files again" in found.mend
    assert {
        name.removeprefix("vitrine_integrity_findings "): n for name, n in samples().items() if n == 1
    } == {
        "missing original": 1,
        "mismatched original": 1,
        "missing rendition": 1,
        "orphaned foreign": 1,
    }


def test_the_wrong_store_is_said_to_be_one(staff: Client, library: Library, place: Path, settings) -> None:
    library.add(1)
    (place.parent / "elsewhere").mkdir()
    settings.BLOB_URL = str(place.parent / "elsewhere")
    check()

    assert verdict(staff) == "The blob store has nothing of what this database names."
    assert panel(staff).startswith("Integrity damaged")
    assert "another installation's store" in integrity().found
    assert "Mend DATABASE_URL or VITRINE_BLOB_URL" in integrity().mend


def test_comparisons_that_ended_long_ago_are_stale(staff: Client, library: Library) -> None:
    check()
    long_ago = timezone.now() - timedelta(days=36)
    IntegrityRun.objects.update(begun_at=long_ago, ended_at=long_ago)

    assert verdict(staff) == "Nobody has compared database and blob store for long."
    assert integrity().status is Status.WARNING


def test_what_became_of_the_newest_run_is_told(staff: Client, library: Library) -> None:
    check()
    check(should_stop=lambda: True)
    assert "The newest one was stopped." in panel(staff)
    run = IntegrityRun.objects.create(begun_at=timezone.now(), outcome="running", originals=1200, command="x")
    assert "One is under way: 1,200 originals looked for by now." in panel(staff)
    IntegrityRun.objects.filter(pk=run.pk).update(updated_at=timezone.now() - timedelta(hours=1))
    assert "The newest one was broken off." in panel(staff)
    IntegrityRun.objects.filter(pk=run.pk).update(outcome="failed", trouble="the store hung")
    assert "The newest one failed: the store hung." in panel(staff)
