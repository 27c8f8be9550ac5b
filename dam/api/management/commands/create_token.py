from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import AuthToken


class Command(BaseCommand):
    help = "Print a new token for a program: Authorization: Bearer TOKEN. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name; the program may do what this user may")
        parser.add_argument("--create", action="store_true", help="make the user if there is none")

    def handle(self, *_args: Any, **options: Any) -> None:
        name = options["user"]
        user = User.objects.filter(username=name).first()
        if user is None:
            if not options["create"]:
                raise CommandError(f"there is no user “{name}”; --create makes one")
            # Without a password: it gets in by tokens and links alone.
            user = User.objects.create_user(name)
        if not user.is_active:
            raise CommandError(f"“{name}” is not active and may not sign in")
        _, token = AuthToken.objects.create(user=user)
        self.stdout.write(token)
