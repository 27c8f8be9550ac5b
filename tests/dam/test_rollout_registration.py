"""Versions become known with their words."""

from __future__ import annotations

import pytest

from dam.rollout.errors import (
    VersionTakenError,
)
from dam.rollout.services import (
    version_register,
)
from dam.tagging.models import ModelVersion, Tag
from dam.tagging.vocabulary import VocabularyEntry
from tests.dam.factories import TagFactory

pytestmark = pytest.mark.django_db


def register(**changes):
    facts = {
        "name": "tagger",
        "version": 7,
        "registry_version": 3,
        "preprocess_id": "p",
        "vocabulary_id": "v",
        "embedding_id": "e",
        "metrics": {"map": 0.5},
        "vocabulary": [
            VocabularyEntry(slug="animal", name="animal", kind="ancestor"),
            VocabularyEntry(slug="dog", name="hound", parents=["animal"]),
        ],
    }
    return version_register(**facts | changes)


def test_registering_again_changes_nothing_but_what_is_told_of_it():
    first = register()
    again = register(metrics={"map": 0.6})
    assert first == again
    assert ModelVersion.objects.get().metrics == {"map": 0.6}
    with pytest.raises(VersionTakenError, match="embedding_id"):
        register(embedding_id="other")


def test_a_version_on_trial_adds_tags_and_renames_none():
    TagFactory(name="dog")
    TagFactory(name="animal", kind="unnamed", active=False)
    register()
    assert dict(Tag.objects.values_list("slug", "name")) == {"dog": "dog", "animal": "animal"}
    assert Tag.objects.get(slug="animal").kind == "ancestor"
    register(refresh=True)
    dog = Tag.objects.get(slug="dog")
    assert (dog.name, [parent.slug for parent in dog.parents.all()]) == ("hound", ["animal"])


def test_a_parent_that_nobody_knows_is_refused_and_nothing_is_kept():
    with pytest.raises(ValueError, match="unknown parent tags: plant"):
        register(vocabulary=[VocabularyEntry(slug="oak", name="oak", parents=["plant"])])
    assert not ModelVersion.objects.exists()
