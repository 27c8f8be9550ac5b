"""Pictures that look the same: one is kept, or both are two."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset, Level
from dam.assets.services import root_collection
from dam.curation.models import DuplicatePair
from dam.tagging.models import Likeness
from tests.dam.factories import GrantFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def test_one_of_a_pair_is_kept_and_another_pair_is_told_apart(
    open_page: Callable[[str], Page], add: Callable[..., Asset], anna: User
) -> None:
    GrantFactory(collection=root_collection(), user=anna, level=Level.CURATE)
    assets = [add(f"{name}.jpg", dog=0.9) for name in ("one", "two", "three", "four")]
    for asset in assets:
        Likeness.objects.update_or_create(asset=asset, defaults={"fingerprint": 5})
    for first, second in ((0, 1), (2, 3)):
        DuplicatePair.objects.create(first=assets[first], second=assets[second], distance=2)
    page = open_page("/duplicates/")
    assert serious_faults(page) == []
    page.get_by_role("button", name="Keep the second, two.jpg").click()
    expect(page.locator(".toast")).to_have_text("“two.jpg” is kept; the other is in the trash.")
    expect(page.locator(".twins")).to_have_count(1)
    page.get_by_role("button", name="Not the same").click()
    expect(page.get_by_role("heading", name="No two look the same")).to_be_visible()
    assert list(Asset.objects.exclude(trashed_at=None)) == [assets[0]]
    assert DuplicatePair.objects.filter(state=DuplicatePair.State.DIFFERENT).count() == 1
