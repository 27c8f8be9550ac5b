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
from model_training.evaluation.calibration import (
    Calibration,
    LabelCalibration,
    load_calibration,
    save_calibration,
    sigmoid,
)
from model_training.networks.class_odds import class_log_odds, classes_of
from model_training.networks.heads import Kind, build_head
from model_training.networks.network import load_network
from model_training.serving_protos import tf

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LABELS = ("sofa", "person", "tree", "giraffe")
"""Not in the order of the alphabet; "tree" has no class that hints at it."""
FEATURES = 1280
THRESHOLDS = {"sofa": 0.55, "person": 0.35, "tree": 0.8, "giraffe": 0.5}


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
    assert heads.shown_from() == {**THRESHOLDS, "person": 0.5}  # what is likelier not there is not shown

    features = _features()
    logits = load_network(run / "network.keras")(features).numpy()
    expected = load_calibration(run / "calibration.json").scores(logits)
    odds = _log_odds(features) if kind == "class-odds" else np.zeros((len(features), len(LABELS)))
    in_order = heads.of(LABELS)
    found = sigmoid(features @ in_order.kernel + in_order.bias + in_order.trust * odds)
    assert np.abs(found - expected).max() < 1e-3
    assert (in_order.trust != 0).tolist() == [kind == "class-odds" and label != "tree" for label in LABELS]


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
        if name != "labels":
            assert array.shape[-1] == len(heads.labels)
            assert np.isfinite(array).all()
    assert all(0 < threshold < 1 for threshold in heads.shown_from().values())
