"""The ``vitrine`` command: every management command of the catalogue under one name."""

from __future__ import annotations

import os
import sys

from django.core.management import ManagementUtility
from django.db import InterfaceError, OperationalError


def main() -> None:
    """Run ``vitrine COMMAND …``; ``vitrine help`` lists the commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
    try:
        ManagementUtility(["vitrine", *sys.argv[1:]]).execute()
    except (OperationalError, InterfaceError) as error:
        if not _is_unreachable(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        if os.environ.get("DATABASE_URL"):
            sys.exit(f"The database of DATABASE_URL cannot be reached: {reason}")
        sys.exit("Vitrine does not run: its database cannot be reached. `make run` starts it.")


def _is_unreachable(error: Exception) -> bool:
    """Whether there is no connection, as opposed to a statement that the server refused."""
    return getattr(error.__cause__, "sqlstate", None) is None


if __name__ == "__main__":
    main()
