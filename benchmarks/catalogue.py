"""An empty catalogue on a PostgreSQL server of its own, for the benchmarks that need one."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from dam.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    # Models can be imported only once Django knows its settings.
    from dam.assets.models import Asset
    from dam.jobs.models import TaggingJob


@contextmanager
def catalogue() -> Iterator[str]:
    """Django on a new database with the catalogue's schema, durable as in production; yields its address."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as home, EmbeddedPostgres(Path(home)) as server:
        if apps.ready:
            _point_at(server.url)
        else:
            os.environ.update(
                DATABASE_URL=server.url, VITRINE_HOME=home, DJANGO_SETTINGS_MODULE="dam.settings"
            )
            django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        try:
            yield server.url
        finally:
            connection.close()


def _point_at(url: str) -> None:
    """Settings are read once in a process, and an earlier benchmark had a server of its own."""
    from dam.settings import _database  # noqa: PLC0415

    connection.close()
    connection.settings_dict.update(_database(url))


def import_pictures(count: int, *, published: bool) -> tuple[list[Asset], list[TaggingJob]]:
    """So many pictures of an import, pending, each with its queued job, or one that the relay published."""
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from dam.assets.models import Asset, AssetVersion, Blob  # noqa: PLC0415
    from dam.assets.services import root_collection  # noqa: PLC0415
    from dam.jobs.models import TaggingJob  # noqa: PLC0415
    from pipeline.blobs import original_key  # noqa: PLC0415

    user, _ = User.objects.get_or_create(username="importer")
    first = Blob.objects.count()
    shas = [f"{number:064x}" for number in range(first, first + count)]
    blobs = Blob.objects.bulk_create(
        Blob(sha256=sha256, size=5_000_000, media_type="image/jpeg", key=original_key(sha256))
        for sha256 in shas
    )
    collection = root_collection()
    assets = Asset.objects.bulk_create(
        Asset(
            collection=collection,
            filename=f"IMG_{number:07}.jpg",
            sort_name=f"img_{number:07}.jpg",
            width=6000,
            height=4000,
            size=5_000_000,
            media_type="image/jpeg",
            uploaded_by=user,
            generation=1,
        )
        for number in range(first, first + count)
    )
    versions = AssetVersion.objects.bulk_create(
        AssetVersion(asset=asset, blob=blob, filename=asset.filename, created_by=user)
        for asset, blob in zip(assets, blobs, strict=True)
    )
    for asset, version in zip(assets, versions, strict=True):
        asset.current_version = version
    Asset.objects.bulk_update(assets, ["current_version"], batch_size=1000)
    published_now = (
        {"state": TaggingJob.State.PUBLISHED, "published_at": timezone.now(), "attempts": 1}
        if published
        else {}
    )
    jobs = TaggingJob.objects.bulk_create(
        TaggingJob(
            asset=version.asset,
            asset_version=version,
            generation=1,
            bulk=True,
            blob_key=blob.key,
            sha256=blob.sha256,
            media_type=blob.media_type,
            **published_now,
        )
        for version, blob in zip(versions, blobs, strict=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return assets, jobs
