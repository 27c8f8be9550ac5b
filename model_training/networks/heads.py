"""Heads: what turns features into one logit for each label. All of them compute in float32.

==============  =================================================================================
head            logits of
==============  =================================================================================
``linear``      the features, pooled over the map: a regression, the cheapest and hard to beat
``class-odds``  the features, and the log-odds of what the backbone's own classes say of each label
``attention``   the map, each label looking where it finds most (Zhu and Wu 2021, arXiv:2108.02456)
``ml-decoder``  the map, asked by learned queries (Ridnik et al. 2021, arXiv:2111.12933)
==============  =================================================================================
"""

from __future__ import annotations

from typing import Any, Literal

from model_training.networks.class_odds import Classes

Kind = Literal["linear", "class-odds", "attention", "ml-decoder"]

# The paper asks with 100 queries of 768 numbers. Fewer numbers keep the head at a tenth of what
# EfficientNet-Lite2 costs.
_MOST_QUERIES = 100
_WIDTH = 256
_HEADS = 8
_FEED_FORWARD = 4


def takes_map(kind: Kind) -> bool:
    """Whether the head looks at the feature map ``[N, h, w, F]`` and not at the features ``[N, F]``."""
    return kind in {"attention", "ml-decoder"}


def build_head(kind: Kind, shape: tuple[int, ...], labels: int, classes: Classes | None = None) -> Any:
    """A head with random weights.

    Args:
        kind: Which one.
        shape: Of what it takes, without the batch: ``(F,)`` or ``(h, w, F)``.
        labels: How many.
        classes: For ``class-odds``: what the backbone's classes are.

    Returns:
        A ``keras.Model``: float32 ``[N, *shape]`` → logits float32 ``[N, labels]``.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - importing Keras takes seconds

    taken = Input(shape, name="features", dtype="float32")
    if kind in {"linear", "class-odds"}:
        logits = layers.Dense(labels, dtype="float32", name="logits")(taken)
        if kind == "class-odds":
            assert classes is not None
            logits = layers.Add(dtype="float32", name="sum")([logits, _odds(classes, taken)])
    elif kind == "attention":
        from model_training.networks.attention import ResidualAttention  # noqa: PLC0415 - loads Keras

        logits = ResidualAttention(labels, dtype="float32", name="logits")(taken)
    else:
        logits = _decoded(taken, labels)
    return Model(taken, logits, name="head")


def _odds(classes: Classes, features: Any) -> Any:
    from model_training.networks.odds_layer import ClassOdds  # noqa: PLC0415 - loads Keras

    count, labels = classes.membership.shape
    layer = ClassOdds(labels, count, dtype="float32", name="class_odds")
    odds = layer(features)
    layer.know(classes)
    return odds


def _decoded(feature_map: Any, labels: int) -> Any:
    """One layer of a transformer's decoder without the self-attention of the queries, then groups."""
    from keras import layers  # noqa: PLC0415

    from model_training.networks.attention import GroupedLogits, Queries  # noqa: PLC0415

    def layer(kind: Any, *arguments: Any, **options: Any) -> Any:
        return kind(*arguments, dtype="float32", **options)

    height, width, channels = feature_map.shape[1:]
    tokens = layer(layers.Reshape, (height * width, channels), name="tokens")(feature_map)
    tokens = layer(layers.Dense, _WIDTH, activation="relu", name="embed")(tokens)
    queries = layer(Queries, min(labels, _MOST_QUERIES), _WIDTH, name="queries")(tokens)
    queries = layer(layers.LayerNormalization, name="queries_norm")(queries)
    attention = layer(layers.MultiHeadAttention, _HEADS, _WIDTH // _HEADS, name="attention")
    found = layer(layers.Add, name="attention_skip")([queries, attention(queries, tokens)])
    found = layer(layers.LayerNormalization, name="attention_norm")(found)
    inner = layer(layers.Dense, _FEED_FORWARD * _WIDTH, activation="relu", name="feed_forward")(found)
    inner = layer(layers.Dense, _WIDTH, name="feed_forward_out")(inner)
    answers = layer(layers.Add, name="feed_forward_skip")([found, inner])
    answers = layer(layers.LayerNormalization, name="feed_forward_norm")(answers)
    return layer(GroupedLogits, labels, name="logits")(answers)
