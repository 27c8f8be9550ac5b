"""The model versions that the catalogue knows, held while answers of theirs are recorded."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from django.db import connection

from dam.tagging.bulk_sql import rows_read
from dam.tagging.models import ModelVersion
from pipeline.messages import ModelIdentity

Key: TypeAlias = tuple[str, int]


class KnownModels(NamedTuple):
    """Name and version → row; and those of them that are withdrawn."""

    rows: dict[Key, int]
    withdrawn: frozenset[Key]

    def has_withdrawn(self, model: ModelIdentity | None) -> bool:
        """Whether it is one of those; an answer that names no model is of none."""
        return bool(self.withdrawn) and model is not None and key_of(model) in self.withdrawn

    def rows_of(self, models: Iterable[ModelIdentity]) -> dict[Key, int]:
        """The rows, with one for each of these that answers for the first time."""
        rows = dict(self.rows)
        unknown = {key: model for model in models if (key := key_of(model)) not in rows}
        for key, model in sorted(unknown.items(), key=itemgetter(0)):
            made, _ = ModelVersion.objects.get_or_create(
                name=model.name,
                version=model.version,
                defaults=model.model_dump(include={"preprocess_id", "vocabulary_id", "embedding_id"}),
            )
            rows[key] = made.pk
        return rows


def key_of(model: ModelIdentity) -> Key:
    """What tells versions apart."""
    return model.name, model.version


def models_hold() -> KnownModels:
    """The versions as they stand: none is withdrawn or reinstated until the caller's transaction ends.

    Otherwise an answer could be stored behind the back of whoever derives again what a version answered.
    Many may hold them at a time.
    """
    rows_read(_HOLD)
    # A statement of its own, after the lock, so that it sees what was committed before.
    rows = rows_read(_READ)
    return KnownModels(
        rows={(name, version): row for row, name, version, _ in rows},
        withdrawn=frozenset((name, version) for _, name, version, is_withdrawn in rows if is_withdrawn),
    )


def models_hold_alone() -> None:
    """Wait until nobody holds the versions, and keep others out until the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD_ALONE)


# Not locks of rows: of those, many who share one may keep another out for ever.
_LOCK = "hashtextextended('model versions', 0)"
_HOLD = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_HOLD_ALONE = f"SELECT pg_advisory_xact_lock({_LOCK})"
# Few: one for each training that ever answered. A question of Django's costs as much as five answers.
_READ = "SELECT id, name, version, withdrawn_at IS NOT NULL FROM tagging_modelversion"
