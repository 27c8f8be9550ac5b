"""One vocabulary of scores out of a softmax and heads: what wins where they disagree."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.tag_scores import tag_scores
from model_training.vocabulary import Tag, Vocabulary


def _tag(slug: str, classes: set[int], *parents: str, trained: bool = False) -> Tag:
    return Tag(slug, slug, "leaf", frozenset(classes), parents, (), 0.5, trained)


VOCABULARY = Vocabulary(
    "test",
    (
        _tag("poodle", {0}, "dog"),
        _tag("beagle", {1}, "dog"),
        _tag("dog", {0, 1}, "animal", trained=True),
        _tag("cat", {2}, "animal"),
        _tag("animal", {0, 1, 2}),
        _tag("person", set(), trained=True),
        _tag("bride", set(), "person", trained=True),
        _tag("car", {3}),
    ),
)


def _scores(classes: list[float], *, dog: float = 0, person: float = 0, bride: float = 0) -> dict[str, float]:
    scores = tag_scores(VOCABULARY, 4)
    found = scores(np.array([classes], np.float32), np.array([[dog, person, bride]], np.float32)).numpy()[0]
    return dict(zip(VOCABULARY.labels, map(float, found), strict=True))


def test_classes_are_summed_and_heads_are_taken_as_they_are() -> None:
    scores = _scores([0.1, 0.1, 0.3, 0.5], dog=0.2, person=0.9, bride=0.4)
    told = {"dog": 0.2, "person": 0.9, "bride": 0.4}
    assert scores == pytest.approx(
        {"poodle": 0.1, "beagle": 0.1, "cat": 0.3, "animal": 0.5, "car": 0.5, **told}
    )


def test_a_head_that_is_sure_raises_what_stands_above_it() -> None:
    scores = _scores([0.1, 0.1, 0.1, 0.7], dog=0.8, bride=0.6)
    assert scores["animal"] == scores["dog"] == pytest.approx(0.8)
    assert scores["person"] == scores["bride"] == pytest.approx(0.6)


def test_a_head_that_doubts_lowers_what_stands_below_it() -> None:
    scores = _scores([0.6, 0.1, 0.1, 0.2], dog=0.3)
    assert scores["poodle"] == scores["dog"] == pytest.approx(0.3)
    assert scores["beagle"] == pytest.approx(0.1)
    assert scores["animal"] == pytest.approx(0.8)


def test_without_heads_every_tag_is_the_sum_of_its_classes() -> None:
    plain = Vocabulary("test", (_tag("poodle", {0}, "dog"), _tag("dog", {0, 1})))
    found = tag_scores(plain, 2)(np.array([[0.25, 0.5]], np.float32), np.zeros((1, 0), np.float32))
    assert found.numpy().tolist() == [[0.25, 0.75]]
