"""What tests of the loops and of tagging share; a folder or module with a scene of its own overrides it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.contrib.auth.models import User
from PIL import Image

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.tagging.vocabulary import vocabulary_register
from pipeline.postgres_queue import PostgresTransport
from tests.dam.tagging_scene import VOCABULARY, picture


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command configures the logs of its process, which here is that of all tests."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


@pytest.fixture
def broker(scratch_database_url: str, settings: object) -> PostgresTransport:
    settings.QUEUE_URL = scratch_database_url  # type: ignore[attr-defined]
    transport = PostgresTransport(scratch_database_url)
    transport.declare()
    return transport


@pytest.fixture
def upload() -> Callable[..., Asset]:
    user = User.objects.create_user("uploader")
    shades = iter(range(256))

    def make(*, bulk: bool = False) -> Asset:
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (next(shades), 0, 0)).save(stream, "PNG")
        stream.seek(0)
        return asset_create(stream=stream, filename="a.png", user=user, bulk=bulk).asset

    return make


@pytest.fixture
def person() -> User:
    return User.objects.create_user("person")


@pytest.fixture
def words() -> None:
    vocabulary_register(entries=VOCABULARY)


@pytest.fixture
def asset(person: User) -> Asset:
    return asset_create(stream=picture(), filename="dog.png", user=person).asset
