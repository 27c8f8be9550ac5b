from __future__ import annotations

import json
import os
from argparse import ArgumentTypeError
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.backup.console import Teller
from dam.backup.database import connection_parameters
from dam.backup.errors import BackupError, WrongUseError
from dam.backup.making import backup_make
from dam.backup.place import place_from_url, store_from_url
from dam.backup.telling import made_facts, made_text
from pipeline.ports import DependencyDownError


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("a number from 1 on")
    return int(text)


class Command(BaseCommand):
    help = (
        "Back up the whole library: a dump of the database, then the bytes that it names, of which only "
        "those travel that the place has not got. Everything works on meanwhile. Exit code 1 if something "
        "that the database names is missing or damaged, 2 for wrong use."
    )
    # The checks would import every page and view.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("place", metavar="TO", help="a folder, or s3://BUCKET/PREFIX")
        parser.add_argument(
            "--without-renditions",
            action="store_true",
            help="only originals; `vitrine retag --again` makes renditions again after a restore",
        )
        parser.add_argument(
            "--keep",
            type=_count,
            metavar="N",
            help="afterwards, remove what is older than the newest N whole backups (default: nothing)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        # A dump holds hashes of passwords and what signs people in: it is nobody's but its maker's.
        before = os.umask(0o077)
        try:
            made = backup_make(
                place=place_from_url(options["place"], blob_url=settings.BLOB_URL),
                store=store_from_url(settings.BLOB_URL),
                parameters=connection_parameters(),
                teller=Teller(quiet=options["json"]),
                renditions=not options["without_renditions"],
                keep=options["keep"],
            )
        except WrongUseError as error:
            raise CommandError(str(error), returncode=2) from error
        except (BackupError, DependencyDownError, psycopg.OperationalError) as error:
            raise CommandError(f"there is no new backup: {str(error).strip()}") from error
        finally:
            os.umask(before)
        self.stdout.write(json.dumps(made_facts(made)) if options["json"] else made_text(made))
        if not made.is_fine:
            raise SystemExit(1)
