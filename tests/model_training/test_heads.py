"""Heads against their papers' formulas in NumPy, with the weights that the head has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.networks.attention import ResidualAttention
from model_training.networks.class_odds import FLOOR, Classes
from model_training.networks.heads import build_head, takes_map
from model_training.networks.network import load_network

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LABELS = 5
MAP = (3, 4, 16)
Array = NDArray[np.float64]


@pytest.fixture
def feature_map() -> Any:
    return np.random.default_rng(1).normal(size=(2, *MAP)).astype(np.float32)


def softmax(values: Array, axis: int) -> Array:
    shifted = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))


def normalised(values: Array, gamma: Array, beta: Array) -> Array:
    mean, variance = values.mean(axis=-1, keepdims=True), values.var(axis=-1, keepdims=True)
    return np.asarray((values - mean) / np.sqrt(variance + 1e-3) * gamma + beta)


def randomised(model: Any) -> dict[str, Any]:
    """Give every weight, also those that start at 0 or 1, a value that shows. Returns them by path."""
    random = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(random.normal(scale=0.5, size=tuple(weight.shape)))
    return {weight.path.removeprefix("head/"): weight.numpy().astype(np.float64) for weight in model.weights}


def classes() -> Classes:
    """Seven classes: the first label has two of them, the second the same and one more, the last has none."""
    random = np.random.default_rng(4)
    membership = np.zeros((7, LABELS), np.float32)
    for column, members in enumerate(([0, 1], [0, 1, 2], [3], [4, 5, 6], [])):
        membership[members, column] = 1
    kernel = random.normal(size=(MAP[-1], 7)).astype(np.float32)
    return Classes(kernel, random.normal(size=7).astype(np.float32), membership)


def test_only_the_linear_heads_look_at_pooled_features() -> None:
    kinds: Any = ("linear", "class-odds", "attention", "ml-decoder")
    assert [takes_map(kind) for kind in kinds] == [False, False, True, True]


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["unsure", "surer than anything"])
def test_class_odds_are_added_to_a_regression_as_far_as_they_are_trusted(scale: float) -> None:
    known = classes()
    head = build_head("class-odds", MAP[-1:], LABELS, known)
    random = np.random.default_rng(5)
    for weight in head.trainable_weights:
        weight.assign(random.normal(size=tuple(weight.shape)))
    kernel, bias = (values.astype(np.float64) for values in head.get_layer("logits").get_weights())
    trust = head.get_layer("class_odds").trust.numpy().astype(np.float64)
    features = (scale * random.normal(size=(20, MAP[-1]))).astype(np.float32)

    probabilities = softmax(features.astype(np.float64) @ known.kernel + known.bias, axis=1)
    shown = np.clip(probabilities @ known.membership, FLOOR, 1 - FLOOR)
    odds = np.log(shown / (1 - shown))
    odds[:, -1] = 0  # it has no class
    expected = features @ kernel + bias + trust * odds
    assert head(features).numpy() == pytest.approx(expected, rel=1e-3, abs=0.02)
    assert head.get_layer("class_odds").log_odds(features).numpy() == pytest.approx(odds, rel=1e-3, abs=0.02)
    if scale > 1:
        assert np.abs(odds).max() == pytest.approx(np.log(1 / FLOOR - 1)), "meant to reach the floor"


def test_a_label_without_classes_gets_nothing_from_them() -> None:
    head = build_head("class-odds", MAP[-1:], LABELS, classes())
    features = np.random.default_rng(6).normal(size=(5, MAP[-1])).astype(np.float32)
    for weight in head.get_layer("logits").weights:
        weight.assign(np.zeros(tuple(weight.shape)))
    answers = head(features).numpy()
    assert not answers[:, -1].any()
    assert answers[:, :-1].all()


def test_the_classes_of_the_backbone_do_not_learn() -> None:
    head = build_head("class-odds", MAP[-1:], LABELS, classes())
    learning = {weight.path.removeprefix("head/") for weight in head.trainable_weights}
    assert learning == {"logits/kernel", "logits/bias", "class_odds/trust"}


@pytest.mark.parametrize("temperatures", [(1.0,), (1.0, 2.0, 99.0)])
def test_residual_attention_is_the_papers_sum_over_places(feature_map: Any, temperatures: Any) -> None:
    layer = ResidualAttention(LABELS, temperatures, weight=0.3)
    found = layer(feature_map).numpy()
    kernel, bias = (w.numpy().astype(np.float64) for w in (layer.kernel, layer.bias))
    for picture, places in enumerate(feature_map.reshape(2, -1, MAP[-1]).astype(np.float64)):
        expected = bias.copy()
        for head, temperature in enumerate(temperatures):
            for label in range(LABELS):
                m = kernel[head, :, label]
                attention = softmax(temperature * places @ m, axis=0)  # equation 1
                specific = (attention[:, None] * places).sum(axis=0)  # equation 2
                whole = places.mean(axis=0)  # equation 3
                expected[label] += m @ (whole + 0.3 * specific)  # equations 4 and 5
        assert found[picture] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_residual_attention_of_a_flat_map_is_a_linear_head(feature_map: Any) -> None:
    layer = ResidualAttention(LABELS, weight=0.2)
    flat = np.broadcast_to(feature_map[:, :1, :1], feature_map.shape)
    found = layer(flat).numpy()
    expected = 1.2 * feature_map[:, 0, 0] @ layer.kernel.numpy()[0]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_decoder_is_one_layer_of_cross_attention_without_self_attention(feature_map: Any) -> None:
    head = build_head("ml-decoder", MAP, LABELS)
    of = randomised(head)
    tokens = feature_map.reshape(2, -1, MAP[-1]).astype(np.float64)
    tokens = np.maximum(tokens @ of["embed/kernel"] + of["embed/bias"], 0)
    queries = normalised(of["queries/queries"], of["queries_norm/gamma"], of["queries_norm/beta"])

    def projected(values: Array, name: str) -> Array:
        kernel, bias = of[f"attention/{name}/kernel"], of[f"attention/{name}/bias"]
        return np.asarray(np.einsum("...d,dhk->...hk", values, kernel) + bias)

    query, key, value = projected(queries, "query"), projected(tokens, "key"), projected(tokens, "value")
    weights = softmax(np.einsum("qhk,nthk->nhqt", query, key) / np.sqrt(query.shape[-1]), axis=-1)
    seen = np.einsum("nhqt,nthk->nqhk", weights, value)
    seen = np.einsum("nqhk,hkd->nqd", seen, of["attention/attention_output/kernel"])
    found = queries + seen + of["attention/attention_output/bias"]
    found = normalised(found, of["attention_norm/gamma"], of["attention_norm/beta"])
    inner = np.maximum(found @ of["feed_forward/kernel"] + of["feed_forward/bias"], 0)
    found = found + inner @ of["feed_forward_out/kernel"] + of["feed_forward_out/bias"]
    found = normalised(found, of["feed_forward_norm/gamma"], of["feed_forward_norm/beta"])
    expected = np.einsum("nqd,qdl->nql", found, of["logits/kernel"]).reshape(2, -1) + of["logits/bias"]
    assert head(feature_map).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_more_labels_than_queries_share_them_in_groups(feature_map: Any) -> None:
    head = build_head("ml-decoder", MAP, 250)
    kernel = head.get_layer("logits").kernel
    assert tuple(kernel.shape) == (100, 256, 3)
    assert head(feature_map).shape == (2, 250)


@pytest.mark.parametrize("kind", ["linear", "class-odds", "attention", "ml-decoder"])
def test_a_saved_head_answers_as_before(tmp_path: Path, kind: Any, feature_map: Any) -> None:
    known = classes() if kind == "class-odds" else None
    head = build_head(kind, MAP if takes_map(kind) else MAP[-1:], LABELS, known)
    randomised(head)
    taken = feature_map if takes_map(kind) else feature_map[:, 0, 0]
    head.save(tmp_path / "head.keras")
    assert np.array_equal(load_network(tmp_path / "head.keras")(taken).numpy(), head(taken).numpy())
