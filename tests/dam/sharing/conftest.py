"""Anna, who shares; a collection that she may look at, or more; pictures with real bytes in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from dam.assets.models import Asset, Collection, Grant, Level
from dam.assets.services import asset_create, root_collection
from dam.sharing.models import Share
from dam.sharing.services import share_create
from tests.dam.factories import CollectionFactory, StaffFactory, UserFactory


@pytest.fixture
def anna() -> User:
    return UserFactory(username="anna", first_name="Anna", last_name="Berg")


@pytest.fixture
def closed(db: None) -> None:
    """Nobody may anything but by a grant that a test gives."""
    Grant.objects.filter(collection=root_collection()).delete()


@pytest.fixture
def press(closed: None) -> Collection:
    return CollectionFactory(name="Press")


@pytest.fixture
def allow(press: Collection) -> Callable[..., None]:
    def give(user: User, level: Level, collection: Collection | None = None) -> None:
        Grant.objects.update_or_create(
            collection=collection or press, user=user, group=None, defaults={"level": level}
        )

    return give


@pytest.fixture
def picture(press: Collection) -> Callable[..., Asset]:
    """``picture("a.jpg", title="Dawn")``: a picture of its own in the collection Press."""
    owner = StaffFactory()
    made: list[Asset] = []

    def make(name: str = "a.jpg", *, size: tuple[int, int] = (64, 48), **values: Any) -> Asset:
        data = io.BytesIO()
        kind = {"png": "PNG", "jpg": "JPEG", "gif": "GIF"}[name.rpartition(".")[2]]
        Image.new("RGB", size, (len(made) * 40 % 256, 80, 120)).save(data, kind)
        data.seek(0)
        asset = asset_create(stream=data, filename=name, user=owner).asset
        values.setdefault("collection", press)
        for field, value in values.items():
            setattr(asset, field, value)
        asset.save()
        made.append(asset)
        return asset

    return make


@pytest.fixture
def share_of(anna: User) -> Callable[..., Share]:
    """``share_of(picture, …)``: Anna's link to these."""

    def make(*assets: Asset, **values: Any) -> Share:
        if "collection" in values:
            kind = Share.Kind.COLLECTION
        else:
            kind = Share.Kind.ALBUM if "album" in values else Share.Kind.PICTURES
        ids = [asset.pk for asset in assets]
        return share_create(user=anna, kind=kind, asset_ids=ids, **values)

    return make


@pytest.fixture
def stranger() -> Client:
    """A browser without an account."""
    return Client()


@pytest.fixture
def client(anna: User) -> Client:
    client = Client()
    client.force_login(anna)
    return client
