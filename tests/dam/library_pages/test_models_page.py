"""The page of model versions: what it says of them, and who may do what there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dam.library import figures
from dam.library.models_words import heard_text
from dam.rollout.intervals import Interval
from dam.rollout.models import Rollout, Step
from dam.rollout.services import promotion_ask, serving_report
from dam.tagging.models import ModelVersion
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
    UserFactory,
)
from tests.dam.library_pages.rendered import PLACEHOLDER, text

pytestmark = pytest.mark.django_db

Try = Callable[..., ModelVersion]


@pytest.fixture
def manager(anna: User, client: Client) -> Client:
    """Anna, who was given the right to manage the rollout and is no staff."""
    anna.user_permissions.add(Permission.objects.get(codename="manage_rollout"))
    return client


@pytest.fixture
def champion() -> ModelVersion:
    """Version 2 serves, after version 1; neither is watched."""
    first, second = ModelVersionFactory(version=1), ModelVersionFactory(version=2)
    serving_report(champion=second, predecessor=first)
    Rollout.objects.update(min_pictures=4, min_reviews=4)
    return second


@pytest.fixture
def try_version(champion: ModelVersion, anna: User) -> Try:
    """``try_version(3, dog=0.9)``: a challenger that says so of six pictures, whose dog people accepted."""

    def begin(number: int, **scores: float) -> ModelVersion:
        challenger = ModelVersionFactory(version=number)
        dog, tags = TagFactory(name="dog"), {name: TagFactory(name=name) for name in scores}
        for place in range(6):
            asset = AssetFactory(
                uploaded_by=anna, generation=2, renditions={"grid": {"key": "k"}}, placeholder=PLACEHOLDER
            )
            PredictionFactory(
                asset=asset, model_version=champion, generation=1, tag_ids=[dog.pk], scores=[0.9]
            )
            PredictionFactory(
                asset=asset,
                model_version=challenger,
                purpose="shadow",
                tag_ids=[tags[name].pk for name in scores],
                scores=list(scores.values()),
            )
            DecisionFactory(asset=asset, tag=dog, verdict="accepted", model_version=champion)
            if "cat" in tags and place < 3:
                DecisionFactory(asset=asset, tag=tags["cat"], verdict="added")
        predecessor = ModelVersion.objects.get(version=1)
        serving_report(champion=champion, challenger=challenger, predecessor=predecessor)
        return challenger

    return begin


def main_of(client: Client) -> str:
    """The page without what is round every page."""
    html = text(client.get("/models/"))
    return html[html.index("<main") : html.index("</main>")]


def seen(client: Client) -> str:
    """The words of the page, as a person reads them."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main_of(client))))


def said(response: HttpResponse, client: Client) -> str:
    """The words of the page that a form leads to."""
    assert response.status_code == 302
    assert response.headers["Location"] == "/models/"
    return seen(client)


# ------------------------------------------------------------------ who may


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


# ------------------------------------------------------------- what it says


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


# ----------------------------------------------------------- what one can do


def test_promotion_through_an_open_gate_is_asked_for(manager: Client, try_version: Try) -> None:
    challenger = try_version(3, dog=0.9)
    assert "The gate is open." in seen(manager)
    words = said(manager.post("/models/promote/", {"version": challenger.pk}), manager)
    assert "Promotion of version 3 is asked for." in words
    assert "Promotion of version 3 is under way." in words
    step = Step.objects.get(state=Step.State.ASKED)
    assert (step.kind, step.version, step.forced) == (Step.Kind.PROMOTE, challenger, False)
    # The controller does one thing at a time.
    assert "/models/promote/" not in main_of(manager)
    assert "is asked for already" in said(
        manager.post("/models/promote/", {"version": challenger.pk}), manager
    )


def test_a_shut_gate_says_why_and_yields_to_a_reason_only(
    manager: Client, try_version: Try, anna: User
) -> None:
    challenger = try_version(3, cat=0.9)
    words = seen(manager)
    assert "The gate is shut." in words
    assert "Recall may be" in words
    assert "Promote version 3 all the same" in words
    refused = said(manager.post("/models/promote/", {"version": challenger.pk}), manager)
    assert "Promotion of version 3 refused" in refused
    without = said(
        manager.post("/models/promote/", {"version": challenger.pk, "force": 1, "reason": "  "}), manager
    )
    assert "Say why" in without
    assert not Step.objects.filter(state=Step.State.ASKED).exists()
    fields = {"version": challenger.pk, "force": 1, "reason": "Cats are what\nwe need."}
    words = said(manager.post("/models/promote/", fields), manager)
    assert "Promotion of version 3 under way forced Anna Berg" in words
    assert "Cats are what we need." in words
    assert Step.objects.get(state=Step.State.ASKED).by == anna


def test_a_roll_back_takes_effect_at_once_and_says_who_answers(
    manager: Client, champion: ModelVersion
) -> None:
    assert "Say why" in said(manager.post("/models/roll-back/", {"version": champion.pk}), manager)
    fields = {"version": champion.pk, "reason": "Everything is a cat."}
    words = said(manager.post("/models/roll-back/", fields), manager)
    assert "Version 2 is rolled back: version 1 answers in its place already" in words
    assert "The pictures follow the undoing of version 2." in words
    assert "Version 2 withdrawn" in words
    champion.refresh_from_db()
    assert champion.withdrawn_at is not None
    html = main_of(manager)
    assert "/models/roll-back/" not in html
    # What is on its way out comes back only when it is out.
    assert "/take-back/" not in html


