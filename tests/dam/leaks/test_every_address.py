"""No page and no endpoint names what a person may not see, whichever is asked for and for whatever."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from django.db import transaction
from django.test import Client

from tests.dam.leaks.addresses import addresses
from tests.dam.leaks.world import NAMES, RICH, World

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_nothing_that_is_answered_names_what_is_hidden(db: None) -> None:
    plan = RICH
    with transaction.atomic():
        world = World.build(plan)
        ids = [asset.pk for asset in world.assets]
        values = {
            "asset_id": ids,
            "object_id": ids,
            "collection_id": [place.pk for place in world.collections],
            "album_id": [album.pk for album in world.albums] or [0],
            "pair_id": [pair.pk for pair, _ in world.pairs],
            "name": ["grid"],
            "slug": ["tabby"],
            "number": [1],
            "key": [],
            "app_label": [],
            "content_type_id": [],
            "*": [1],
        }
        asked = 0
        for name in NAMES:
            client = Client()
            client.force_login(world.users[name])
            # The Django admin shows the trash, too, to whom it shows the collection.
            hidden = {False: world.secrets_of(name), True: world.secrets_of(name, trash=True)}
            curated = {False: hidden[True], True: hidden[True]}
            for address in addresses(values):
                for query in ("", "?q=animal", "?q=hushed*"):
                    answered = client.get(address + query)
                    asked += 1
                    assert answered.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or "/file" in address, (
                        address
                    )
                    body = b"".join(answered.streaming_content) if answered.streaming else answered.content
                    text = body.decode(errors="replace") + str(answered.headers)
                    in_trash = address.startswith(
                        ("/admin/", "/trash/", "/api/v1/trash/", "/history/", "/api/v1/history/")
                    )
                    betrayed = [word for word in (curated if in_trash else hidden)[in_trash] if word in text]
                    assert not betrayed, (name, address + query, betrayed)
                    if "?q" not in address and not _takes_a_query(address):
                        break
        assert asked > 100
        transaction.set_rollback(True)


def _takes_a_query(address: str) -> bool:
    return address.endswith(("/", "facets/")) and not any(part.isdecimal() for part in address.split("/"))
