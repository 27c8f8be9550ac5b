"""``vitrine undo_model`` and ``vitrine service_account``."""

from __future__ import annotations

import io
import json
import threading

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from knox.models import AuthToken

from dam.rollout.management.commands import undo_model
from dam.rollout.services import serving_report
from dam.tagging.models import Claim, Decision, ModelVersion
from dam.tagging.services import claims_derive
from dam.tagging.undo import version_follow
from tests.dam.factories import AssetFactory, ModelVersionFactory, TagFactory, UserFactory
from tests.dam.rollout_scene import answered, decided, promoted, versions

pytestmark = pytest.mark.django_db


def run(*words, **options):
    out = io.StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


# --------------------------------------------------------------- undo_model


@pytest.fixture
def library():
    """Three pictures that the second version says "cat" of, where the first said "dog"."""
    one, two = versions(2)
    dog, cat = TagFactory(name="dog"), TagFactory(name="cat")
    for asset in AssetFactory.create_batch(3):
        answered(asset, one, dog)
        answered(asset, two, cat)
        claims_derive(asset=asset)
    return one, two


def shown():
    return sorted(set(Claim.objects.values_list("tag__slug", flat=True)))


def test_a_version_is_undone_and_what_people_see_follows(library):
    one, two = library
    sun = TagFactory(name="sun")
    decided(one.predictions.first().asset, {sun: "added"}, model=two)
    serving_report(champion=one)
    before = list(Decision.objects.values())
    told = json.loads(run("undo_model", "2", "--reason", "cats", "--yes", "--json"))
    assert (told["version"], told["kind"], told["state"], told["assets"]) == (2, "undo", "done", 3)
    assert shown() == ["dog", "sun"]
    assert list(Decision.objects.values()) == before
    assert ModelVersion.objects.get(version=2).followed_to is None
    run("undo_model", "2", "--take-back", "--yes", "--json")
    assert shown() == ["cat", "sun"]


def test_undoing_the_champion_rolls_back(library):
    promoted(library[1], library[0])
    text = run("undo_model", "2", "--reason", "cats", "--yes")
    assert "roll-back: tagger v2; 3 assets followed." in text
    assert "the controller moves the labels" in text
    assert shown() == ["dog"]


def test_it_asks_before_and_takes_no_for_an_answer(library, monkeypatch):
    asked = []

    def no(question):
        asked.append(question)
        return "n"

    monkeypatch.setattr("builtins.input", no)
    with pytest.raises(CommandError, match="nothing was done"):
        run("undo_model", "2", "--reason", "cats")
    assert "Undo tagger v2? It answered 3 times; 3 of its tags are shown." in asked[0]
    assert shown() == ["cat"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["3", "--reason", "x", "--yes"], "there is no model version 3"),
        (["2", "--yes"], "say why"),
        (["2", "--take-back", "--yes"], "tagger v2 is not withdrawn"),
        (
            ["1", "--reason", "x", "--yes"],
            "several models have a version 1: say --name, one of other, tagger",
        ),
    ],
)
def test_what_cannot_be_undone_is_said(library, words, why):
    ModelVersionFactory(name="other", version=1)
    with pytest.raises(CommandError, match=why):
        run("undo_model", *words)


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_a_relay_that_does_the_same(library, monkeypatch):
    one, two = library
    serving_report(champion=one)
    held, go_on = threading.Event(), threading.Event()

    def relay():
        try:
            with transaction.atomic():
                version = ModelVersion.objects.select_for_update(no_key=True).get(pk=two.pk)
                held.set()
                assert go_on.wait(timeout=30)
                version_follow(version=version)
        finally:
            connection.close()

    thread = threading.Thread(target=relay)
    follow, waited = undo_model.version_follow, undo_model._wait_for_the_other

    def follow_beside(*, version):
        if not thread.ident:
            thread.start()
            assert held.wait(timeout=30)
        return follow(version=version)

    def wait_for_the_other(version):
        go_on.set()
        waited(version)

    monkeypatch.setattr(undo_model, "version_follow", follow_beside)
    monkeypatch.setattr(undo_model, "_wait_for_the_other", wait_for_the_other)
    run("undo_model", "2", "--reason", "cats", "--yes", "--json")
    thread.join(timeout=30)
    assert shown() == ["dog"]
    assert go_on.is_set()


