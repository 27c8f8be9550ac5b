"""Signing in and out, one-time links, passwords and tokens."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from dam.library import links
from tests.dam.factories import StaffFactory, UserFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


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
