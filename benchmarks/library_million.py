"""A made-up library of any size, in minutes: ``python -m benchmarks.library_million --assets 1000000 …``.

2,000 tags in a hierarchy, about 20 of them on each picture by Zipf's law, up to seven of those shown; 200
collections, of which the user ``bench`` may see 60; embeddings in clusters, under the index by which similar
ones are found. It takes 6 KB of disk for each picture, and up to 3 GB of memory for that index.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import django
import numpy as np
import psycopg
from django.apps import apps

from benchmarks import library_million_sql as sql
from benchmarks.library_million_rows import (
    COPY_END,
    COPY_HEAD,
    EMBEDDING_ID,
    LEAVES,
    SEED,
    TAGS,
    likeness_bytes,
    made_up_words,
    tag_rows,
    vocabulary,
)
from dam.embedded.postgres import EmbeddedPostgres

USER = "bench"
SETTINGS = {"shared_buffers": "2GB", "effective_cache_size": "6GB", "max_wal_size": "8GB"}
"""Over those of the embedded system, which are for small libraries (docs/search-speed.md)."""
VISIBLE_TOPS = 6
_CHUNK = 20_000
_TABLES = ["assets_blob", "assets_assetversion", "assets_asset", "tagging_claim", "tagging_likeness"]
_SEQUENCED = ["assets_blob", "assets_assetversion", "assets_asset", "tagging_tag"]
_MARK = "bench_library"
_CAMERAS = [f"Camera {number}" for number in range(1, 31)]
_LICENCES = ["", "", "CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "All rights reserved", "CC-BY-NC-4.0", "Stock"]


def main() -> int:
    """Fill a database, or say that it is filled."""
    parser = argparse.ArgumentParser(prog="library_million", description=__doc__)
    parser.add_argument("--assets", type=int, default=1_000_000)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--database", metavar="URL", help="An empty PostgreSQL database with our extensions.")
    where.add_argument("--embedded", type=Path, metavar="FOLDER", help="A server of our own in there.")
    options = parser.parse_args()
    with server(options.embedded) if options.embedded else nullcontext(options.database) as url:
        fill(url, assets=options.assets)
    return 0


@contextmanager
def server(home: Path) -> Iterator[str]:
    """The embedded PostgreSQL on a folder, with the memory that a large library wants; yields its address."""
    with EmbeddedPostgres(home, settings=SETTINGS) as running:
        yield running.url


def fill(url: str, *, assets: int) -> None:
    """Make the library, unless a finished one of that size is there.

    Raises:
        SystemExit: the database holds something else.
    """
    _django_on(url)
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    with psycopg.connect(url, autocommit=True) as connection:
        found = size_of(connection)
        if found == assets:
            print(f"{assets:,} assets are there", flush=True)
            return
        if found is not None or connection.execute("SELECT FROM assets_asset LIMIT 1").fetchone():
            raise SystemExit(f"The database holds another library ({found or 'not made here'}).")
        began = time.perf_counter()
        _make(connection, assets)
        connection.execute(f"CREATE TABLE {_MARK} AS SELECT {assets} AS assets")
        print(f"{assets:,} assets in {time.perf_counter() - began:,.0f} s", flush=True)


def size_of(connection: psycopg.Connection[Any]) -> int | None:
    """How many assets the finished library in a database has; None: there is none."""
    if connection.execute("SELECT to_regclass(%s)", [_MARK]).fetchone() == (None,):
        return None
    row = connection.execute(f"SELECT assets FROM {_MARK}").fetchone()
    return None if row is None else int(row[0])


def _django_on(url: str) -> None:
    if apps.ready:
        from benchmarks.catalogue import _point_at  # noqa: PLC0415

        _point_at(url)
        return
    os.environ.update(DATABASE_URL=url, DJANGO_SETTINGS_MODULE="dam.settings")
    django.setup()
    logging.disable(logging.INFO)


def _make(connection: psycopg.Connection[Any], assets: int) -> None:
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '3GB'")
    connection.execute("SET max_parallel_maintenance_workers = 2")
    connection.execute("SET work_mem = '256MB'")
    connection.execute(sql.FUNCTIONS)
    values = _surroundings() | {"assets": assets, "batches": assets // sql.BATCH + 1}
    restored = _without_indexes(connection)
    connection.execute("DROP TABLE IF EXISTS bench_staging")
    connection.execute(sql.STAGING)
    with _told("tags drawn"), connection.cursor().copy(sql.STAGING_COPY) as copy:
        rows = tag_rows(assets, vocabulary())
        while lines := [_line(*row) for row in islice(rows, _CHUNK)]:
            copy.write("".join(lines))
    connection.execute(sql.UNTAGGED)
    for name, statement in (
        ("blobs", sql.BLOBS),
        ("versions", sql.VERSIONS),
        ("assets", sql.ASSETS),
        ("claims", sql.CLAIMS),
        ("rejected claims", sql.REJECTED),
        ("library words", sql.LIBRARY_WORDS),
    ):
        with _told(name):
            connection.execute(statement, values if "%(" in statement else None)
    with _told("likeness"):
        _copy_likeness(connection, assets)
    connection.execute("DROP TABLE bench_staging")
    for statement in restored:
        with _told(statement.split(" USING")[0][:90]):
            connection.execute(statement)
    for table in _SEQUENCED:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
        )
    with _told("VACUUM ANALYZE"):
        connection.execute("VACUUM (ANALYZE, FREEZE)")


def _line(number: int, leaves: list[int], ancestors: list[int], ids: list[int]) -> str:
    arrays = "\t".join(f"{{{','.join(map(str, array))}}}" for array in (leaves, ancestors, ids))
    return f"{number}\t{number // sql.BATCH}\t{arrays}\n"


def _surroundings() -> dict[str, Any]:
    """Users, collections, grants, tags and a model version, as the application makes them."""
    from django.contrib.auth.models import User  # noqa: PLC0415

    from dam.assets.models import Collection, Grant, Level  # noqa: PLC0415
    from dam.assets.naming import normalise  # noqa: PLC0415
    from dam.assets.services import root_collection  # noqa: PLC0415
    from dam.search.language_fields import COLOURS  # noqa: PLC0415
    from dam.tagging.models import ModelVersion, Tag  # noqa: PLC0415
    from dam.tagging.vocabulary import lookup_of  # noqa: PLC0415

    root = root_collection()
    Grant.objects.filter(collection=root, user=None, group=None).delete()
    names = made_up_words(sql.COLLECTIONS, SEED + 5)
    rng = np.random.default_rng(SEED + 6)
    collections, tops = [], []
    each = sql.COLLECTIONS // sql.TOPS - 1
    for top in range(sql.TOPS):
        parent = Collection.objects.add_child(
            Collection.objects.get(pk=root.pk), create_kwargs={"name": names[top * (each + 1)]}
        )
        tops.append(parent)
        collections.append(parent.pk)
        for child in range(1, each + 1):
            place = Collection.objects.get(pk=parent.pk)
            name = names[top * (each + 1) + child]
            collections.append(Collection.objects.add_child(place, create_kwargs={"name": name}).pk)
    user, _ = User.objects.get_or_create(username=USER)
    for top in tops[:: sql.TOPS // VISIBLE_TOPS][:VISIBLE_TOPS]:
        Grant.objects.create(collection=top, user=user, level=Level.DOWNLOAD)
    uploaders = [
        User.objects.get_or_create(username=f"uploader-{number}")[0].pk for number in range(sql.UPLOADERS)
    ]
    words = vocabulary()
    Tag.objects.bulk_create(
        Tag(
            id=word.number,
            slug=normalise(word.name).replace(" ", "-"),
            name=word.name,
            ancestor_ids=list(word.ancestors),
            lookup=lookup_of(name=word.name, synonyms=[]),
            kind=Tag.Kind.LEAF if word.is_leaf else Tag.Kind.ANCESTOR,
            threshold=0.3,
        )
        for word in words
    )
    Tag.parents.through.objects.bulk_create(
        Tag.parents.through(from_tag_id=word.number, to_tag_id=parent)
        for word in words
        for parent in word.parents
    )
    model = ModelVersion.objects.create(
        name="made-up", version=1, preprocess_id="p", vocabulary_id="v", embedding_id=EMBEDDING_ID
    )
    # Some collections are large and most are small.
    shares = (200 / (np.arange(len(collections)) + 3)).astype(int) + 1
    rng.shuffle(shares)
    return {
        "collections": [pk for pk, n in zip(collections, shares, strict=True) for _ in range(n)],
        "uploaders": uploaders,
        "model": model.pk,
        "first_leaf": TAGS - LEAVES + 1,
        "words": made_up_words(4_000, SEED + 7),
        "cameras": _CAMERAS,
        "licences": _LICENCES,
        "colours": list(COLOURS),
    }


def _without_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop what slows a load down; returns the statements that bring it back, in their order."""
    keys = connection.execute(sql.KEYS_OF, [_TABLES]).fetchall()
    uniques = connection.execute(sql.UNIQUES_OF, [_TABLES]).fetchall()
    for table, name, _ in keys:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for table, name, _ in uniques:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    indexes = connection.execute(sql.INDEXES_OF, [_TABLES]).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    later = [definition for _, definition in indexes]
    # The index of vectors takes the longest; whoever watches sees the rest done before it.
    later.sort(key=lambda definition: "hnsw" in definition)
    adding = [f'ALTER TABLE {t} ADD CONSTRAINT "{name}" {text}' for t, name, text in (*uniques, *keys)]
    return adding + later


def _copy_likeness(connection: psycopg.Connection[Any], assets: int) -> None:
    reading = psycopg.ClientCursor(connection)
    with (
        psycopg.connect(connection.info.dsn, autocommit=True) as writing,
        writing.cursor().copy(sql.LIKENESS_COPY) as copy,
    ):
        copy.write(COPY_HEAD)
        for start in range(1, assets + 1, _CHUNK):
            rows = reading.execute(
                "SELECT id, leaves[1], leaves[cardinality(leaves)] FROM bench_staging "
                "WHERE id >= %s AND id < %s AND leaves <> '{}' ORDER BY id",
                [start, start + _CHUNK],
            ).fetchall()
            numbers = np.array(rows, dtype=np.int64)
            copy.write(likeness_bytes(numbers[:, 0], numbers[:, 1:]))
        copy.write(COPY_END)


@contextmanager
def _told(name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"  {name}: {time.perf_counter() - began:,.1f} s", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
