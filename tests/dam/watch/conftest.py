"""A folder and a bucket that somebody puts files into, and a watch of either."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from dam.assets.sources import source_from
from dam.loops.watch import Watch
from tests.dam.watch.places import Place
from tests.plugins.object_store import ObjectStore


@pytest.fixture(autouse=True)
def _signals_as_before(signals_as_before: None) -> None:
    """The command takes the signals of its process, which here is that of all tests."""


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    root = tmp_path / "drop"
    root.mkdir()

    def put(name: str, data: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return Place(
        str(root),
        put,
        lambda name: (root / name).unlink(),
        lambda: {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()},
    )


@pytest.fixture(scope="module")
def drop_bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture
def bucket(object_store: ObjectStore, drop_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    client, prefix = object_store.client(), f"drop/{uuid4().hex}"

    def names() -> set[str]:
        listed = client.list_objects_v2(Bucket=drop_bucket, Prefix=f"{prefix}/").get("Contents", [])
        return {one["Key"].removeprefix(f"{prefix}/") for one in listed}

    return Place(
        f"s3://{drop_bucket}/{prefix}",
        lambda name, data: client.put_object(Bucket=drop_bucket, Key=f"{prefix}/{name}", Body=data),
        lambda name: client.delete_object(Bucket=drop_bucket, Key=f"{prefix}/{name}"),
        names,
    )


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def user() -> User:
    return User.objects.create_superuser("ada")


@pytest.fixture
def watch(place: Place, user: User) -> Watch:
    return Watch(source_from(place.address), user, interval_s=0, settle_s=0)
