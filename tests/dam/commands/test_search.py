"""The command ``search``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, ManagementUtility
from django.test import Client

from dam.assets.models import Asset, Collection
from tests.dam.commands.calling import run, run_json
from tests.dam.factories import AssetFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_search_prints_what_the_api_answers(admin):
    asset = AssetFactory(tags=[TagFactory(name="dog")], filename="rex.jpg")
    AssetFactory()
    body = run_json("search", "dog")
    client = Client()
    client.force_login(admin)
    assert body["results"] == client.get("/api/v1/assets/", {"q": "dog"}).json()["results"]
    assert [result["id"] for result in body["results"]] == [asset.pk]
    assert "rex.jpg" in run("search", "dog")
    assert "Nothing was found" in run("search", "unicorn")


def test_search_shows_what_somebody_may_see_and_why_it_was_found(admin):
    closed = Collection.objects.add_root(create_kwargs={"name": "Closed"})
    animal = TagFactory(name="animal")
    dog = TagFactory(name="dog", parents=[animal])
    shown = AssetFactory(filename="rex.jpg", tags=[dog])
    AssetFactory(filename="secret.jpg", tags=[dog], collection=closed)
    anna = UserFactory(username="anna")
    body = run_json("search", "animal", "--as", "anna")
    assert [result["id"] for result in body["results"]] == [shown.pk]
    assert body["results"][0]["matched"] == [{"kind": "tag", "text": "dog", "via": "dog is an animal"}]
    assert "dog is an animal" in run("search", "animal", "--user", anna.username)
    assert "secret.jpg" in run("search", "animal")


def test_search_prints_as_many_as_asked_for(admin):
    for _ in range(3):
        AssetFactory()
    body = run_json("search", "--limit", "2", "--sort", "oldest")
    assert [result["id"] for result in body["results"]] == sorted(Asset.objects.values_list("id", flat=True))[
        :2
    ]
    assert body["more"] is True


def test_a_search_that_cannot_be_understood_points_at_the_place(admin):
    with pytest.raises(CommandError) as caught:
        run("search", "dog (cat")
    assert str(caught.value).splitlines()[1:] == ["  dog (cat", "      ^"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("-dog",), {"cat", "house"}),
        (("-dog", "-cat"), {"house"}),
        (("dog -cat",), {"dog"}),
        (("dog", "-cat"), {"dog"}),
        (("-cat", "--limit", "9", "-house", "--sort=oldest"), {"dog"}),
        (("--", "-cat", "-house"), {"dog"}),
        (("-house",), {"dog", "cat"}),  # and not -h
        (("-vase", "-v", "0"), {"dog", "cat", "house"}),  # and not -v
        (("--", "-v", "-h"), {"dog", "cat", "house"}),
        (("(-dog", "OR", "dog)", "-tag:cat", '-"house"'), {"dog"}),
    ],
)
def test_words_with_a_dash_are_part_of_the_query_and_no_options(admin, words, found):
    for name in ("dog", "cat", "house"):
        AssetFactory(tags=[TagFactory(name=name)], filename=f"{name}.jpg")
    body = run_json_before(words)
    assert {result["filename"].removesuffix(".jpg") for result in body["results"]} == found


def run_json_before(words: tuple[str, ...]):
    """With ``--json`` first: after ``--`` it would be searched for."""
    return json.loads(run("search", "--json", *words))


def typed(*words: str) -> None:
    """A command line, without setting Django up again: that closes what handlers of logging write to."""
    ManagementUtility(["vitrine", *words]).fetch_command(words[0]).run_from_argv(["vitrine", *words])


def test_the_help_of_search_tells_of_dashes(capsys):
    with pytest.raises(SystemExit):
        typed("search", "-h")
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("usage: vitrine search")
    assert "a word with one dash before it is one that the pictures shall not have" in told
    with pytest.raises(SystemExit) as ended:
        typed("search", "--nonsense")
    assert ended.value.code == 2


def test_a_command_without_a_database_says_in_one_line_how_to_start_vitrine(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    def search(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dam.cli", "search", "dog"],
            env=env | changes,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    ended = search(VITRINE_HOME=str(tmp_path))
    assert ended.returncode == 1
    assert (
        ended.stderr.strip() == "Vitrine does not run: its database cannot be reached. `make run` starts it."
    )
    ended = search(DATABASE_URL=f"postgresql://nobody@/nowhere?host={tmp_path}")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("The database of DATABASE_URL cannot be reached: ")
