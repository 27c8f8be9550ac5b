"""The pages as the server writes them: who sees what, what a form does, what a browser is promised."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.library import links
from dam.tagging.models import Claim, Decision, Tag
from dam.tagging.services import claims_derive
from tests.dam.factories import (
    AssetFactory,
    PredictionFactory,
    StaffFactory,
    TagFactory,
    TaggingJobFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

PLACEHOLDER = "data:image/jpeg;base64,/9j/4AAQ"


@pytest.fixture
def anna() -> User:
    return UserFactory(username="anna", first_name="Anna", last_name="Berg")


@pytest.fixture
def client(anna: User) -> Client:
    client = Client()
    client.force_login(anna)
    return client


@pytest.fixture
def suggested(anna: User) -> Asset:
    """Anna's picture, for which the model suggests dog (0.9) and bench (0.6)."""
    dog, bench = TagFactory(name="dog"), TagFactory(name="bench")
    asset = AssetFactory(filename="walk.jpg", uploaded_by=anna)
    PredictionFactory(asset=asset, tag_ids=[dog.pk, bench.pk], scores=[0.9, 0.6])
    claims_derive(asset=asset)
    return asset


def picture_made(asset: Asset) -> Asset:
    """As after the worker's answer: the small and the large picture are there."""
    asset.current_version.renditions = {"grid": {"key": "k"}, "preview": {"key": "k"}}
    asset.current_version.placeholder = PLACEHOLDER
    asset.current_version.save()
    return asset


def text(response) -> str:
    return response.content.decode()