# ---------------------------------------------------------- service_account

ROLLOUT = "/api/v1/rollout/"
MANAGE = ("--permission", "rollout.manage_rollout")


def status(token):
    return Client().get(ROLLOUT, headers={"authorization": f"Bearer {token.strip()}"}).status_code


def test_a_service_account_may_do_what_is_named_and_has_no_password():
    token = run("service_account", "controller", *MANAGE)
    assert status(token) == 200
    user = User.objects.get(username="controller")
    assert not user.has_usable_password()
    assert not user.is_staff


def test_its_token_is_replaced_and_so_is_what_it_may_do(tmp_path):
    path = tmp_path / "run" / "token"
    run("service_account", "controller", *MANAGE, "--token-file", str(path))
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert run("service_account", "controller", *MANAGE, "--token-file", str(path)) == ""
    second = path.read_text()
    assert (status(first), status(second)) == (401, 200)
    assert [file.name for file in path.parent.iterdir()] == ["token"]
    assert AuthToken.objects.count() == 1
    assert status(run("service_account", "controller")) == 403


def test_a_token_that_cannot_be_written_leaves_the_one_before(tmp_path):
    first = run("service_account", "controller", *MANAGE)
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        run("service_account", "controller", *MANAGE, "--token-file", str(tmp_path / "file" / "token"))
    assert status(first) == 200
    assert AuthToken.objects.count() == 1


GIVEN = "0123456789abcdef" * 4


def test_a_token_that_is_given_is_the_one_that_counts_until_its_file_says_another(tmp_path):
    path = tmp_path / "token"
    words = ("service_account", "controller", *MANAGE, "--use-token-file", str(path))
    path.write_text(f"{GIVEN}\n")
    printed = run("service_account", "controller", *MANAGE)
    assert run(*words) == ""
    assert (status(printed), status(GIVEN)) == (401, 200)
    (first,) = AuthToken.objects.values()
    assert GIVEN not in str(first)
    assert run(*words) == ""
    assert list(AuthToken.objects.values()) == [first]
    # Knox looks a token up by its beginning: another one may share it.
    other = GIVEN[:-1] + "0"
    assert status(other) == 401
    path.write_text(other)
    run(*words)
    assert (status(GIVEN), status(other)) == (401, 200)
    assert AuthToken.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("", "empty file"),
        ("0123456789abcdef0123456789abcde", "31 characters"),
        (GIVEN.replace("0", " "), "no header can carry"),
        (f"{GIVEN}\n{GIVEN}", "more than one line"),
    ],
)
def test_a_token_that_is_none_is_refused_without_being_shown(tmp_path, content, says):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CommandError, match=says) as caught:
        run("service_account", "controller", *MANAGE, "--use-token-file", str(path))
    assert "0123456789" not in str(caught.value)
    assert not User.objects.exists()


def test_a_token_of_another_account_is_refused(tmp_path):
    (tmp_path / "token").write_text(GIVEN)
    words = (*MANAGE, "--use-token-file", str(tmp_path / "token"))
    run("service_account", "controller", *words)
    with pytest.raises(CommandError, match="another account"):
        run("service_account", "second", *words)
    assert AuthToken.objects.get().user.username == "controller"
    assert not User.objects.filter(username="second").exists()


@pytest.mark.parametrize(
    "facts", [{"is_staff": True}, {"is_superuser": True}, {"password": "some hash"}, {"is_active": False}]
)
def test_the_account_of_a_person_is_left_alone(facts):
    user = UserFactory(username="anna")
    User.objects.filter(pk=user.pk).update(**facts)
    with pytest.raises(CommandError, match="“anna”"):
        run("service_account", "anna", *MANAGE)
    assert not AuthToken.objects.exists()


def test_a_permission_that_there_is_not_is_refused():
    with pytest.raises(CommandError, match=r"there is no permission “rollout\.fly”"):
        run("service_account", "controller", "--permission", "rollout.fly")
    assert not User.objects.exists()
