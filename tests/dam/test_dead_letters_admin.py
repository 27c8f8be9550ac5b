"""Failed pictures and dead letters are replayed from the admin, singly and in bulk, by staff only."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dam.assets.models import Asset
from dam.assets.services import MANAGERS, root_collection
from dam.jobs.models import DeadLetter, TaggingJob
from dam.jobs.services import dead_letter_keep
from tests.dam.factories import AssetFactory, StaffFactory, TaggingJobFactory, UserFactory, job_close

pytestmark = pytest.mark.django_db

ASSETS = "admin:assets_asset_changelist"
LETTERS = "admin:jobs_deadletter_changelist"


@pytest.fixture
def staff() -> Client:
    root_collection()
    manager = StaffFactory(is_superuser=False)
    manager.groups.add(Group.objects.get(name=MANAGERS))
    client = Client()
    client.force_login(manager)
    return client


def failed(**facts) -> Asset:
    return AssetFactory(**{"state": "failed", "reason": "dead-lettered"} | facts)


def letter_of(asset: Asset | None = None, body: bytes = b"{}") -> DeadLetter:
    job = None
    if asset is not None:
        job = TaggingJobFactory(asset=asset)
        job_close(job, failed=True, reason="dead-lettered")
    return dead_letter_keep(
        queue="tagging.bulk.dead",
        message_id="",
        body=body,
        reason="delivery limit",
        delivery_count=6,
        job_id=job.pk if job else None,
        generation=job.generation if job else None,
    )


def act(client: Client, page: str, action: str, *rows) -> list[str]:
    """Choose rows and an action; the messages that follow."""
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(reverse(page), chosen, follow=True)
    assert answer.status_code == 200
    return [str(message) for message in answer.context["messages"]]


def test_failed_pictures_are_replayed_in_bulk_with_their_number(staff):
    bad, fine = [failed(), failed()], AssetFactory()
    assert act(staff, ASSETS, "replay_failed", *bad, fine) == [
        "2 pictures will be tagged again.",
        "1 picture not replayed: only what failed is.",
    ]
    assert set(TaggingJob.objects.values_list("asset_id", "generation", "bulk")) == {
        (asset.pk, 2, True) for asset in bad
    }
    assert Asset.objects.get(pk=bad[0].pk).state == "pending"


def test_one_picture_is_one_picture(staff):
    asset = failed()
    assert act(staff, ASSETS, "tag_again", asset) == ["1 picture will be tagged again."]


def test_a_failed_picture_has_a_button_that_replays_it_once(staff):
    asset = failed()
    page = reverse("admin:assets_asset_change", args=[asset.pk])
    (address,) = re.findall(r'formaction="([^"]+)"', staff.get(page).content.decode())
    told = staff.post(address, follow=True)
    assert [str(message) for message in told.context["messages"]] == [f"“{asset}” will be tagged again."]
    job = TaggingJob.objects.get()
    # Somebody waits for it.
    assert (job.asset_id, job.generation, job.bulk) == (asset.pk, 2, False)
    assert "formaction" not in staff.get(page).content.decode()
    staff.post(address)
    assert TaggingJob.objects.count() == 1


def test_the_button_works_with_the_protection_against_forgery():
    client = Client(enforce_csrf_checks=True)
    client.force_login(StaffFactory())
    asset = failed()
    page = client.get(reverse("admin:assets_asset_change", args=[asset.pk])).content.decode()
    form = page[page.index('id="asset_form"') :]
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form[: form.index("</form>")])
    address = reverse("admin:assets_asset_replay", args=[asset.pk])
    assert "formaction" in form[: form.index("</form>")]
    assert client.post(address).status_code == 403
    assert client.post(address, {"csrfmiddlewaretoken": token}).status_code == 302
    assert TaggingJob.objects.count() == 1


def test_replaying_takes_a_post_by_staff(staff):
    asset = failed()
    address = reverse("admin:assets_asset_replay", args=[asset.pk])
    assert staff.get(address).status_code == 405
    assert staff.post(reverse("admin:assets_asset_replay", args=[99999])).status_code == 404
    somebody = Client()
    somebody.force_login(UserFactory())
    letter = letter_of(failed())
    assert somebody.post(address).status_code == 302
    somebody.post(reverse(LETTERS), {"action": "replay", "_selected_action": [letter.pk]})
    assert not TaggingJob.objects.filter(state="queued").exists()


def test_dead_letters_are_read_and_never_edited(staff):
    letter = letter_of(failed(), b'{"job_id": "<script>"}')
    listed = staff.get(reverse(LETTERS), {"q": "limit"}).content.decode()
    assert "delivery limit" in listed
    page = staff.get(reverse("admin:jobs_deadletter_change", args=[letter.pk])).content.decode()
    assert "&lt;script&gt;" in page
    assert f"/admin/assets/asset/{letter.job.asset_id}/change/" in page
    for forbidden in ("change", "delete"):
        address = reverse(f"admin:jobs_deadletter_{forbidden}", args=[letter.pk])
        assert staff.post(address, {"post": "yes"}).status_code == 403
    assert staff.get(reverse("admin:jobs_deadletter_add")).status_code == 403


def test_a_longer_list_of_dead_letters_costs_no_more_queries_and_reads_no_bodies(staff):
    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(reverse(LETTERS)).status_code == 200
        return [query["sql"] for query in captured]

    letter_of(failed())
    asked()  # content types are cached by the first
    few = asked()
    for _ in range(5):
        letter_of(failed())
    many = asked()
    assert len(many) == len(few)
    assert not any('"body"' in statement for statement in many)


def test_dead_letters_are_replayed_with_their_number_and_what_stood_against_it(staff):
    good, junk, junk_too = letter_of(failed()), letter_of(body=b"x"), letter_of(body=b"y")
    assert act(staff, LETTERS, "replay", good, junk, junk_too) == [
        "1 dead letter replayed, 1 job issued.",
        "2 dead letters not replayed: nobody can read it, so nobody knows what it asked for.",
    ]
    assert act(staff, LETTERS, "replay", good) == ["1 dead letter replayed, 0 jobs issued."]
    assert TaggingJob.objects.filter(state="queued").count() == 1


def test_dead_letters_are_dropped_unless_they_were_replayed(staff):
    good, junk = letter_of(failed()), letter_of(body=b"x")
    act(staff, LETTERS, "replay", good)
    assert act(staff, LETTERS, "drop", good, junk) == [
        "1 dead letter dropped.",
        "1 dead letter not dropped: replayed before.",
    ]
    junk.refresh_from_db()
    assert junk.state == "dropped"
