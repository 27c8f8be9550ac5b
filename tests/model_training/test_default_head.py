"""The heads of the default model: taken out of a run as they answered there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from model_training.cli.main import BAD_INPUT, main
from model_training.default_head import FILE, load_heads, read_heads
from model_training.default_head.take import take_heads
from model_training.evaluation.calibration import (
    Calibration,
    LabelCalibration,
    load_calibration,
    save_calibration,
    sigmoid,
)
from model_training.networks import efficientnet_lite
from model_training.networks.class_odds import class_log_odds, classes_of
from model_training.networks.efficientnet_lite import LITE2
from model_training.networks.heads import Kind, build_head
from model_training.networks.network import load_network
from model_training.networks.tuned import build_tuned, weigh
from model_training.serving_protos import tf

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LABELS = ("sofa", "person", "tree", "giraffe")
"""Not in the order of the alphabet; "tree" has no class that hints at it."""
FEATURES = 1280
THRESHOLDS = {"sofa": 0.55, "person": 0.35, "tree": 0.8, "giraffe": 0.7}
RECALL = {"sofa": 0.31, "person": 0.9, "tree": 0.6, "giraffe": 0.29}
"""At those thresholds."""


def _features() -> NDArray[np.float32]:
    return np.random.default_rng(1).random((6, FEATURES), dtype=np.float32)


def _write_run(folder: Path, kind: Kind, labels: tuple[str, ...] = LABELS, **network: Any) -> Path:
    """A run as training and evaluation leave it, of a network that is a head and nothing else."""
    from keras import Input, Model  # noqa: PLC0415 - loads TensorFlow

    folder.mkdir()
    content = {
        "name": "photographs",
        "data": {"sources": [{"kind": "folder", "folder": "pictures"}]},
        "network": {"head": kind, **network},
        "training": {"fine_tune": {"epochs": 0, "learning_rate": 0.1}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    (folder / "labels.json").write_text(json.dumps({"labels": labels, "names": {}}))
    (folder / "data.json").write_text("{}")
    (folder / "projection.npz").touch()
    random = np.random.default_rng(2)
    fitted = {
        label: LabelCalibration(
            float(random.uniform(0.5, 2)),
            float(random.normal()),
            THRESHOLDS.get(label, 0.5),
            True,
            20,
            20,
            None,
        )
        for label in labels
    }
    save_calibration(folder / "calibration.json", Calibration(fitted))
    measured = [{"label": label, "recall": RECALL.get(label)} for label in labels]
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "metrics.json").write_text(json.dumps({"per_label": measured}))
    features = Input((FEATURES,))
    classes = classes_of("efficientnet-lite2", "package", labels) if kind == "class-odds" else None
    head = build_head(kind, (FEATURES,), len(labels), classes)
    for weight in head.trainable_weights:
        weight.assign(random.normal(0, 0.05, weight.shape))
    Model(features, head(features)).save(folder / "network.keras")
    return folder


@pytest.mark.parametrize("kind", ["linear", "class-odds"])
def test_heads_answer_as_the_run_that_they_were_taken_from(
    tmp_path: Path, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _write_run(tmp_path / "run", kind)
    assert main(["take-heads", "--run", str(run), "--to", str(tmp_path / "heads")]) == 0
    assert FILE in capsys.readouterr().out
    heads = read_heads((tmp_path / "heads" / FILE).read_bytes())
    assert heads.labels == tuple(sorted(LABELS))
    # What is likelier not there is not shown, and what would hardly ever be shown is shown from a half on.
    assert heads.shown_from() == {**THRESHOLDS, "person": 0.5, "giraffe": 0.5}

    features = _features()
    logits = load_network(run / "network.keras")(features).numpy()
    expected = load_calibration(run / "calibration.json").scores(logits)
    odds = _log_odds(features) if kind == "class-odds" else np.zeros((len(features), len(LABELS)))
    in_order = heads.of(LABELS)
    found = sigmoid(features @ in_order.kernel + in_order.bias + in_order.trust * odds)
    assert np.abs(found - expected).max() < 1e-3
    assert (in_order.trust != 0).tolist() == [kind == "class-odds" and label != "tree" for label in LABELS]


def test_tuned_copies_are_taken_along(tmp_path: Path) -> None:
    run, share = _write_run(tmp_path / "run", "linear"), 0.25
    head = load_network(run / "network.keras").get_layer("head")
    backbone = efficientnet_lite.build(LITE2, size=32, classify=False)
    tuned = build_tuned(LITE2, backbone, 1, len(LABELS))
    for weight in tuned.get_layer("upper").trainable_weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.05, weight.shape))
    weigh(tuned, head.get_layer("logits").get_weights()[0], share)
    network = _beside(head, tuned)
    network.save(run / "network.keras")
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["training"] |= {"regression": {}, "tuned": {"blocks": 1, "share": share}}
    (run / "config.yaml").write_text(yaml.safe_dump(content))

    heads = read_heads(take_heads(run, tmp_path / "heads").read_bytes()).of(LABELS)
    below = np.random.default_rng(4).normal(0, 1, (6, 1, 1, 208)).astype(np.float32)
    features = _features()
    expected = load_calibration(run / "calibration.json").scores(network([features, below]).numpy())
    upper = efficientnet_lite.build_upper(LITE2, 1, (1, 1, 208))
    for name, weights in heads.upper.items():
        upper.get_layer(name).set_weights(list(weights))
    read = (1 - heads.share) * features + heads.share * upper(below).numpy().mean(axis=(1, 2))
    assert np.abs(sigmoid(read @ heads.kernel + heads.bias) - expected).max() < 2e-3
    untuned = sigmoid(features @ heads.kernel + heads.bias)
    assert np.abs(untuned - expected).max() > 0.01


def _beside(head: Any, tuned: Any) -> Any:
    """Features and the map below the copies → logits."""
    from keras import Input, Model  # noqa: PLC0415

    features, below = Input((FEATURES,)), Input(tuned.input_shape[0][1:])
    return Model([features, below], head(features) + tuned([below, features]))


def _log_odds(features: NDArray[np.float32]) -> Any:
    classes = classes_of("efficientnet-lite2", "package", LABELS)
    probabilities = tf.nn.softmax(features @ classes.kernel + classes.bias)
    return class_log_odds(probabilities, tf.constant(classes.membership)).numpy()


@pytest.mark.parametrize(
    ("labels", "network", "said"),
    [
        (("sofa", "red-disc"), {}, "red-disc"),
        (LABELS, {"backbone": "efficientnet-lite0"}, "backbone is efficientnet-lite2"),
        (LABELS, {"weights": "random"}, "weights of its package"),
    ],
)
def test_a_run_that_does_not_fit_the_default_model_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: tuple[str, ...],
    network: dict[str, str],
    said: str,
) -> None:
    run = _write_run(tmp_path / "run", "linear", labels, **network)
    assert main(["take-heads", "--run", str(run), "--to", str(tmp_path)]) == BAD_INPUT
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / FILE).exists()


def test_a_run_whose_labels_meant_other_classes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _write_run(tmp_path / "run", "class-odds")
    network = load_network(run / "network.keras")
    membership = network.get_layer("head").get_layer("class_odds").membership
    membership.assign(1 - membership)
    network.save(run / "network.keras")
    assert main(["take-heads", "--run", str(run), "--to", str(tmp_path)]) == BAD_INPUT
    assert "train again" in capsys.readouterr().err


def test_the_shipped_heads_are_whole() -> None:
    heads = load_heads()
    assert heads.labels == tuple(sorted(set(heads.labels)))
    assert heads.kernel.shape == (FEATURES, len(heads.labels))
    for name, array in asdict(heads).items():
        if name in {"kernel", "bias", "trust", "thresholds"}:
            assert array.shape[-1] == len(heads.labels)
            assert np.isfinite(array).all()
    assert all(0 < threshold < 1 for threshold in heads.shown_from().values())
