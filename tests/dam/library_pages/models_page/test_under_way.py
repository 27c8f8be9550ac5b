"""The page of model versions: what is under way there, and what has been."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dam.rollout.models import Step
from dam.rollout.services import promotion_ask, serving_report
from dam.tagging.models import ModelVersion
from tests.dam.factories import (
    AssetFactory,
)
from tests.dam.library_pages.models_page.reading import Try, main_of, seen
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


def standing(client: Client, page: str) -> HttpResponse:
    """What the page asks for by itself, as drawn last."""
    address = re.search(r'hx-get="(/models/standing/[^"]+)"', page)
    assert address
    return client.get(unescape(address[1]))


def test_the_page_learns_that_what_it_waited_for_is_done(
    manager: Client, try_version: Try, anna: User
) -> None:
    challenger = try_version(3, dog=0.9)
    idle = main_of(manager)
    promotion_ask(version=challenger, user=anna)
    elsewhere = text(standing(manager, idle))
    assert "Something has changed here." in elsewhere
    waiting = main_of(manager)
    still = text(standing(manager, waiting))
    assert "under way" in still
    assert "changed" not in still
    serving_report(champion=challenger, predecessor=ModelVersion.objects.get(version=2))
    done = standing(manager, waiting)
    assert 'hx-get="/models/" hx-trigger="load"' in text(done)
    assert "Version 3 was promoted" in done.headers["HX-Trigger"]


def test_following_pictures_show_how_far_they_are(manager: Client, champion: ModelVersion) -> None:
    first, last = AssetFactory(), AssetFactory()
    half = (first.pk + last.pk) // 2
    ModelVersion.objects.filter(version=1).update(withdrawn_at=timezone.now(), followed_to=half)
    html = main_of(manager)
    assert "The pictures follow the undoing of version 1." in html
    assert f'aria-valuenow="{round(half / last.pk * 100)}"' in html


def test_who_was_signed_out_meanwhile_is_asked_nothing_by_a_page_that_asks_by_itself(client: Client) -> None:
    assert Client().get("/models/standing/").status_code == 204
    assert client.get("/models/standing/").status_code == 204


def test_the_history_tells_who_when_and_why(manager: Client, champion: ModelVersion, anna: User) -> None:
    now = timezone.now()
    for fields in (
        {"source": "watch", "kind": "roll-back", "reason": "Precision fell."},
        {"source": "registry", "kind": "promote", "state": "failed", "detail": "Its golden request failed."},
        {"source": "person", "kind": "canary", "by": anna, "evidence": {"share": 0.05}},
        {"source": "person", "kind": "canary", "by": None, "evidence": {"share": 0.0}},
    ):
        Step.objects.create(**{"state": "done", "version": champion, "settled_at": now} | fields)
    words = seen(manager)
    history = words[words.index("History") :]
    assert re.search(
        r"Version 2 answers nothing of live traffic Somebody, .*"
        r"Version 2 answers 5 % of live traffic Anna Berg, .*"
        r"Promotion of version 2 failed In the registry, .* Its golden request failed\. .*"
        r"Version 2 was rolled back By the watch, .* “Precision fell\.”",
        history,
    )


def test_names_in_the_history_and_reasons_are_text(manager: Client, champion: ModelVersion) -> None:
    fields = {"version": champion.pk, "reason": "<img src=x onerror=alert(1)>\0"}
    manager.post("/models/roll-back/", fields)
    html = main_of(manager)
    assert "&lt;img src=x" in html
    assert "<img src=x" not in html
