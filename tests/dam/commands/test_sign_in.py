"""Tokens and links to sign in with."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import Client
from knox.models import AuthToken

from dam.library import links
from dam.library.links import make_path, user_for
from tests.dam.commands.calling import run
from tests.dam.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_a_token_is_printed_once_and_works():
    UserFactory(username="ada")
    token = run("create_token", "ada").strip()
    answered = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/assets/")
    assert answered.status_code == 200
    assert token not in str(AuthToken.objects.values())


def test_a_token_can_make_its_user():
    with pytest.raises(CommandError, match="no user “robot”; --create makes one"):
        run("create_token", "robot")
    run("create_token", "robot", "--create")
    assert not User.objects.get(username="robot").has_usable_password()
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="not active"):
        run("create_token", "robot")


def parts(link: str) -> tuple[str, str]:
    uidb64, token = link.strip("/").split("/")[-2:]
    return uidb64, token


def test_the_first_administrator_gets_a_new_link_at_every_start_until_the_first_sign_in():
    first, second = (run("sign_in_link", "--first-admin").strip() for _ in range(2))
    user = User.objects.get()
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("admin", True, False)
    assert user_for(*parts(first)) == user_for(*parts(second)) == user
    Client().force_login(user)
    assert user_for(*parts(first)) is None
    assert user_for(*parts(second)) is None
    assert run("sign_in_link", "--first-admin") == ""


def test_an_administrator_with_a_password_needs_no_first_link():
    User.objects.create_superuser("boss", password="secret")
    assert run("sign_in_link", "--first-admin") == ""
    assert User.objects.count() == 1


def test_the_first_administrator_takes_no_other_persons_name():
    UserFactory(username="admin")
    run("sign_in_link", "--first-admin")
    assert User.objects.get(is_superuser=True).username == "admin2"


def test_a_link_is_for_one_person_for_a_day(admin, monkeypatch):
    ada = UserFactory(username="ada")
    link = run("sign_in_link", "ada", "--base-url", "https://pictures.example/").strip()
    assert link.startswith("https://pictures.example/sign-in/link/")
    uidb64, token = parts(link)
    assert user_for(uidb64, token) == ada
    assert user_for(parts(make_path(admin))[0], token) is None
    assert user_for("💥", token) is None
    assert user_for(uidb64, "x-y") is None
    assert parts(run("sign_in_link").strip())[0] == parts(make_path(admin))[0]

    now = links._tokens._now()
    monkeypatch.setattr(links._tokens, "_now", lambda: now + links.VALID_FOR * 1.1)
    assert user_for(uidb64, token) is None


def test_a_link_is_refused_to_who_may_not_sign_in():
    UserFactory(username="gone", is_active=False)
    with pytest.raises(CommandError, match="not active"):
        run("sign_in_link", "gone")
    with pytest.raises(CommandError, match="no user"):
        run("sign_in_link", "nobody")
    with pytest.raises(CommandError, match="no administrator"):
        run("sign_in_link")
