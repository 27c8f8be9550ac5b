from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.backup.checking import backup_check, backups_list
from dam.backup.console import Teller
from dam.backup.errors import BackupError, WrongUseError
from dam.backup.place import place_from_url
from dam.backup.telling import listed_facts, listed_text
from pipeline.ports import DependencyDownError


class Command(BaseCommand):
    help = (
        "List the backups of a place; with --check, read every byte of one and compare it with what was "
        "written. Asks no database. Exit code 1 if the one that is checked is not sound, or there is none "
        "that is done, 2 for wrong use."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("place", metavar="FROM", help="a folder, or s3://BUCKET/PREFIX")
        parser.add_argument("--check", action="store_true", help="prove every byte of a backup")
        parser.add_argument("--name", default="latest", help="of the backup to check (default: latest)")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        checked = None
        try:
            place = place_from_url(options["place"], blob_url=settings.BLOB_URL)
            listed = backups_list(place)
            if options["check"]:
                teller = Teller(quiet=options["json"])
                checked = backup_check(place=place, name=options["name"], teller=teller)
        except WrongUseError as error:
            raise CommandError(str(error), returncode=2) from error
        except (BackupError, DependencyDownError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(listed_facts(listed, checked)))
        elif not listed:
            self.stderr.write(f"There is no backup in {place.url}.")
        else:
            self.stdout.write(listed_text(listed, checked))
        if not any(each.document for each in listed) or (checked is not None and not checked.is_sound):
            raise SystemExit(1)
