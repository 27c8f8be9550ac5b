"""Makes one vocabulary of scores out of a softmax over classes and of trained heads.

A tag made of classes scores the sum of their probabilities; a trained tag scores what its head says. Along
the tree the two must agree, so that nothing is a dog and no animal:

- a tag never scores below a trained tag under it: the head knows better than the sum;
- a tag made of classes never scores above a trained tag over it: a breed is no likelier than a dog.

Both together leave no tag below one that stands under it. Sums never are, since the classes of a tag are
among those of the tags over it. And whatever raises a tag raises all that stands above it, as whatever
lowers one lowers all that is made of classes below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import Vocabulary

_Bound = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Positions ``[A]`` of the tags that are bounded, and of what bounds each, itself included: ``[A, K]``."""


def tag_scores(vocabulary: Vocabulary, classes: int) -> Callable[[Any, Any], Any]:
    """The function that makes the scores, to be called in a graph.

    Args:
        vocabulary: ``L`` tags, ``T`` of them trained.
        classes: How many classes the softmax has.

    Returns:
        (probabilities ``[N, classes]``, trained ``[N, T]`` in the order of the vocabulary) → scores
        ``[N, L]``, all of them within 0…1 if the arguments are.
    """
    tf = load_tensorflow()
    trained = [position for position, tag in enumerate(vocabulary.tags) if tag.trained]
    membership = vocabulary.membership(classes)
    membership[:, trained] = 0
    raised, lowered = _bounds(vocabulary)

    def scores(probabilities: Any, heads: Any) -> Any:
        # Sums of many rounded numbers may pass 1 by a few units in the last place.
        summed = tf.minimum(tf.matmul(probabilities, tf.constant(membership)), 1.0)
        own = _replaced(tf, summed, trained, heads)
        return _bounded(tf, _bounded(tf, own, raised, tf.reduce_max), lowered, tf.reduce_min)

    return scores


def _bounds(vocabulary: Vocabulary) -> tuple[_Bound, _Bound]:
    """What raises tags (the trained ones below them), and what lowers them (the trained ones above)."""
    position = {tag.slug: place for place, tag in enumerate(vocabulary.tags)}
    above = vocabulary.above()
    raising: dict[int, set[int]] = {}
    lowering: dict[int, set[int]] = {}
    for place, tag in enumerate(vocabulary.tags):
        for ancestor in (position[slug] for slug in above[tag.slug]):
            if tag.trained:
                raising.setdefault(ancestor, set()).add(place)
            elif vocabulary.tags[ancestor].trained:
                lowering.setdefault(place, set()).add(ancestor)
    return _bound(raising), _bound(lowering)


def _bound(bounding: Mapping[int, set[int]]) -> _Bound:
    """A row for each, as long as the longest: the tag itself fills what is left."""
    places = sorted(bounding)
    by = np.empty((len(places), 1 + max(map(len, bounding.values()), default=0)), np.int32)
    for row, place in zip(by, places, strict=True):
        row[:] = place
        row[: len(bounding[place])] = sorted(bounding[place])
    return np.array(places, np.int32), by


def _bounded(tf: Any, scores: Any, bound: _Bound, reduce: Callable[..., Any]) -> Any:
    """The scores, those that are bounded replaced by the largest or smallest of theirs and their bounds."""
    places, by = bound
    return _replaced(tf, scores, places, reduce(tf.gather(scores, tf.constant(by), axis=1), axis=2))


def _replaced(tf: Any, scores: Any, places: Any, by: Any) -> Any:
    """The scores ``[N, L]`` with those ``by`` ``[N, K]`` in ``places`` ``[K]``.

    A gather from both: TensorFlow scatters along the first axis only.
    """
    labels = scores.shape[1]
    order = np.arange(labels, dtype=np.int32)
    order[places] = labels + np.arange(len(places), dtype=np.int32)
    return tf.gather(tf.concat([scores, by], axis=1), tf.constant(order), axis=1)
