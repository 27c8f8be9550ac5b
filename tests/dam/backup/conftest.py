"""A small catalogue of its own, in a database of its own, with its bytes in a folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from psycopg import sql

from dam.assets.models import Asset, AssetVersion
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.jobs.services import dead_letter_keep, job_enqueue
from dam.tagging.models import Decision, Tag
from dam.tagging.vocabulary import vocabulary_register
from tests.dam.backup_scene import PICTURES, Library, django_on
from tests.dam.tagging_scene import VOCABULARY, picture


def _database_of(postgres: str, name: str) -> str:
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", postgres)


@contextmanager
def made_database(postgres: str, *, template: str | None = None) -> Iterator[str]:
    """The address of a new database, empty or a copy of another one."""
    name = f"backup_{uuid4().hex}"
    words = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        words += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with psycopg.connect(postgres, autocommit=True) as session:
        session.execute(words)
    yield _database_of(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user",
            [name],
        )
        session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def filled(
    postgres: str, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[Library]:
    """Five pictures with renditions, a person, jobs, a try, a dead letter, a decision. Not to be changed."""
    with made_database(postgres) as url:
        library = Library(url, tmp_path_factory.mktemp("library") / "blobs")
        with django_db_blocker.unblock(), django_on(url), _bytes_in(library.blobs):
            call_command("migrate", verbosity=0)
            _fill()
        yield library


@contextmanager
def _bytes_in(folder: Path) -> Iterator[None]:
    before = settings.BLOB_URL
    settings.BLOB_URL = str(folder)
    blob_store.cache_clear()
    try:
        yield
    finally:
        settings.BLOB_URL = before
        blob_store.cache_clear()


def _fill() -> None:
    person = User.objects.create_user("person", password="well-kept secret")
    vocabulary_register(entries=VOCABULARY)
    for shade in range(PICTURES):
        asset = asset_create(stream=picture(shade), filename=f"{shade}.png", user=person).asset
        version = AssetVersion.objects.get(asset=asset)
        keys = blob_store().put_renditions(version.blob.key, {"grid.jpg": b"grid of %d" % shade})
        facts = {"key": keys["grid.jpg"], "media_type": "image/jpeg", "width": 4, "height": 3}
        AssetVersion.objects.filter(pk=version.pk).update(renditions={"grid": facts})
    jobs = list(TaggingJob.objects.order_by("id"))
    now = timezone.now()
    TaggingJob.objects.filter(pk__in=[job.pk for job in jobs[:3]]).update(
        state=TaggingJob.State.PUBLISHED, published_at=now, attempts=1
    )
    TaggingJob.objects.filter(pk=jobs[3].pk).update(state=TaggingJob.State.DONE, closed_at=now)
    tried = blob_store().put(picture(99))
    job = job_enqueue(
        purpose=TaggingJob.Purpose.TRY, blob_key=tried.key, sha256=tried.sha256, media_type="image/png"
    )
    dead_letter_keep(
        queue="tagging.bulk.dead",
        message_id="1.1",
        body=b"\\x00 odd bytes \x00\xff",
        reason="delivery limit",
        delivery_count=5,
        job_id=job.pk,
        generation=1,
    )
    Decision.objects.create(
        asset=Asset.objects.get(filename="0.png"),
        tag=Tag.objects.get(slug="beagle"),
        verdict=Decision.Verdict.ADDED,
        decided_by=person,
        decided_at=now,
    )


@pytest.fixture(scope="session")
def first_backup(filled: Library, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A place with one backup of that. Not to be changed."""
    place = tmp_path_factory.mktemp("backed-up") / "place"
    with django_db_blocker.unblock():
        filled.backup(place)
    return place


@pytest.fixture
def backed_up(first_backup: Path, place: Path) -> Path:
    """The same, for this test to do with what it likes."""
    return shutil.copytree(first_backup, place)


@pytest.fixture
def library(filled: Library, postgres: str, tmp_path: Path, django_db_blocker: Any) -> Iterator[Library]:
    """The same, for this test to do with what it likes."""
    name = psycopg.conninfo.conninfo_to_dict(filled.url)["dbname"]
    blobs = tmp_path / "library"
    # With their times: whether a rendition was changed shows by that.
    shutil.copytree(filled.blobs, blobs)
    with made_database(postgres, template=str(name)) as url, django_db_blocker.unblock():
        yield Library(url, blobs)


@pytest.fixture
def empty(postgres: str, tmp_path: Path, django_db_blocker: Any) -> Iterator[Library]:
    """Neither a table nor a picture."""
    with made_database(postgres) as url, django_db_blocker.unblock():
        yield Library(url, tmp_path / "restored")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for backups, not made yet."""
    return tmp_path / "place"
