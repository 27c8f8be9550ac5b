from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.embedded.state import read_state
from dam.library.links import first_administrator, make_path


class Command(BaseCommand):
    help = "Print a link that signs a person in once, within a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="user name (default: the first administrator)")
        parser.add_argument(
            "--first-admin",
            action="store_true",
            help="make the first administrator if there is none; print nothing if one can sign in already",
        )
        parser.add_argument("--base-url", help="what comes before the path (default: where Vitrine runs)")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["first_admin"]:
            if options["user"]:
                raise CommandError("either a user or --first-admin")
            user = first_administrator()
            if user is None:
                return
        else:
            user = _user(options["user"])
        base = options["base_url"] or read_state(settings.VITRINE_HOME).get("address") or ""
        self.stdout.write(base.rstrip("/") + make_path(user))


def _user(name: str | None) -> User:
    if name is None:
        user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if user is None:
            raise CommandError("there is no administrator yet; --first-admin makes one")
        return user
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"there is no user “{name}”")
    if not user.is_active:
        raise CommandError(f"“{name}” is not active and may not sign in")
    return user
