"""The PostgreSQL server of the tests: one per session, the embedded one, or that of ``DATABASE_URL``.

Named in ``addopts`` with ``-p``, since pytest-django reads the settings before any conftest is imported.
Only the address is settled that early; the server starts when the first test asks for it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from dam.embedded.postgres import EmbeddedPostgres

# Nothing in a test survives a crash of the machine, so nothing has to be flushed for it.
_FAST = {"fsync": "off", "full_page_writes": "off"}

_home = pytest.StashKey[Path]()


def _settle(config: pytest.Config) -> None:
    """Choose the home and the database of this session; no test touches those of the checkout."""
    if _home in config.stash:
        return
    config.stash[_home] = Path(tempfile.mkdtemp(prefix="vitrine-tests-"))
    os.environ["VITRINE_HOME"] = str(config.stash[_home])
    os.environ.setdefault("DATABASE_URL", EmbeddedPostgres(config.stash[_home]).url)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    _settle(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # For a plugin that was not named with -p.
    _settle(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_home])


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[str]:
    """Address of the session's database server, running."""
    url = os.environ["DATABASE_URL"]
    server = EmbeddedPostgres(pytestconfig.stash[_home], settings=_FAST)
    if url != server.url:
        yield url
        return
    with server:
        yield url


@pytest.fixture(scope="session")
def database_url(postgres: str) -> str:
    """Address of the session's default database; make a scratch one for anything that leaves traces."""
    return postgres


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases and returns their addresses; they go with the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"scratch_{uuid4().hex}")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(names[-1])))
        return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{names[-1]}", postgres)

    yield make
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            # Not WITH (FORCE): that refuses while autovacuum, another user's process, is at work there. Plain
            # DROP DATABASE sends autovacuum away itself, but nobody else.
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = %s AND usename = current_user",
                [name],
            )
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def scratch_database_url(new_database: Callable[[], str]) -> str:
    """Address of an empty database that goes with the test."""
    return new_database()
