"""A catalogue of a few pictures: its database, its blobs, and what is done with both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection

from dam.backup.console import Teller
from dam.backup.database import Parameters
from dam.backup.making import Made, backup_make
from dam.backup.place import Place
from dam.backup.restoring import Restored, restore
from dam.settings import _database
from pipeline.trees import FolderTree

PICTURES = 5


@dataclass
class Library:
    """A catalogue: its database and its blobs."""

    url: str
    blobs: Path

    @property
    def parameters(self) -> Parameters:
        return psycopg.conninfo.conninfo_to_dict(self.url)

    @property
    def store(self) -> FolderTree:
        return FolderTree(self.blobs)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            cursor = session.execute(query, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def backup(self, place: Path, **options: Any) -> Made:
        return backup_make(
            place=Place(FolderTree(place)),
            store=self.store,
            parameters=self.parameters,
            teller=Teller(quiet=True),
            **options,
        )

    def restore(self, place: Path, name: str = "latest", **options: Any) -> Restored:
        with django_on(self.url):
            return restore(
                place=Place(FolderTree(place)),
                name=name,
                store=self.store,
                parameters=self.parameters,
                teller=Teller(quiet=True),
                migrate=lambda: call_command("migrate", interactive=False, verbosity=0),
                **options,
            )


@contextmanager
def django_on(url: str) -> Iterator[None]:
    """Have Django's connection lead to another database."""
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(_database(url))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)
