"""Taking in a model version that the controller brought to the model server, with its vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from django.db import transaction

from dam.rollout.errors import VersionTakenError
from dam.tagging.models import ModelVersion
from dam.tagging.vocabulary import VocabularyEntry, vocabulary_register

log = structlog.get_logger()


def version_register(  # noqa: PLR0913  # one argument for each fact
    *,
    name: str,
    version: int,
    registry_version: int | None,
    preprocess_id: str,
    vocabulary_id: str,
    embedding_id: str,
    metrics: dict[str, Any],
    vocabulary: Sequence[VocabularyEntry],
    refresh: bool = False,
) -> ModelVersion:
    """Make a version known before it answers; the same again changes nothing.

    Args:
        name: of the model.
        version: its number on the model server.
        registry_version: its number in the model registry, if it is there.
        preprocess_id: what pixels it takes.
        vocabulary_id: of its labels.
        embedding_id: of the space of its embeddings.
        metrics: of its training, to be shown.
        vocabulary: its labels and what lies above them. New ones are added, and labels that had no name
            get one; what is known stays as it is, because people are to see no trace of a version on trial.
        refresh: names and parents of known tags follow too, as is right for a champion.

    Raises:
        VersionTakenError: another model has this number.
        ValueError: a parent that nobody knows, or a circle.
    """
    identity = {
        "preprocess_id": preprocess_id,
        "vocabulary_id": vocabulary_id,
        "embedding_id": embedding_id,
    }
    with transaction.atomic():
        vocabulary_register(entries=vocabulary, keep_known=not refresh)
        row, is_new = ModelVersion.objects.get_or_create(
            name=name,
            version=version,
            defaults={**identity, "metrics": metrics, "registry_version": registry_version},
        )
        different = [field for field, value in identity.items() if getattr(row, field) != value]
        if different:
            raise VersionTakenError(f"{row} is another model: its {', '.join(different)} differ.")
        if (row.metrics, row.registry_version) != (metrics, registry_version):
            row.metrics, row.registry_version = metrics, registry_version
            row.save(update_fields=["metrics", "registry_version"])
    if is_new:
        log.info("model version", version=str(row), registry_version=registry_version)
    return row
