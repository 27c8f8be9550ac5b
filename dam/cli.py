"""The ``vitrine`` command: every management command of the catalogue under one name."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import NoReturn

from django.core.management import ManagementUtility
from django.db import InterfaceError, OperationalError
from psycopg import ProgrammingError

from pipeline.secret_files import secret_source


def main() -> None:
    """Run ``vitrine COMMAND …``; ``vitrine help`` lists the commands."""
    if sys.argv[1:] in (["--version"], ["version"]):
        # Ours; Django would tell its own.
        print(f"vitrine {version('vitrine')}")  # noqa: T201
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except (ValueError, OSError, ProgrammingError) as error:
        _tell_unsettled(error)
    try:
        with _database():
            ManagementUtility(["vitrine", *sys.argv[1:]]).execute()
    except (OperationalError, InterfaceError) as error:
        if not _is_unreachable(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        if source := secret_source("DATABASE_URL"):
            sys.exit(f"The database of {source} cannot be reached: {reason}")
        sys.exit("Vitrine does not run: its database cannot be reached. `make run` starts it.")


@contextmanager
def _database() -> Iterator[None]:
    """Around commands that can work on an embedded system which does not run."""
    if sys.argv[1:2] not in (["backup"], ["restore"]):
        yield
        return
    # Of weight, and hardly ever needed.
    from dam.embedded.borrowed import database_for  # noqa: PLC0415
    from dam.embedded.errors import EmbeddedError  # noqa: PLC0415
    from dam.embedded.state import home_folder  # noqa: PLC0415

    try:
        with database_for(sys.argv[1:], home_folder(), os.environ):
            yield
    except EmbeddedError as error:
        sys.exit(str(error))


def _tell_unsettled(error: Exception) -> NoReturn:
    """End, saying which variable of the environment keeps the settings from loading."""
    # Of weight, and hardly ever needed.
    from dam.monitoring.doctor.unsettled import print_unsettled, unsettled_text  # noqa: PLC0415

    if sys.argv[1:2] == ["doctor"]:
        print_unsettled(error, as_json="--json" in sys.argv)
        sys.exit(1)
    sys.exit(unsettled_text(error))


def _is_unreachable(error: Exception) -> bool:
    """Whether there is no connection, as opposed to a statement that the server refused."""
    return getattr(error.__cause__, "sqlstate", None) is None


if __name__ == "__main__":
    main()
