"""The page of model versions: what one can do there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.rollout.models import Rollout, Step
from dam.rollout.services import serving_report
from dam.tagging.models import ModelVersion
from tests.dam.factories import (
    ModelVersionFactory,
)
from tests.dam.library_pages.models_page.reading import Try, main_of, said, seen

pytestmark = pytest.mark.django_db


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
