"""The page of one picture: what it says, and who may decide what there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dam.assets.models import Asset, AssetVersion
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, Tag
from pipeline.ports import DependencyDownError
from pipeline.preprocess import RefusalReason, RefusedPictureError
from tests.dam.factories import (
    AssetFactory,
    BlobFactory,
    CollectionFactory,
    StaffFactory,
    TagFactory,
    TaggingJobFactory,
    UserFactory,
)
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


def states(asset: Asset) -> dict[str, str]:
    return dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))


def test_the_asset_page_shows_tags_with_scores_and_facts(client: Client, suggested: Asset) -> None:
    html = text(client.get(f"/assets/{suggested.pk}/"))
    assert re.search(r'claim-name" href="/\?q=tag%3Adog">dog</a>\s*<span class="claim-score">90 %', html)
    for fact in ("walk.jpg", "JPEG", "640 × 480", "Anna Berg", suggested.current_version.blob.sha256):
        assert fact in html
    assert re.search(r"tagger, version \d+", html)


def test_previous_and_next_follow_the_search_that_the_address_carries(client: Client, anna: User) -> None:
    dog = TagFactory(name="dog")
    first = AssetFactory(uploaded_by=anna, tags=[dog], filename="a.jpg")
    AssetFactory(uploaded_by=anna, filename="b.jpg")
    last = AssetFactory(uploaded_by=anna, tags=[dog], filename="c.jpg")
    html = text(client.get(f"/assets/{first.pk}/", {"q": "tag:dog", "sort": "name"}))
    assert f'href="/assets/{last.pk}/?q=tag%3Adog&amp;sort=name" rel="next"' in html
    assert 'rel="prev"' not in html
    assert 'href="/?q=tag%3Adog&amp;sort=name" data-back' in html


def test_a_broken_query_in_the_address_does_not_hide_the_picture(client: Client, suggested: Asset) -> None:
    assert client.get(f"/assets/{suggested.pk}/", {"q": "(dog"}).status_code == 200


@pytest.mark.parametrize("htmx", [False, True])
def test_tags_are_accepted_rejected_undone_and_added(client: Client, suggested: Asset, htmx: bool) -> None:
    address = f"/assets/{suggested.pk}/decide/?q=dog"
    headers = {"HX-Request": "true"} if htmx else {}

    def post(**fields: str) -> str:
        response = client.post(address, fields, headers=headers)
        if htmx:
            assert response.status_code == 200
            return text(response)
        assert response.headers["Location"] == f"/assets/{suggested.pk}/?q=dog"
        return text(client.get(response.headers["Location"]))

    assert "Accepted by Anna Berg" in post(tag="dog", verdict="accepted")
    assert "1 rejected" in post(tag="bench", verdict="rejected")
    assert "Added by Anna Berg" in post(name="Golden Hour")
    assert states(suggested) == {"dog": "accepted", "bench": "rejected", "golden-hour": "accepted"}
    post(tag="bench", verdict="withdrawn")
    post(tag="golden-hour", verdict="withdrawn")
    assert states(suggested) == {"dog": "accepted", "bench": "suggested"}
    assert Decision.objects.get(asset=suggested).verdict == Decision.Verdict.ACCEPTED


def test_a_tag_without_a_letter_is_refused_with_a_reason(client: Client, suggested: Asset) -> None:
    response = client.post(f"/assets/{suggested.pk}/decide/", {"name": "!!"}, headers={"HX-Request": "true"})
    assert "A tag&#x27;s name needs a letter or a digit." in text(response)
    assert not Tag.objects.filter(name="!!").exists()


def test_who_may_not_change_a_picture_gets_no_buttons_and_no_way_round_them(suggested: Asset) -> None:
    stranger = Client()
    stranger.force_login(UserFactory())
    html = text(stranger.get(f"/assets/{suggested.pk}/"))
    assert "dog" in html
    assert "/decide/" not in html
    response = stranger.post(f"/assets/{suggested.pk}/decide/", {"tag": "dog", "verdict": "rejected"})
    assert response.status_code == 403
    assert "That is not yours to do" in text(response)
    assert states(suggested) == {"dog": "suggested", "bench": "suggested"}


def test_staff_may_decide_for_everybody(suggested: Asset) -> None:
    staff = Client()
    staff.force_login(StaffFactory())
    staff.post(f"/assets/{suggested.pk}/decide/", {"tag": "dog", "verdict": "rejected"})
    assert states(suggested)["dog"] == "rejected"


@pytest.mark.parametrize(
    "fields", [{"tag": "dog", "verdict": "maybe"}, {"tag": "nix", "verdict": "accepted"}, {}]
)
def test_nonsense_is_not_a_decision(client: Client, suggested: Asset, fields: dict[str, str]) -> None:
    assert client.post(f"/assets/{suggested.pk}/decide/", fields).status_code == 404
    assert not Decision.objects.exists()


def test_a_failed_picture_says_why_and_can_be_tried_again(client: Client, anna: User) -> None:
    asset = AssetFactory(
        uploaded_by=anna, state=Asset.State.FAILED, reason="corrupt", detail="Ends at row 61."
    )
    html = text(client.get(f"/assets/{asset.pk}/"))
    assert "The file is damaged" in html
    assert "Ends at row 61." in html
    client.post(f"/assets/{asset.pk}/retry/")
    asset.refresh_from_db()
    assert asset.state == Asset.State.PENDING
    assert TaggingJob.objects.filter(asset=asset, state="queued").count() == 1
    client.post(f"/assets/{asset.pk}/retry/")
    assert TaggingJob.objects.filter(asset=asset).count() == 1


def test_only_who_may_change_a_failed_picture_may_try_it_again(anna: User) -> None:
    asset = AssetFactory(uploaded_by=anna, state=Asset.State.FAILED, reason="corrupt")
    stranger = Client()
    stranger.force_login(UserFactory())
    assert "/retry/" not in text(stranger.get(f"/assets/{asset.pk}/"))
    assert stranger.post(f"/assets/{asset.pk}/retry/").status_code == 403
    assert not TaggingJob.objects.exists()


@pytest.mark.parametrize(
    ("state", "minutes", "said"),
    [
        ("queued", 0, "a second or two"),
        ("queued", 5, "waiting for 5 minutes: the relay does not take it"),
        ("published", 1, "waiting for 1 minute: tagging is busy or stopped"),
        ("published", 180, "waiting for 3 hours"),
    ],
)
def test_a_pending_picture_says_what_it_waits_for(
    client: Client, anna: User, state: str, minutes: int, said: str
) -> None:
    asset = AssetFactory(uploaded_by=anna, state=Asset.State.PENDING)
    job = TaggingJobFactory(asset=asset, state=state)
    TaggingJob.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=minutes))
    assert said in text(client.get(f"/assets/{asset.pk}/"))


def edit_form(client: Client, asset: Asset) -> dict[str, str]:
    stamp = re.search(r'name="stamp" value="(\w+)"', text(client.get(f"/assets/{asset.pk}/")))
    assert stamp
    return {"stamp": stamp[1]}


def test_texts_and_rights_are_edited_and_shown(client: Client, suggested: Asset) -> None:
    form = edit_form(client, suggested) | {
        "title": "A walk",
        "description": "By the river",
        "licence": "CC-BY-4.0",
        "credit": "Photo: Anna",
        "expires_on": "2090-01-31",
    }
    address = f"/assets/{suggested.pk}/edit/"
    assert client.post(address, form, headers={"Accept": "application/json"}).json()["said"] == "Saved."
    html = text(client.get(f"/assets/{suggested.pk}/"))
    for shown in ("A walk", "By the river", "Creative Commons Attribution 4.0", "31 January 2090"):
        assert shown in html
    wrong = edit_form(client, suggested) | {"expires_on": "soon"}
    refused = client.post(address, wrong, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["field"]) == (400, "expires_on")


def test_an_edit_over_somebody_else_s_is_refused_until_one_insists(client: Client, suggested: Asset) -> None:
    form = edit_form(client, suggested) | {"title": "Mine"}
    Asset.objects.filter(pk=suggested.pk).update(title="Theirs")
    address = f"/assets/{suggested.pk}/edit/"
    refused = client.post(address, form, headers={"Accept": "application/json"})
    assert refused.status_code == 409
    assert "It has title “Theirs” now." in refused.json()["problem"]
    form["anyway"] = refused.json()["conflict"]
    assert client.post(address, form, headers={"Accept": "application/json"}).status_code == 200
    assert Asset.objects.get(pk=suggested.pk).title == "Mine"


def test_what_a_machine_writes_meanwhile_does_not_disturb_an_editor(client: Client, suggested: Asset) -> None:
    form = edit_form(client, suggested) | {"title": "Mine"}
    Asset.objects.filter(pk=suggested.pk).update(generation=7, colours=["red"], tag_ids=[])
    assert client.post(f"/assets/{suggested.pk}/edit/", form).status_code == 302
    assert Asset.objects.get(pk=suggested.pk).title == "Mine"


def test_a_picture_moves_and_goes_to_the_trash_from_its_page(client: Client, suggested: Asset) -> None:
    trips = CollectionFactory(name="Trips")
    client.post(f"/assets/{suggested.pk}/move/", {"collection": trips.pk})
    assert f'<a href="/collections/{trips.pk}/">Trips</a>' in text(client.get(f"/assets/{suggested.pk}/"))
    address = f"/assets/{suggested.pk}/trash/?q=tag:dog"
    answer = client.post(address, headers={"Accept": "application/json"})
    assert answer.json() == {"said": "It is in the trash.", "go": "/?q=tag%3Adog"}
    assert client.get(f"/assets/{suggested.pk}/").status_code == 404
    assert client.post(address, headers={"Accept": "application/json"}).status_code == 404


def test_the_files_of_a_picture_are_listed_and_what_looks_like_it_may_be_nothing(
    client: Client, suggested: Asset
) -> None:
    html = text(client.get(f"/assets/{suggested.pk}/versions/"))
    assert "Version 1" in html
    assert "Restore" not in html
    assert text(client.get(f"/assets/{suggested.pk}/similar/")).strip() == ""
    stranger = Client()
    stranger.force_login(UserFactory())
    html = text(stranger.get(f"/assets/{suggested.pk}/"))
    for button in ("asset-edit", "asset-move", "data-replace", "asset-trash"):
        assert button not in html
    for act in ("edit", "move", "trash"):
        assert stranger.post(f"/assets/{suggested.pk}/{act}/", {"title": "x"}).status_code in {400, 403, 409}


def test_an_earlier_file_that_cannot_be_had_is_said_in_a_sentence(
    client: Client, suggested: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = AssetVersion.objects.create(asset=suggested, number=2, blob=BlobFactory(), filename="lost.jpg")
    address = f"/assets/{suggested.pk}/versions/{version.number}/restore/"

    def refusal() -> tuple[int, str]:
        answer = client.post(address, headers={"Accept": "application/json"})
        return answer.status_code, answer.json()["problem"]

    assert refusal() == (410, "That file is missing from the store. Nothing was changed.")
    assert "missing from the store" in text(client.post(address))

    def fails(error: Exception) -> None:
        def restore(**_: object) -> None:
            raise error

        monkeypatch.setattr("dam.library.asset_page_acts.version_restore", restore)

    fails(DependencyDownError("S3 is away"))
    assert refusal() == (
        503,
        "The store of the files does not answer. Nothing was changed; try again in a minute.",
    )
    fails(RefusedPictureError(RefusalReason.TOO_MANY_PIXELS, "The picture has too many pixels."))
    assert refusal() == (400, "The picture has too many pixels.")