def test_a_roll_back_of_what_is_no_champion_any_more_changes_nothing(
    manager: Client, champion: ModelVersion
) -> None:
    newest = ModelVersionFactory(version=3)
    serving_report(champion=newest, predecessor=champion)
    fields = {"version": champion.pk, "reason": "It was bad this morning."}
    assert "by now" in said(manager.post("/models/roll-back/", fields), manager)
    assert not ModelVersion.objects.filter(withdrawn_at__isnull=False).exists()


def test_where_no_version_served_before_there_is_no_way_back(manager: Client) -> None:
    only = ModelVersionFactory(version=1)
    serving_report(champion=only)
    html = main_of(manager)
    assert "it cannot be rolled back" in html
    assert "/roll-back/" not in html
    assert "/undo/" not in html
    fields = {"version": only.pk, "reason": "It is bad."}
    assert "no version before" in said(manager.post("/models/roll-back/", fields), manager)


def test_an_undone_version_can_be_taken_back(manager: Client, try_version: Try) -> None:
    challenger = try_version(3, dog=0.9)
    address = f"/models/{challenger.pk}/undo/"
    assert "Say why" in said(manager.post(address), manager)
    words = said(manager.post(address, {"reason": "Trained on the wrong set."}), manager)
    assert "Version 3 is undone." in words
    assert "Trained on the wrong set." in words
    challenger.refresh_from_db()
    assert challenger.withdrawn_at is not None
    words = said(manager.post(f"/models/{challenger.pk}/take-back/"), manager)
    assert "The undoing of version 3 is taken back." in words
    challenger.refresh_from_db()
    assert challenger.withdrawn_at is None


def test_shares_are_set_in_percent(manager: Client, try_version: Try) -> None:
    try_version(3, dog=0.9)
    assert "The challenger sees 25 % of live traffic." in said(
        manager.post("/models/shadow/", {"percent": "25"}), manager
    )
    assert "The challenger answers 2.5 % of live traffic." in said(
        manager.post("/models/canary/", {"percent": "2.5"}), manager
    )
    rollout = Rollout.objects.get()
    assert (rollout.shadow_share, rollout.canary_share) == (0.25, 0.025)
    for nonsense in ("", "many", "101", "-1", "nan", "inf"):
        words = said(manager.post("/models/canary/", {"percent": nonsense}), manager)
        assert "A share is a number from 0 to 100." in words, nonsense
    assert Rollout.objects.get().canary_share == 0.025


def test_a_canary_passes_the_gate_or_has_a_reason_and_shrinks_without(
    manager: Client, try_version: Try
) -> None:
    try_version(3, cat=0.9)
    manager.post("/models/canary/", {"percent": "5"})
    assert Rollout.objects.get().canary_share == 0
    manager.post("/models/canary/", {"percent": "5", "reason": "A look at cats."})
    assert Rollout.objects.get().canary_share == 0.05
    assert Step.objects.first().forced
    manager.post("/models/canary/", {"percent": "1"})
    assert Rollout.objects.get().canary_share == 0.01
    assert not Step.objects.first().forced


def test_forms_for_versions_that_are_not_there_lead_nowhere(manager: Client, champion: ModelVersion) -> None:
    for version in ("", "nix", "0", "9" * 30):
        fields = {"version": version, "reason": "Because."}
        assert manager.post("/models/promote/", fields).status_code == 404, version
    assert manager.post("/models/4711/undo/", {"reason": "Because."}).status_code == 404
    assert manager.get("/models/promote/").status_code == 405


# ------------------------------------------------------- what is under way


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


# ------------------------------------------------------------ numbers in words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.0123, "1.2 %"),
        (0.05, "5 %"),
        (0.934, "93 %"),
        (0.996, "99.6 %"),
        (0.9999, "99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_have_no_more_digits_than_they_are_worth(value: float | None, shown: str) -> None:
    assert figures.share(value) == shown


@pytest.mark.parametrize(
    ("interval", "shown", "verdict"),
    [
        (None, "too few to tell", "open"),
        (Interval(-0.083, -0.152, -0.01), "−8 (−15 to −1)", "worse"),
        (Interval(0.2, 0.05, 0.4), "+20 (+5 to +40)", "better"),
        (Interval(0.001, -0.002, 0.1), "±0 (0 to +10)", "open"),
        (Interval(0.0, 0.0, 0.0), "the same", "open"),
    ],
)
def test_differences_are_told_in_points(interval: Interval | None, shown: str, verdict: str) -> None:
    assert figures.difference(interval) == shown
    assert figures.verdict(interval) == verdict


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(None, "–"), (0.83, "0.8 ms"), (12.4, "12 ms"), (2400.0, "2.4 s")]
)
def test_times_are_told_in_units_that_fit(milliseconds: float | None, shown: str) -> None:
    assert figures.duration(milliseconds) == shown
