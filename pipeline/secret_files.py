"""Secrets from the environment: ``NAME`` holds one, or ``NAME_FILE`` names the file that does.

Orchestrators mount secrets as files, where they stand in no list of processes, in no dump of an environment
and in no child's. A file may end with a line break, as editors and ``echo`` leave it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


class SecretFileError(ValueError):
    """A secret that cannot be read. The message names variable and file, and says nothing of the content."""


def secret(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """What ``NAME`` says, or the file that ``NAME_FILE`` names; empty if neither is set.

    Args:
        name: of the variable. An empty variable is none.
        environment: where it is looked for.

    Raises:
        SecretFileError: both are set, or the file cannot be read or holds no secret.
    """
    source = secret_source(name, environment)
    if source == name or not source:
        return environment.get(name, "")
    return read_secret_file(Path(environment[source]), source)


def secret_source(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable that gives this secret, ``NAME`` or ``NAME_FILE``; empty if neither is set.

    Raises:
        SecretFileError: both are set.
    """
    given = [variable for variable in (name, f"{name}_FILE") if environment.get(variable)]
    if len(given) > 1:
        raise both_given(name)
    return given[0] if given else ""


def both_given(name: str) -> SecretFileError:
    """What is wrong where ``NAME`` and ``NAME_FILE`` are set: nobody knows which of them is meant."""
    return SecretFileError(f"set {name} or {name}_FILE, not both")


def read_secret_file(path: Path, named_by: str) -> str:
    """The secret in a file, without space around it.

    Args:
        path: of the file.
        named_by: the variable or option that names it, for messages.

    Raises:
        SecretFileError: it cannot be read, is empty, or is more than one line of text.
    """
    try:
        content = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretFileError(f"{named_by} cannot be read: {error.strerror}: {path}") from None
    except UnicodeDecodeError:
        # What it says holds a part of the content.
        raise SecretFileError(f"{named_by} cannot be read: {path} is no text") from None
    if not content:
        raise SecretFileError(f"{named_by} names an empty file: {path}")
    if not content.isprintable():
        raise SecretFileError(f"{named_by} names a file that holds more than one line of text: {path}")
    return content
