"""Texts and rights of a picture, edited in a browser by two people at once; and who is told of their end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from dam.assets.models import Asset, Level
from dam.assets.services import root_collection
from tests.dam.factories import GrantFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults
from tests.plugins.browser import Console

pytestmark = MARKS


def test_rights_are_edited_a_conflict_is_told_and_the_mark_follows(
    open_page: Callable[[str], Page], add: Callable[..., Asset], anna: User, console: Console
) -> None:
    console.expect("status of 4(00|09)")
    GrantFactory(collection=root_collection(), user=anna, level=Level.CURATE)
    asset = add("walk.jpg", dog=0.9)
    page = open_page(f"/assets/{asset.pk}/")
    page.get_by_role("button", name="Edit").click()
    assert serious_faults(page) == []
    today = timezone.now().date()
    page.get_by_label("Title").fill("A walk")
    page.get_by_label("Embargo until").fill((today + timedelta(days=9)).isoformat())
    page.get_by_label("Expires on").fill((today + timedelta(days=3)).isoformat())
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").and_(page.locator(":visible"))).to_contain_text("could never be used")
    page.get_by_label("Embargo until").fill("")
    Asset.objects.filter(pk=asset.pk).update(credit="Photo: Ben")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody changed this while you were editing.")).to_be_visible()
    page.get_by_role("button", name="Save mine all the same").click()
    expect(page.get_by_role("heading", name="A walk")).to_be_visible()
    expect(page.locator("#asset-edit-open")).to_be_focused()

    page.get_by_role("link", name="Rights", exact=True).click()
    expect(page.get_by_role("region", name="Expires soon").get_by_role("link", name="A walk")).to_be_visible()
    Asset.objects.filter(pk=asset.pk).update(expires_on=today - timedelta(days=1))
    page.get_by_role("link", name="90 days").click()
    page.get_by_role("region", name="Expired").get_by_role("link", name="A walk").click()
    expect(page.get_by_text("It could be used until")).to_be_visible()
    expect(page.get_by_role("button", name="Download")).to_have_count(0)
