"""Heads against their papers' formulas in NumPy, with the weights that the head has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.networks.attention import ResidualAttention
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


def test_only_the_linear_head_looks_at_pooled_features() -> None:
    assert [takes_map(kind) for kind in ("linear", "attention", "ml-decoder")] == [False, True, True]


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


@pytest.mark.parametrize("kind", ["linear", "attention", "ml-decoder"])
def test_a_saved_head_answers_as_before(tmp_path: Path, kind: Any, feature_map: Any) -> None:
    head = build_head(kind, MAP if takes_map(kind) else MAP[-1:], LABELS)
    randomised(head)
    taken = feature_map if takes_map(kind) else feature_map[:, 0, 0]
    head.save(tmp_path / "head.keras")
    assert np.array_equal(load_network(tmp_path / "head.keras")(taken).numpy(), head(taken).numpy())
