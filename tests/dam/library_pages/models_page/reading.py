"""The page of model versions as a person reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

from django.http import HttpResponse
from django.test import Client

from dam.tagging.models import ModelVersion
from tests.dam.library_pages.rendered import text

Try = Callable[..., ModelVersion]


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
