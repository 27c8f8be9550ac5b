import os
import secrets
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from knox.models import AuthToken


class Command(BaseCommand):
    help = (
        "Make a service account, or give it a new token: a user without a password that may do what is named "
        "and nothing else. Running it again replaces its token and its permissions."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of the account")
        parser.add_argument(
            "--permission",
            action="append",
            default=[],
            metavar="APP.PERMISSION",
            help="what it may do, such as rollout.manage_rollout; may be given several times",
        )
        parser.add_argument(
            "--token-file",
            type=Path,
            help="where the token goes, for its owner alone to read (default: standard output)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        path: Path | None = options["token_file"]
        permissions = [_permission(name) for name in options["permission"]]
        with transaction.atomic():
            user = _account(options["name"])
            user.user_permissions.set(permissions)
            before = list(AuthToken.objects.filter(user=user).values_list("pk", flat=True))
            made, token = AuthToken.objects.create(user=user)
        if path is None:
            self.stdout.write(token)
        else:
            try:
                _write(path, token)
            except OSError as error:
                made.delete()
                raise CommandError(f"the token cannot be written: {error}") from error
        # Only now: at every moment the file holds a token that is valid.
        AuthToken.objects.filter(pk__in=before).delete()


def _permission(name: str) -> Permission:
    app, _, codename = name.partition(".")
    permission = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
    if permission is None:
        raise CommandError(f"there is no permission “{name}”")
    return permission


def _account(name: str) -> User:
    """The user of that name, made without a password; never a person's."""
    user = User.objects.select_for_update().filter(username=name).first()
    if user is None:
        return User.objects.create_user(name)
    if user.has_usable_password() or user.last_login is not None or user.is_staff or user.is_superuser:
        raise CommandError(f"“{name}” is a person's account")
    if not user.is_active:
        raise CommandError(f"“{name}” is not active and may not sign in")
    return user


def _write(path: Path, token: str) -> None:
    """Put the token in the place of the one before, in one moment, never readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
