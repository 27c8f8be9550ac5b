"""The ``vitrine`` command: every management command of the catalogue under one name."""

from __future__ import annotations

import os
import sys

from django.core.management import ManagementUtility


def main() -> None:
    """Run ``vitrine COMMAND …``; ``vitrine help`` lists the commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
    ManagementUtility(["vitrine", *sys.argv[1:]]).execute()


if __name__ == "__main__":
    main()
