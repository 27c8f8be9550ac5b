"""The page *Status*: one sentence that is right, and no page that is broken or slow for what is down."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dam.jobs.models import DeadLetter, Round, TaggingJob
from dam.library import status_facts
from dam.library.status_words import ROUNDS
from dam.loops import housekeeping
from dam.monitoring.lately import Lately
from dam.monitoring.places import disks_read
from dam.monitoring.queues import QueueState
from dam.rollout.models import Rollout
from dam.rollout.services import serving_report
from pipeline.ports import TransportDownError
from pipeline.topology import BULK, INTERACTIVE, QUEUES, RESULTS, SHADOW
from tests.dam.factories import AssetFactory, ModelVersionFactory, PredictionFactory, TaggingJobFactory
from tests.dam.library_pages.rendered import text
from tests.plugins.processes import wait_for

pytestmark = pytest.mark.django_db


def queues(**changed: tuple[int, int]) -> tuple[QueueState, ...]:
    """All queues, empty and read; ``bulk=(41, 0)``: 41 wait there and nobody reads them."""
    names = [name for queue in QUEUES for name in (queue.name, queue.dead_letters)]
    return tuple(
        QueueState(name, ready, 0, consumers)
        for name in names
        for ready, consumers in [changed.get(name.removeprefix("tagging."), (0, 1))]
    )


def answers(read):
    return Lately(read, every_s=0, patience_s=30)


def roomy():
    """The disks of this machine, half empty, however full they are."""
    return tuple(replace(disk, free_bytes=disk.size_bytes // 2) for disk in disks_read())


@pytest.fixture(autouse=True)
def well(monkeypatch, anna: User):
    """Anna is staff, the relay does its rounds, disks have room, and what the page asks is well."""
    User.objects.filter(pk=anna.pk).update(is_staff=True)
    Round.objects.create(name="rollout", begun_at=timezone.now())
    monkeypatch.setattr(status_facts, "disks_read", roomy)
    monkeypatch.setattr(status_facts, "_queues", answers(queues))
    monkeypatch.setattr(status_facts, "_blob_store", answers(str))
    # The real one reads by a connection of its own, which does not see what a test has not committed.
    monkeypatch.setattr(status_facts, "_ledger", answers(lambda: None))


@pytest.fixture
def broker(monkeypatch):
    """Has the broker answer something else."""

    def put(read) -> None:
        monkeypatch.setattr(status_facts, "_queues", answers(read))

    return put


def words(client: Client, address: str = "/status/") -> str:
    """The words of the page, as a person reads them."""
    html = text(client.get(address))
    main = html[html.index("<main") : html.index("</main>")] if "<main" in html else html
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))


def verdict(client: Client) -> str:
    html = text(client.get("/status/"))
    found = re.search(r'<h2 id="verdict">(.*?)</h2>', html)
    assert found is not None
    return unescape(found[1])


# ------------------------------------------------------------------ who may


def test_who_is_no_staff_is_not_shown_it(client: Client, anna: User) -> None:
    User.objects.filter(pk=anna.pk).update(is_staff=False)
    assert "/status/" not in text(client.get("/"))
    assert client.get("/status/").status_code == 403
    assert client.get("/status/live/").status_code == 204
    assert Client().get("/status/").status_code == 302


def test_staff_find_it_in_the_navigation(client: Client) -> None:
    assert 'href="/status/"' in text(client.get("/"))
    assert 'aria-current="page"' in text(client.get("/status/")).partition('data-section="status"')[2][:40]


def test_it_has_no_inline_code_and_works_without_any(client: Client) -> None:
    response = client.get("/status/")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text(response))
    assert "All is well." in words(client)


# -------------------------------------------------------------- the verdict


def test_when_all_is_well_it_says_so(client: Client) -> None:
    assert verdict(client) == "All is well."
    TaggingJobFactory()
    assert verdict(client) == "All is well; 1 picture on the way."


def test_a_broker_that_is_down_is_said_and_the_rest_is_shown(client: Client, broker) -> None:
    def down() -> tuple[QueueState, ...]:
        raise TransportDownError("the broker does not answer: refused")

    broker(down)
    assert verdict(client) == "The broker of the queues does not answer."
    said = words(client)
    assert "refused" in said
    assert "jobs are safe in the database" in said
    assert "Ledger" in said


def test_a_broker_that_hangs_does_not_slow_the_page(client: Client, monkeypatch) -> None:
    over = threading.Event()
    hanging = Lately(lambda: over.wait(60) and queues(), every_s=0, patience_s=0.01)
    monkeypatch.setattr(status_facts, "_queues", hanging)
    try:
        assert verdict(client) == "The broker of the queues does not answer."
        assert "it has not answered yet" in words(client)
    finally:
        over.set()


def test_queues_that_no_worker_reads_are_trouble_since_the_last_answer(client: Client, broker) -> None:
    ago = timezone.now() - timedelta(minutes=7)
    job = TaggingJobFactory(bulk=True)
    TaggingJob.objects.filter(pk=job.pk).update(created_at=ago)
    broker(lambda: queues(interactive=(0, 0), bulk=(41, 0), shadow=(0, 0)))
    assert verdict(client) == "No worker is there."
    said = words(client)
    assert "41 jobs in the queues" in said
    assert "7 minutes ago" in said
    broker(lambda: queues(bulk=(41, 0)))
    assert verdict(client) == f"No worker reads {BULK}."


def test_comparisons_that_nobody_reads_are_no_harm(client: Client, broker) -> None:
    broker(lambda: queues(shadow=(0, 0)))
    assert verdict(client) == f"No worker reads {SHADOW}."
    assert 'section class="verdict verdict-warn' in text(client.get("/status/"))


def test_a_missing_results_writer_is_trouble(client: Client, broker) -> None:
    broker(lambda: queues(results=(3, 0)))
    assert verdict(client) == "The results writer is not there."


def test_a_relay_that_is_silent_is_trouble_since_its_last_round(client: Client) -> None:
    Round.objects.update(begun_at=timezone.now() - timedelta(hours=2))
    assert verdict(client) == "The relay is not there."
    assert "2 hours ago" in words(client)
    Round.objects.all().delete()
    assert verdict(client) == "No relay has ever run."


def test_dead_letters_are_counted_and_linked_to_the_administration(client: Client) -> None:
    letter = DeadLetter.objects.create(
        digest="d", queue=f"{BULK}.dead", body=b"x", reason="delivery limit", first_seen=timezone.now()
    )
    assert verdict(client) == "1 dead letter waits for you."
    html = text(client.get("/status/"))
    address = f"/admin/jobs/deadletter/{letter.pk}/change/"
    assert address in html
    User.objects.update(is_superuser=True)
    assert client.get(address).status_code == 200


def test_what_failed_last_leads_to_the_picture_and_to_its_job(client: Client) -> None:
    asset = AssetFactory(filename="torn.jpg", state="failed", reason="corrupt")
    job = TaggingJobFactory(
        asset=asset, state="failed", reason="corrupt", detail="<cut off>", closed_at=timezone.now()
    )
    html = text(client.get("/status/"))
    assert f'href="/assets/{asset.pk}/"' in html
    assert f'href="/admin/jobs/taggingjob/{job.pk}/change/"' in html
    assert "Damaged file: &lt;cut off&gt;" in html
    assert verdict(client) == "All is well."


def test_the_model_in_service_is_shown_with_what_is_tried(client: Client) -> None:
    champion, challenger = ModelVersionFactory(version=4), ModelVersionFactory(version=5)
    serving_report(champion=champion, challenger=challenger)
    Rollout.objects.update(canary_share=0.05)
    said = words(client)
    assert "Version 4 champion" in said
    assert "Version 5 challenger" in said
    assert "It answers 5 % of live traffic" in said


def test_the_worst_comes_first_and_the_others_are_listed(client: Client, broker) -> None:
    DeadLetter.objects.create(digest="d", queue=f"{BULK}.dead", body=b"x")
    Rollout.objects.update_or_create(pk=1, defaults={"reported_at": timezone.now() - timedelta(hours=1)})
    broker(lambda: queues(results=(0, 0)))
    assert verdict(client) == "The results writer is not there."
    said = words(client)
    assert "1 dead letter waits for you." in said
    assert "The controller is silent." in said


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_ledger_that_does_not_agree_is_trouble(client: Client, monkeypatch) -> None:
    monkeypatch.setattr(status_facts, "_ledger", answers(status_facts.ledger))
    assert "agrees" in words(client)
    AssetFactory(state="pending")
    # It is read beside the page: each page shows what one before it asked for.
    wait_for(lambda: verdict(client) == "The ledger does not agree.", 60, "the ledger to be read again")


# ------------------------------------------------------------- what is live


def test_the_live_part_is_the_same_as_that_of_the_page(client: Client) -> None:
    PredictionFactory()
    page, live = text(client.get("/status/")), text(client.get("/status/live/"))
    assert live.strip().startswith('<div id="status-live"')
    assert "1 of them in the last five minutes" in live
    assert "1 of them in the last five minutes" in page


def test_a_verdict_that_changed_is_said_aloud_and_no_other(client: Client, broker) -> None:
    seen = re.search(r"\?seen=([^\"]*)\"", text(client.get("/status/")))
    assert seen is not None
    address = f"/status/live/?seen={seen[1]}"
    assert "HX-Trigger" not in client.get(address).headers
    broker(lambda: queues(interactive=(2, 0)))
    response = client.get(address)
    assert f"No worker reads {INTERACTIVE}." in response.headers["HX-Trigger"]
    assert RESULTS not in response.headers["HX-Trigger"]


def test_the_rounds_are_those_of_the_relay() -> None:
    assert {one.name: one.every for one in housekeeping.ROUNDS} == {
        name: every for name, (_, every) in ROUNDS.items()
    }
