"""From pictures to a run's folder, and from that to a version that can be served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from model_training.config import Config, ConfigError, load_config
from model_training.datasets.prepare import prepare
from model_training.datasets.prepared import Prepared
from model_training.evaluation.calibration import Calibration, LabelCalibration, save_calibration
from model_training.networks.network import load_network
from model_training.projection import load_projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.card import write_card
from model_training.training.export import check_run, export_run, version_folder
from model_training.training.run import plan, train
from model_training.training.run_folder import RunError, read_projection, save_projection
from tests.plugins.toy_pictures import LABELS, ToyPictures

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 32


@dataclass
class Noted:
    """A tracker that remembers."""

    noted: dict[str, object] = field(default_factory=dict)
    measured: list[tuple[int | None, dict[str, float]]] = field(default_factory=list)
    tagged: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def params(self, values: Mapping[str, object]) -> None:
        self.noted.update(values)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.measured.append((step, dict(values)))

    def artifact(self, path: Path, folder: str = "") -> None:
        assert path.is_file()
        self.files.append(path.name)

    def tags(self, values: Mapping[str, str]) -> None:
        self.tagged.update(values)


@dataclass
class Trained:
    folder: Path
    config: Config
    prepared: Prepared
    tracker: Noted
    said: str


def toy_config(toy: ToyPictures, **changes: Any) -> Config:
    content = {
        "name": "toy-shapes",
        "data": {"sources": [{"kind": "coco", "images": toy.images, "annotations": toy.coco}]},
        "input": {"size": SIZE, "batch": 16, "sampling": "balanced"},
        "network": {"backbone": "efficientnet-lite0", "weights": "random", "head": "linear"},
        "loss": {"kind": "asymmetric", "class_weights": "effective"},
        "training": {
            "head": {"epochs": 2, "learning_rate": 0.01},
            "fine_tune": {"epochs": 0, "learning_rate": 1e-4},
            "mixed_precision": "bfloat16",
        },
        "tracking": {"registered_model": "toys"},
        "card": {"licence": "CC0-1.0", "data": "Shapes drawn by a test.", "limits": ["knows four shapes"]},
    }
    return Config.model_validate({**content, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_pictures: ToyPictures) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    config, tracker = toy_config(toy_pictures), Noted()
    prepared = prepare(config, folder / "prepared", Console(quiet=True))
    console = Console(record=True, width=200, quiet=False, file=(folder / "said").open("w"))
    train(config, prepared, folder / "run", tracker, console)
    console.file.close()
    return Trained(folder / "run", config, prepared, tracker, console.export_text())


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """The run, calibrated by hand, to spoil."""
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    labels = {
        label: LabelCalibration(1.5, -0.25 * column, 0.1 * (column + 1), column != 3, 9, 11, None)
        for column, label in enumerate(trained.prepared.labels)
    }
    save_calibration(folder / "calibration.json", Calibration(labels))
    return folder


def test_the_folder_of_a_run_says_what_it_was_made_of(trained: Trained) -> None:
    def content(name: str) -> Any:
        return json.loads((trained.folder / name).read_text())

    assert load_config(trained.folder / "config.yaml") == trained.config
    assert content("labels.json") == {"labels": list(trained.prepared.labels), "names": LABELS}
    data = content("data.json")
    assert data["data_hash"] == trained.prepared.data_hash
    assert sum(data["counts"].values()) == 80
    history = content("history.json")
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert all(np.isfinite(entry["loss"]) for entry in history)


def test_the_tracker_is_told_parameters_epochs_and_the_data(trained: Trained) -> None:
    tracker = trained.tracker
    assert tracker.noted["loss.kind"] == "asymmetric"
    assert tracker.tagged["data_hash"] == trained.prepared.data_hash
    assert [step for step, _ in tracker.measured] == [1, 2]
    assert all(set(values) == {"loss", "learning_rate", "validation_map"} for _, values in tracker.measured)
    assert {"config.yaml", "history.json", "model_card.md"} <= set(tracker.files)


def test_random_weights_are_said_to_be_random(trained: Trained) -> None:
    assert "The weights of efficientnet-lite0 are random" in trained.said
    assert any("RANDOM" in line for line in plan(trained.config, trained.prepared))


def test_a_network_that_learned_in_half_precision_is_kept_in_float32(trained: Trained) -> None:
    network = load_network(trained.folder / "network.keras")
    assert {layer.compute_dtype for layer in network.get_layer("backbone").layers} == {"float32"}
    features, logits = network(np.zeros((1, SIZE, SIZE, 3), np.float32))
    assert (features.shape, logits.shape) == ((1, 1280), (1, 4))


def test_the_projection_of_another_backbone_is_its_own_with_embeddings_of_the_same_length(
    trained: Trained,
) -> None:
    projection = read_projection(trained.folder, trained.config)
    assert projection.components.shape == (1280, 320)
    assert projection.id.startswith("efficientnet-lite0-pca320-")


def test_the_shipped_projection_keeps_its_id_in_a_run(tmp_path: Path, toy_pictures: ToyPictures) -> None:
    config = toy_config(toy_pictures, network={"backbone": "efficientnet-lite2"})
    save_projection(load_projection(), tmp_path)
    assert read_projection(tmp_path, config).id == load_projection().id


def test_a_run_is_not_trained_over(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run already"):
        train(trained.config, trained.prepared, trained.folder, Noted(), Console(quiet=True))


def test_nothing_to_train_is_an_error_before_anything_is_written(
    trained: Trained, toy_pictures: ToyPictures, tmp_path: Path
) -> None:
    idle = {phase: {"epochs": 0, "learning_rate": 0.1} for phase in ("head", "fine_tune")}
    with pytest.raises(ConfigError, match="nothing to train"):
        train(toy_config(toy_pictures, training=idle), trained.prepared, tmp_path / "run", Noted(), Console())
    assert not (tmp_path / "run").exists()


def test_an_exported_run_answers_with_calibrated_scores_and_the_words_of_its_labels(
    run: Path, trained: Trained, tmp_path: Path
) -> None:
    folder = export_run(run, tmp_path / "models", Console(quiet=True))
    assert folder == tmp_path / "models" / "toys" / "1"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    tf = load_tensorflow()
    pixels = np.random.default_rng(5).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    loaded = tf.saved_model.load(str(folder))
    found = loaded.signatures["serving_default"](images=tf.constant(pixels))
    _, logits = load_network(run / "network.keras")(pixels.astype(np.float32))
    expected = 1 / (1 + np.exp(-(1.5 * logits.numpy() - 0.25 * np.arange(4))))
    assert found["scores"].numpy() == pytest.approx(expected, abs=1e-4)
    projection = read_projection(run, trained.config)
    assert found["embedding"].shape == (3, 320)

    extras = folder / "assets.extra"
    facts = json.loads((extras / "model.json").read_text())
    assert facts["name"] == "toy-shapes"
    assert facts["preprocess_id"] == f"opencv-area-squash-{SIZE}-1"
    assert facts["embedding_id"] == projection.id
    tags = json.loads((extras / "vocabulary.json").read_text())["tags"]
    assert [(tag["slug"], tag["name"]) for tag in tags] == [(s, LABELS[s]) for s in trained.prepared.labels]
    assert [tag["threshold"] for tag in tags] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    card = (extras / "model_card.md").read_text()
    assert card == (run / "model_card.md").read_text()
    assert "CC0-1.0" in card
    assert (
        f"Too few pictures to calibrate, so scores are no probabilities: {trained.prepared.labels[3]}" in card
    )


def test_versions_count_on_and_never_change(run: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "toys" / "7").mkdir(parents=True)
    with pytest.raises(RunError, match="is there already"):
        export_run(run, tmp_path / "models", Console(quiet=True), version=7)
    assert version_folder(check_run(run), tmp_path / "models", None).name == "8"


def test_a_run_without_calibration_is_not_exported(trained: Trained, run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not calibrated"):
        export_run(trained.folder, tmp_path / "models", Console(quiet=True))
    assert not (tmp_path / "models").exists()
    others = Calibration({"cat": LabelCalibration(1, 0, 0.5, True, 9, 11, None)})
    save_calibration(run / "calibration.json", others)
    with pytest.raises(RunError, match="other labels than the run"):
        check_run(run)


def test_a_run_that_has_not_ended_is_not_exported(run: Path, tmp_path: Path) -> None:
    (run / "network.keras").unlink()
    with pytest.raises(RunError, match=r"no network\.keras yet"):
        check_run(run)
    with pytest.raises(RunError, match=r"labels\.json is missing"):
        check_run(tmp_path)


def test_the_card_tells_measures_once_there_are_some(run: Path, trained: Trained) -> None:
    assert "Not measured yet" in write_card(run).read_text()
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    measures = {
        "pictures": 12,
        "labels": 4,
        "labels_measured": 3,
        "map": interval,
        "micro_f1": {**interval, "low": None, "high": None},
        "macro_f1": {"value": None, "low": None, "high": None},
        "calibration": {"mean_error": 0.031},
        "accuracy": 0.9,
        "accuracy_all_negative": 0.8,
    }
    (run / "evaluation").mkdir()
    (run / "evaluation" / "metrics.json").write_text(json.dumps(measures))
    card = write_card(run).read_text()
    assert "| mean average precision | 0.500 (0.400 to 0.600) |" in card
    assert "| micro F1 at the thresholds | 0.500 |" in card
    assert "| macro F1 at the thresholds | not measured |" in card
    assert "| accuracy (never showing anything: 0.800) | 0.900 |" in card
    assert trained.prepared.data_hash in card
