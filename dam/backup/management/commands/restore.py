from __future__ import annotations

import json
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console

from dam.backup.console import Teller
from dam.backup.database import connection_parameters
from dam.backup.errors import BackupError, WrongUseError
from dam.backup.place import place_from_url, store_from_url
from dam.backup.restoring import restore
from dam.backup.telling import restored_facts, restored_text
from dam.integrity.check import check
from dam.integrity.services import whose_command
from dam.integrity.telling import print_report
from pipeline.ports import DependencyDownError

_FINDINGS = 20


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty database: bytes first, what is there stays; then the database, which "
        "is compared with the backup and made ready to go on. Everything else has to be stopped. Run again "
        "after an interruption, it goes on. Exit code 1 if something could not be brought back, 2 for wrong "
        "use."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("place", metavar="FROM", help="a folder, or s3://BUCKET/PREFIX")
        parser.add_argument(
            "--name", default="latest", help="of the backup, as `vitrine backups` lists it (default: latest)"
        )
        parser.add_argument(
            "--incomplete",
            action="store_true",
            help="go on even if a tenth of the originals, and more than 100, are missing in the backup",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            restored = restore(
                place=place_from_url(options["place"], blob_url=settings.BLOB_URL),
                name=options["name"],
                store=store_from_url(settings.BLOB_URL),
                parameters=connection_parameters(),
                teller=Teller(quiet=options["json"]),
                migrate=_migrate,
                incomplete=options["incomplete"],
            )
        except WrongUseError as error:
            raise CommandError(str(error), returncode=2) from error
        except (BackupError, DependencyDownError, psycopg.OperationalError) as error:
            raise CommandError(f"the restore has not come to its end: {str(error).strip()}") from error
        try:
            report = check(command=whose_command("vitrine restore"))
        except DependencyDownError as error:
            raise CommandError(f"restored, but not looked at: {error}. Run `vitrine integrity`") from error
        if options["json"]:
            self.stdout.write(
                json.dumps(restored_facts(restored) | {"integrity": report.as_dict(limit=_FINDINGS)})
            )
        else:
            self.stdout.write(restored_text(restored) + "\n")
            # OutputWrapper is a text stream in all but its type.
            print_report(Console(file=self.stdout), report, limit=_FINDINGS)  # type: ignore[arg-type]
        if not restored.is_fine or not report.is_sound:
            raise SystemExit(1)


def _migrate() -> None:
    try:
        call_command("migrate", interactive=False, verbosity=0)
    finally:
        connection.close()
