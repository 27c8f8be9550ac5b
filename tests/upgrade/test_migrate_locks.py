"""`vitrine migrate` beside long transactions: it waits, and nobody waits for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from dam.api.management.commands import migrate as command
from tests.plugins.processes import wait_for

WITHIN_S = 120
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('shelf_by_name')"

Migrate = Callable[..., str]


@pytest.fixture
def migrate(
    scratch_database_url: str, settings: Any, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migrate]:
    """``vitrine migrate loops NAME`` on a database in which the shelf has its first table; what it says."""
    settings.MIGRATION_MODULES = {"loops": "tests.upgrade.shelf.migrations"}
    monkeypatch.setattr(command, "_PAUSE_S", 0.1)
    name = scratch_database_url.partition("?")[0].rpartition("/")[2]
    monkeypatch.setitem(connections.databases, "scratch", {**connections.databases["default"], "NAME": name})

    def run(to: str, **options: Any) -> str:
        said = io.StringIO()
        with django_db_blocker.unblock():
            try:
                call_command("migrate", "loops", to, database="scratch", stdout=said, **options)
            finally:
                connections["scratch"].close()
        return said.getvalue()

    run("0001")
    yield run
    with django_db_blocker.unblock():
        del connections["scratch"]


@contextmanager
def reading(url: str) -> Iterator[psycopg.Connection]:
    """Somebody has a long transaction that has read the table."""
    with psycopg.connect(url) as reader:
        reader.execute("SELECT FROM loops_shelf")
        yield reader


def test_readers_go_on_while_a_migration_waits_for_a_long_transaction(
    migrate: Migrate, scratch_database_url: str
) -> None:
    with (
        ThreadPoolExecutor() as threads,
        psycopg.connect(scratch_database_url, autocommit=True) as watcher,
        psycopg.connect(scratch_database_url, autocommit=True) as other,
    ):
        with reading(scratch_database_url):
            migrating = threads.submit(migrate, "0002", lock_timeout=0.3)
            for _ in range(3):
                wait_for(lambda: _waits_for_a_lock(watcher), WITHIN_S, "the migration at the table")
                # Queued up behind the migration, which gives up before the transaction does.
                other.execute("INSERT INTO loops_shelf (name) VALUES ('a')")
            assert not migrating.done()
        said = migrating.result(WITHIN_S)
        assert "A table's lock was not to be had within 0.3 s. Open transactions: process" in said
        assert said.count("Applying loops.0002_shelf_width") > 1
        assert said.rstrip().endswith("OK")
        # The code of before knows nothing of the column.
        other.execute("INSERT INTO loops_shelf (name) VALUES ('b')")
        assert other.execute("SELECT DISTINCT width FROM loops_shelf").fetchall() == [(80,)]


def test_one_that_never_gets_its_lock_says_who_is_in_the_way_and_changes_nothing(
    migrate: Migrate, scratch_database_url: str
) -> None:
    with reading(scratch_database_url) as reader:
        with pytest.raises(CommandError, match=rf"process {reader.info.backend_pid} \(.*idle in transaction"):
            migrate("0002", lock_timeout=0.1, lock_attempts=2)
        reader.rollback()
        assert reader.execute("SELECT to_jsonb(s) FROM loops_shelf s").fetchall() == []
    assert "OK" in migrate("0002")


@pytest.mark.parametrize("valid", [True, False], ids=["built", "half-built"])
def test_an_index_that_a_killed_attempt_left_is_built_again(
    migrate: Migrate, scratch_database_url: str, valid: bool
) -> None:
    migrate("0002")
    with psycopg.connect(scratch_database_url, autocommit=True) as server:
        server.execute("INSERT INTO loops_shelf (name) VALUES ('a'), ('a')")
        if valid:
            server.execute("CREATE INDEX shelf_by_name ON loops_shelf (name)")
        else:
            with pytest.raises(psycopg.errors.UniqueViolation):
                server.execute("CREATE UNIQUE INDEX CONCURRENTLY shelf_by_name ON loops_shelf (name)")
        assert server.execute(INDEX).fetchall() == [(valid,)]
        assert "OK" in migrate("0003")
        assert server.execute(INDEX).fetchall() == [(True,)]


def test_an_index_that_holds_up_nobody_waits_for_as_long_as_it_takes(
    migrate: Migrate, scratch_database_url: str
) -> None:
    migrate("0002")
    with ThreadPoolExecutor() as threads, psycopg.connect(scratch_database_url, autocommit=True) as watcher:
        with psycopg.connect(scratch_database_url) as writer:
            # Of such a transaction an index that is built beside it has to see the end.
            writer.execute("INSERT INTO loops_shelf (name) VALUES ('not yet')")
            migrating: Future[str] = threads.submit(migrate, "0003", lock_timeout=0.1, lock_attempts=1)
            wait_for(lambda: _waits_for_a_lock(watcher, longer_than_s=1), WITHIN_S, "the index")
            watcher.execute("INSERT INTO loops_shelf (name) VALUES ('meanwhile')")
        assert "OK" in migrating.result(WITHIN_S)
        assert watcher.execute(INDEX).fetchall() == [(True,)]


def _waits_for_a_lock(watcher: psycopg.Connection, *, longer_than_s: float = 0) -> bool:
    found = watcher.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND query ~ 'ALTER TABLE|CONCURRENTLY' AND now() - query_start > make_interval(secs => %s)",
        [longer_than_s],
    )
    return found.rowcount > 0
