"""Who asks: Ada, who contributes; Cora, who curates; Max, who manages; Zoe, who sees nothing but her own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.models import Collection, Grant, Level
from dam.assets.services import root_collection
from tests.dam.factories import CollectionFactory, UserFactory


class Api:
    """One person's view of the REST API."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._client = Client()
        self._client.force_login(user)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self._client.generic(
            method,
            f"/api/v1/{path}",
            data=b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def get(self, path: str, **params: Any) -> Any:
        response = self._client.get(f"/api/v1/{path}", params)
        assert response.status_code == 200, response.content
        return response.json()

    def post_file(self, path: str, **fields: Any) -> Any:
        return self._client.post(f"/api/v1/{path}", fields)


@pytest.fixture
def library(db: None) -> Collection:
    """The root, which nobody has a right to but by a grant of the test."""
    root = root_collection()
    Grant.objects.all().delete()
    return root


@pytest.fixture
def place(library: Collection) -> Collection:
    """Where all happens."""
    return CollectionFactory(name="Press")


@pytest.fixture
def hidden(library: Collection) -> Collection:
    """Where nobody but superusers may look."""
    return CollectionFactory(name="Secret")


@pytest.fixture
def person(place: Collection) -> Callable[..., Api]:
    """``person("cora", Level.CURATE)``: somebody with that right in “Press”."""

    def make(name: str, level: Level | None = None, **facts: Any) -> Api:
        user = UserFactory(username=name, **facts)
        if level is not None:
            Grant.objects.create(collection=place, user=user, level=level)
        return Api(user)

    return make


@pytest.fixture
def viewer(person: Callable[..., Api]) -> Api:
    return person("vera", Level.VIEW)


@pytest.fixture
def curator(person: Callable[..., Api]) -> Api:
    return person("cora", Level.CURATE)


@pytest.fixture
def manager(person: Callable[..., Api]) -> Api:
    return person("max", Level.MANAGE)


@pytest.fixture
def stranger(person: Callable[..., Api]) -> Api:
    return person("zoe")


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code), body
    assert body["detail"]
    return body
