"""What holds on every page: who is let in, and what a browser is promised."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.test import Client

from dam.assets.models import Asset
from tests.dam.library_pages.rendered import picture_made, text

pytestmark = pytest.mark.django_db


def elements(response) -> list[tuple[str, dict[str, str | None]]]:
    """Every opening tag of a page with its attributes, as a browser reads them."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(text(response))
    return found


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/cards/",
        "/assets/1/",
        "/tags/",
        "/try/",
        "/models/",
        "/status/",
        "/account/tokens/",
        "/account/password/",
        "/collections/",
        "/collections/1/",
        "/collections/choices/",
        "/albums/",
        "/albums/1/",
        "/assets/1/versions/",
        "/assets/1/history/",
        "/assets/1/similar/",
        "/duplicates/",
        "/rights/",
        "/trash/",
        "/trash/1/picture/",
        "/history/",
    ],
)
def test_who_is_not_signed_in_is_sent_to_the_door_and_back(address: str) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert target.path == "/sign-in/"
    assert parse_qs(target.query)["next"] == [address]


def test_pages_allow_no_inline_code_and_nothing_from_elsewhere(client: Client, suggested: Asset) -> None:
    Asset.objects.filter(pk=suggested.pk).update(title='<img src=x onerror="alert(1)">')
    picture_made(suggested)
    for address in (
        "/",
        "/?q=dog",
        "/?q=(dog",
        f"/assets/{suggested.pk}/",
        "/tags/",
        "/try/",
        "/account/tokens/",
        "/account/password/",
        "/collections/",
        f"/collections/{suggested.collection_id}/",
        "/albums/",
        f"/assets/{suggested.pk}/history/",
        f"/assets/{suggested.pk}/versions/",
        "/duplicates/",
        "/rights/",
        "/trash/",
        "/history/",
    ):
        response = client.get(address)
        assert response.status_code == 200, address
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        for name, attributes in elements(response):
            assert "style" not in attributes, (address, name)
            assert not [key for key in attributes if key.startswith("on")], (address, name)
            assert name != "style"
            assert name != "script" or attributes["src"]
            for key in ("src", "href", "action", "poster"):
                assert not re.match(r"(https?:)?//", attributes.get(key) or ""), (address, name)
    assert "default-src 'none'" in Client().get("/sign-in/").headers["Content-Security-Policy"]


def test_a_page_that_is_not_there_says_so_in_our_style(client: Client) -> None:
    response = client.get("/assets/4711/")
    assert response.status_code == 404
    assert "There is nothing here" in text(response)


def test_every_template_is_free_of_syntax_errors() -> None:
    call_command("check", "--tag", "templates")


def test_the_address_where_browsers_look_for_an_icon_leads_to_ours() -> None:
    response = Client().get("/favicon.ico")
    assert response.status_code == 302
    assert re.fullmatch(r"/static/library/favicon(\.\w+)?\.svg", response.headers["Location"])
