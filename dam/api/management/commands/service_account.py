import os
import re
import secrets
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from knox.crypto import hash_token
from knox.models import AuthToken
from knox.settings import CONSTANTS

from pipeline.secret_files import SecretFileError, read_secret_file

_LEAST_CHARACTERS = 32
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What may stand behind ``Bearer`` (RFC 6750, b64token)."""


class Command(BaseCommand):
    help = (
        "Make a service account, or give it a new token: a user without a password that may do what is named "
        "and nothing else. Running it again replaces its token, unless it is given one, and its permissions."
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
        token = parser.add_mutually_exclusive_group()
        token.add_argument(
            "--token-file",
            type=Path,
            help="where the token goes, for its owner alone to read (default: standard output)",
        )
        token.add_argument(
            "--use-token-file",
            type=Path,
            help="a file that holds the token to use, such as a mounted secret: at least "
            f"{_LEAST_CHARACTERS} characters, as `openssl rand -hex 32` makes them. While the file stays the "
            "same, running it again changes nothing",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        path: Path | None = options["token_file"]
        given = _given_token(options["use_token_file"]) if options["use_token_file"] else ""
        permissions = [_permission(name) for name in options["permission"]]
        with transaction.atomic():
            user = _account(options["name"])
            user.user_permissions.set(permissions)
            if given:
                _use(given, user)
                return
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


def _given_token(path: Path) -> str:
    """The token that somebody else has made."""
    try:
        token = read_secret_file(path, "--use-token-file")
    except SecretFileError as error:
        raise CommandError(str(error)) from error
    if len(token) < _LEAST_CHARACTERS:
        raise CommandError(
            f"the token in {path} has {len(token)} characters and may be guessed: make one of at least "
            f"{_LEAST_CHARACTERS}, with `openssl rand -hex 32`"
        )
    if not _TOKEN.fullmatch(token):
        raise CommandError(f"the token in {path} has characters that no header can carry")
    return token


def _use(token: str, user: User) -> None:
    """Let this be the one token of that account; it is kept hashed, like those that knox makes."""
    digest = hash_token(token)
    if AuthToken.objects.filter(pk=digest).exclude(user=user).exists():
        raise CommandError("the token is another account's already")
    AuthToken.objects.filter(user=user).exclude(pk=digest).delete()
    if not AuthToken.objects.filter(pk=digest).exists():
        AuthToken(digest=digest, token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH], user=user).save()


def _account(name: str) -> User:
    """The user of that name, made without a password; never a person's."""
    # One of two that make it at the same time finds that of the other.
    User.objects.get_or_create(username=name, defaults={"password": make_password(None)})
    user = User.objects.select_for_update().get(username=name)
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
