"""Anna, her library, and her browser."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.tagging.models import Tag
from tests.dam.factories import TagFactory, UserFactory
from tests.dam.library_browser.scene import answer, jpeg


@pytest.fixture
def anna(transactional_db: None, django_db_serialized_rollback: None) -> User:
    return UserFactory(username="anna", first_name="Anna", is_staff=True)


@pytest.fixture
def tags(anna: User) -> dict[str, Tag]:
    return {name: TagFactory(name=name) for name in ("dog", "donut", "bench", "cat")}


@pytest.fixture
def add(anna: User, tags: dict[str, Tag]) -> Callable[..., Asset]:
    """``add("walk.jpg", dog=0.9)``: a picture of its own colour in the library."""
    made: list[Asset] = []

    def add_one(name: str, *, width: int = 320, height: int = 240, **scores: float) -> Asset:
        number = len(made)
        content = jpeg(f"rgb({number * 7 % 256}, {number * 31 % 256}, 120)", width, height)
        asset = asset_create(stream=io.BytesIO(content), filename=name, user=anna).asset
        made.append(asset)
        if scores:
            answer(asset, **scores)
        return asset

    return add_one


@pytest.fixture
def open_page(live_server, anna: User, browser_context: BrowserContext, client) -> Callable[[str], Page]:
    """Open an address as Anna."""
    client.force_login(anna)
    browser_context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page = browser_context.new_page()

    def open_address(address: str = "/") -> Page:
        page.goto(live_server.url + address)
        page.wait_for_selector("html[data-ready]")
        return page

    return open_address
