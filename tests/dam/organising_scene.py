"""A library that is closed to everybody, but for what a test opens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User

from dam.assets.models import Collection, Grant, Level
from dam.assets.services import root_collection
from dam.audit.models import AuditEntry
from tests.dam.factories import GrantFactory, UserFactory


@pytest.fixture
def root(db: None) -> Iterator[Collection]:
    """The root, in which nobody may do anything."""
    root = root_collection()
    Grant.objects.all().delete()
    return root


def below(parent: Collection, name: str, **facts: object) -> Collection:
    """A collection in another; both can be used on."""
    made: Collection = Collection.objects.add_child(
        Collection.objects.get(pk=parent.pk), create_kwargs={"name": name, **facts}
    )
    return made


def who(level: Level, collection: Collection, name: str | None = None) -> User:
    """A user with that right in a collection."""
    user = UserFactory(username=name) if name else UserFactory()
    GrantFactory(collection=collection, user=user, level=level)
    return user


def told(action: str | None = None) -> list[tuple[str, str, int]]:
    """What was written down, in that order: who, what, to what."""
    entries = AuditEntry.objects.order_by("id")
    if action is not None:
        entries = entries.filter(action=action)
    return list(entries.values_list("actor_name", "action", "object_id"))