def elements(response) -> list[tuple[str, dict[str, str | None]]]:
    """Every opening tag of a page with its attributes, as a browser reads them."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(text(response))
    return found


def names_on_cards(html: str) -> list[str]:
    return re.findall(r'<li class="card".*?<span class="card-name">(.*?)</span>', html, re.DOTALL)


def states(asset: Asset) -> dict[str, str]:
    return dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))


# ------------------------------------------------------------------ policy


@pytest.mark.parametrize(
    "address", ["/", "/cards/", "/assets/1/", "/tags/", "/try/", "/account/tokens/", "/account/password/"]
)
def test_who_is_not_signed_in_is_sent_to_the_door_and_back(address: str) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert target.path == "/sign-in/"
    assert parse_qs(target.query)["next"] == [address]


def test_pages_allow_no_inline_code_and_nothing_from_elsewhere(client: Client, suggested: Asset) -> None:
    Asset.objects.filter(pk=suggested.pk).update(title='<img src=x onerror="alert(1)">')
    picture_made(suggested)
    for address in (
        "/",
        "/?q=dog",
        "/?q=(dog",
        f"/assets/{suggested.pk}/",
        "/tags/",
        "/try/",
        "/account/tokens/",
        "/account/password/",
    ):
        response = client.get(address)
        assert response.status_code == 200, address
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        for name, attributes in elements(response):
            assert "style" not in attributes, (address, name)
            assert not [key for key in attributes if key.startswith("on")], (address, name)
            assert name != "style"
            assert name != "script" or attributes["src"]
            for key in ("src", "href", "action", "poster"):
                assert not re.match(r"(https?:)?//", attributes.get(key) or ""), (address, name)
    assert "default-src 'none'" in Client().get("/sign-in/").headers["Content-Security-Policy"]


def test_a_page_that_is_not_there_says_so_in_our_style(client: Client) -> None:
    response = client.get("/assets/4711/")
    assert response.status_code == 404
    assert "There is nothing here" in text(response)


# ----------------------------------------------------------------- library


def test_an_empty_library_offers_to_upload(client: Client) -> None:
    html = text(client.get("/"))
    assert "Your library is empty" in html
    assert 'data-upload="folder"' in html


def test_pages_of_the_library_follow_each_other_without_gaps_or_repeats(client: Client, anna: User) -> None:
    for number in range(130):
        picture_made(AssetFactory(filename=f"p{number:03}.jpg", uploaded_by=anna))
    seen: list[str] = []
    address = "/?sort=name"
    for _ in range(3):
        html = text(client.get(f"{address}&fragment=1"))
        seen += names_on_cards(html)
        more = re.search(r'href="([^"]*)"[^>]* data-more', html)
        address = more[1].replace("&amp;", "&") if more else ""
    assert seen == [f"p{number:03}.jpg" for number in range(130)]
    assert address == ""


def test_a_page_of_the_library_costs_the_same_for_many_pictures_as_for_few(
    client: Client, anna: User, django_assert_max_num_queries
) -> None:
    tag = TagFactory(name="dog")
    for _ in range(40):
        picture_made(AssetFactory(uploaded_by=anna, tags=[tag]))
    with django_assert_max_num_queries(8):
        client.get("/?q=tag:dog")


def test_a_query_that_cannot_be_understood_is_shown_with_the_place(client: Client) -> None:
    html = text(client.get("/", {"q": 'dog "golden <b>'}))
    assert "This quotation mark is not closed." in html
    assert "Column 5" in html
    assert "dog <mark>&quot;</mark>golden &lt;b&gt;" in html


def test_each_part_of_a_query_is_a_chip_whose_link_leaves_it_out(client: Client, anna: User) -> None:
    TagFactory(name="hot dog", slug="hot-dog")
    AssetFactory(uploaded_by=anna, filename="beach.jpg")
    html = text(client.get("/", {"q": 'tag:hot-dog -cat (beach OR "deep sea")', "sort": "name"}))
    chips = re.findall(r'<a class="chip[^"]*" href="([^"]*)" aria-label="Remove (.*?) from the search"', html)
    left = {label: parse_qs(href.replace("&amp;", "&").removeprefix("?")) for href, label in chips}
    assert left == {
        "hot dog": {"q": ['-cat (beach OR "deep sea")'], "sort": ["name"]},
        "not cat": {"q": ['tag:hot-dog (beach OR "deep sea")'], "sort": ["name"]},
        "beach OR &quot;deep sea&quot;": {"q": ["tag:hot-dog -cat"], "sort": ["name"]},
    }


def test_a_search_without_hits_offers_to_leave_a_part_out(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna)
    html = text(client.get("/", {"q": "unicorn dog"}))
    assert "Nothing matches “unicorn dog”" in html
    assert "Leave out “unicorn”" in html


def test_a_stale_cursor_leads_back_to_the_first_page(client: Client) -> None:
    response = client.get("/", {"q": "dog", "cursor": "nonsense"})
    assert response.status_code == 302
    assert response.headers["Location"] == "/?q=dog"


def test_an_unknown_sort_is_the_default_one(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna)
    assert "Newest first" in text(client.get("/", {"sort": "by-magic"}))


def test_a_card_says_what_is_wrong_with_its_picture(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna, state=Asset.State.FAILED, reason="corrupt")
    AssetFactory(uploaded_by=anna, state=Asset.State.PENDING)
    html = text(client.get("/"))
    assert "Damaged file" in html
    assert re.search(r'data-state="pending".*?Tagging', html, re.DOTALL)


def test_only_settled_cards_are_given_to_pages_that_wait(client: Client, anna: User) -> None:
    done = AssetFactory(uploaded_by=anna)
    waiting = AssetFactory(uploaded_by=anna, state=Asset.State.PENDING)
    html = text(client.get("/cards/", {"ids": f"{waiting.pk},{done.pk},99999999,x,-1", "settled": "1"}))
    assert re.findall(r'data-asset-id="(\d+)"', html) == [str(done.pk)]


def test_file_names_and_tags_are_text_and_never_markup(client: Client, anna: User) -> None:
    evil = '"><script>alert(1)</script>.jpg'
    asset = AssetFactory(
        uploaded_by=anna,
        filename=evil,
        tags=[TagFactory(name="<b>bold</b>", slug="bold")],
    )
    picture_made(asset)
    for address in ("/", f"/assets/{asset.pk}/", "/tags/"):
        html = text(client.get(address))
        assert "<script>alert" not in html
        assert "<b>bold" not in html
        assert "&lt;" in html


# -------------------------------------------------------------- asset page


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


# -------------------------------------------------------------------- tags


def test_the_tags_page_counts_what_occurs_and_shows_a_picture_of_each(client: Client, anna: User) -> None:
    animal = TagFactory(name="animal", kind=Tag.Kind.ANCESTOR)
    dog = TagFactory(name="dog", parents=[animal])
    TagFactory(name="unused")
    for _ in range(3):
        picture_made(AssetFactory(uploaded_by=anna, tags=[dog]))
    picture_made(AssetFactory(uploaded_by=anna, tags=[animal]))
    html = text(client.get("/tags/"))
    covers = re.findall(r'<span class="cover-name"><span>(.*?)</span><span>(.*?)</span>', html)
    assert covers == [("animal", "4"), ("dog", "3")]
    assert "unused" not in html
    pictures = re.findall(r'<img src="([^"]*)"', html)
    assert len(set(pictures)) == 2


def test_the_tags_page_says_so_when_there_are_none(client: Client) -> None:
    assert "No tags yet" in text(client.get("/tags/"))


# ----------------------------------------------------------------- account


def test_a_wrong_password_is_answered_in_plain_words() -> None:
    UserFactory(username="bea", password="correct horse")
    response = Client().post("/sign-in/", {"username": "bea", "password": "wrong"})
    assert "do not belong together" in text(response)
    assert "_auth_user_id" not in response.client.session


def test_signing_in_leads_to_where_one_wanted_to_go_but_never_away() -> None:
    UserFactory(username="bea", password="correct horse")
    fields = {"username": "bea", "password": "correct horse"}
    assert Client().post("/sign-in/", {**fields, "next": "/tags/"}).headers["Location"] == "/tags/"
    assert Client().post("/sign-in/", {**fields, "next": "https://evil.example/"}).headers["Location"] == "/"


def test_looking_at_a_one_time_link_does_not_spend_it_and_using_it_does() -> None:
    user = UserFactory(username="first")
    user.set_unusable_password()
    user.save()
    link = links.make_path(user)
    for _ in range(2):
        looked = Client().get(link)
        assert looked.status_code == 200
        assert "Welcome, first" in text(looked)
        assert "no-store" in looked.headers["Cache-Control"]
        assert "_auth_user_id" not in looked.client.session
    used = Client()
    response = used.post(link)
    assert response.headers["Location"] == reverse("password")
    assert used.session["_auth_user_id"] == str(user.pk)
    again = Client().post(link)
    assert again.status_code == 410
    assert "This link no longer works" in text(again)


def test_who_came_by_a_link_sets_a_first_password_without_an_old_one() -> None:
    user = UserFactory(username="first")
    user.set_unusable_password()
    user.save()
    client = Client()
    client.force_login(user)
    html = text(client.get("/account/password/"))
    assert "Not now" in html
    assert "Old password" not in html
    fields = {"new_password1": "sea-otter-91", "new_password2": "sea-otter-91"}
    assert client.post("/account/password/", fields).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert Client().login(username="first", password="sea-otter-91")


def test_changing_the_password_asks_for_the_old_one() -> None:
    user = UserFactory(username="bea", password="correct horse")
    client = Client()
    client.force_login(user)
    fields = {"new_password1": "sea-otter-91", "new_password2": "sea-otter-91"}
    refused = client.post("/account/password/", {"old_password": "wrong", **fields})
    assert "field-error" in text(refused)
    assert client.post("/account/password/", {"old_password": "correct horse", **fields}).status_code == 302
    assert Client().login(username="bea", password="sea-otter-91")


def test_a_token_is_shown_once_works_and_can_be_revoked(client: Client) -> None:
    created = text(client.post("/account/tokens/"))
    token = re.search(r'<p class="token-new"><code>(\w+)</code>', created)
    assert token is not None
    assert token[1] not in text(client.get("/account/tokens/"))
    with_token = {"Authorization": f"Bearer {token[1]}"}
    assert Client().get("/api/v1/assets/", headers=with_token).status_code == 200
    key = AuthToken.objects.get().token_key
    assert client.post(f"/account/tokens/{key}/revoke/").status_code == 302
    assert Client().get("/api/v1/assets/", headers=with_token).status_code == 401


def test_nobody_revokes_the_tokens_of_others(client: Client) -> None:
    AuthToken.objects.create(user=UserFactory())
    key = AuthToken.objects.get().token_key
    assert client.post(f"/account/tokens/{key}/revoke/").status_code == 404
    assert AuthToken.objects.count() == 1


def test_only_staff_see_the_way_to_the_administration(client: Client) -> None:
    assert "Administration" not in text(client.get("/try/"))
    staff = Client()
    staff.force_login(StaffFactory())
    assert "Administration" in text(staff.get("/try/"))


def test_signing_out_takes_a_form_and_not_a_link(client: Client) -> None:
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302


def test_every_template_is_free_of_syntax_errors() -> None:
    call_command("check", "--tag", "templates")
