"""Which versions a ``models.config`` names, and in which folders they lie."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from google.protobuf import text_format

from model_training.mirror.errors import NotYetError
from model_training.rollout import model_versions_pb2

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Named = dict[str, frozenset[int]]
"""Versions by folder: the last part of the model's base path, which is the same on both sides."""


def named(content: bytes) -> Named:
    """What the file names.

    Raises:
        NotYetError: it cannot be read; or a model has no base path that a model server can read, or no
            version policy ``specific``.
    """
    try:
        config = model_versions_pb2.ModelsConfig()
        text_format.Parse(content.decode(), config, allow_unknown_field=True)
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise NotYetError(f"models.config cannot be read: {error}") from error
    found: dict[str, frozenset[int]] = {}
    for model in config.model_config_list.config:
        folder = PurePosixPath(model.base_path).name
        if "://" in model.base_path or not _FOLDER.fullmatch(folder):
            raise NotYetError(
                f"models.config: the base path {model.base_path!r} of model {model.name!r} is no folder of a "
                "model server; VITRINE_SERVED_AS says what is written where the model is not named yet"
            )
        versions = frozenset(model.model_version_policy.specific.versions)
        if not versions or min(versions) < 0:
            raise NotYetError(
                f"models.config: model {model.name!r} needs a version policy `specific` that names versions"
            )
        found[folder] = found.get(folder, frozenset()) | versions
    if not found:
        raise NotYetError("models.config names no model")
    return found
