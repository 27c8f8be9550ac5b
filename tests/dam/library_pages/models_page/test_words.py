"""The page of model versions: who may see it, and what it says of them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dam.library.models_words import heard_text
from dam.rollout.models import Rollout, Step
from dam.rollout.services import serving_report
from dam.tagging.models import ModelVersion
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
    UserFactory,
)
from tests.dam.library_pages.models_page.reading import Try, main_of, seen
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------- who may


def test_who_neither_is_staff_nor_manages_versions_is_not_shown_them(client: Client) -> None:
    assert "/models/" not in text(client.get("/"))
    response = client.get("/models/")
    assert response.status_code == 403
    assert "shown to staff" in text(response)


def test_staff_without_the_right_may_look_and_change_nothing(try_version: Try) -> None:
    challenger = try_version(3, dog=0.9)
    staff = Client()
    staff.force_login(UserFactory(is_staff=True))
    assert 'href="/models/"' in text(staff.get("/"))
    main = main_of(staff)
    assert "Version 3" in main
    assert "<form" not in main
    for address in (
        "promote",
        "roll-back",
        "shadow",
        "canary",
        f"{challenger.pk}/undo",
        f"{challenger.pk}/take-back",
    ):
        fields = {"version": challenger.pk, "percent": 7, "reason": "I want to."}
        assert staff.post(f"/models/{address}/", fields).status_code == 403, address
    assert not Step.objects.filter(source=Step.Source.PERSON).exists()
    assert Rollout.objects.get().shadow_share == 0.1


def test_whoever_manages_versions_needs_not_be_staff(manager: Client, try_version: Try) -> None:
    try_version(3, dog=0.9)
    assert 'href="/models/"' in text(manager.get("/"))
    assert "Promote version 3" in seen(manager)


def test_the_page_has_no_inline_code(manager: Client, try_version: Try) -> None:
    try_version(3, cat=0.9)
    response = manager.get("/models/")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text(response))


# -------------------------------------------------------------- what it says


def test_before_the_first_report_it_says_what_is_missing(manager: Client) -> None:
    words = seen(manager)
    assert "The controller was never heard." in words
    assert "No version is in service yet." in words
    assert "python -m model_training challenge VERSION" in words
    assert "Nothing has happened yet." in words
    assert "never heard" in text(manager.get("/models/standing/?waiting=1&seen=%22%3E%3Cb%3E"))


@pytest.mark.parametrize(
    ("age", "begins", "alarms"),
    [
        (timedelta(seconds=3), "The controller was heard 3 seconds ago.", False),
        (timedelta(seconds=1), "The controller was heard 1 second ago.", False),
        (timedelta(minutes=7), "The controller was heard 7 minutes ago.", True),
        (timedelta(hours=50), "The controller was heard 2 days ago.", True),
    ],
)
def test_a_silent_controller_is_noticed_after_a_minute(age: timedelta, begins: str, alarms: bool) -> None:
    now = timezone.now()
    heard = heard_text(now - age, now=now)
    assert heard.text.replace("\xa0", " ") == begins
    assert bool(heard.alarm) == alarms


def test_a_new_champion_is_watched_in_numbers_beside_its_predecessor(manager: Client, anna: User) -> None:
    first, second = ModelVersionFactory(version=1), ModelVersionFactory(version=2)
    began = timezone.now() - timedelta(hours=3)
    dog = TagFactory(name="dog")
    for place in range(20):
        DecisionFactory(
            tag=dog,
            model_version=first,
            decided_at=began - timedelta(days=1),
            verdict="rejected" if place < 2 else "accepted",
        )
    serving_report(champion=first)
    serving_report(champion=second, predecessor=first)
    for place in range(25):
        DecisionFactory(
            tag=dog,
            model_version=second,
            decided_at=timezone.now(),
            verdict="rejected" if place < 2 else "accepted",
        )
    words = seen(manager)
    assert "Watched until" in words
    assert "92 % 23 accepted, 2 rejected; version 1 had 90 % Nothing wrong" in words
    assert "Judged from 20 jobs on" in words
    Rollout.objects.update(promoted_at=timezone.now() - timedelta(hours=73))
    assert "Nothing went wrong in the 72 hours after its promotion." in seen(manager)


def test_tags_that_are_surely_worse_come_first_and_changes_lead_to_their_pictures(
    manager: Client, try_version: Try
) -> None:
    try_version(3, cat=0.9)
    TagFactory(name="never seen")
    html = main_of(manager)
    table = html[html.index('<table class="by-tag">') :]
    rows = re.findall(r'<th scope="row"><a[^>]*>([^<]+)</a>', table)
    # Of dog it has lost all that people accepted; of cat it shows three pictures that nobody said show one.
    assert rows == ["dog", "cat"]
    assert "is-worse" in table[: table.index("cat</a>")]
    gained = html[html.index("Tags gained") : html.index("Tags lost")]
    lost = html[html.index("Tags lost") : html.index('id="versions"')]
    assert "+6 pictures" in gained
    assert gained.count('class="thumb"') == lost.count('class="thumb"') == 6
    assert re.search(r'class="thumb" href="/assets/\d+/" data-placeholder="data:image', lost)
    assert "never seen" not in html


def test_a_comparison_without_decisions_says_what_helps(manager: Client, champion: ModelVersion) -> None:
    asset = AssetFactory(generation=2)
    challenger = ModelVersionFactory(version=3)
    bench = TagFactory(name="bench")
    for generation, version in enumerate((champion, challenger), start=1):
        PredictionFactory(
            asset=asset, model_version=version, generation=generation, tag_ids=[bench.pk], scores=[0.9]
        )
    serving_report(champion=champion, challenger=challenger)
    words = seen(manager)
    assert "Both have answered 1 picture. People have decided on none of their tags yet" in words
    assert "1 tag that nobody decided on bench" in words


def test_versions_are_listed_with_what_became_of_their_answers(manager: Client, try_version: Try) -> None:
    try_version(3, dog=0.9)
    words = seen(manager)
    assert re.search(r"Version 2 champion .*? 6 predictions 0 tags that people see now 6 decisions", words)
    assert re.search(r"Version 1 predecessor .*? 0 predictions", words)
