"""Takes the heads of the default model out of a run that was trained and evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import Config
from model_training.default_head import FILE, Heads, heads_file
from model_training.evaluation.calibration import load_calibration
from model_training.networks.efficientnet_lite import LITE2
from model_training.networks.network import load_network, tuned_of
from model_training.training.export import check_run
from model_training.training.run_folder import CALIBRATION, NETWORK, RunError
from model_training.training.steps import value_of
from model_training.vocabulary import CurationError, build_vocabulary, hint_classes, with_heads

_SHOWN_FROM = 0.5
"""At least. A tag that a set names only where it is, and never where it is not, looks likelier than it is."""

_SHOWS_AT_LEAST = 0.3
"""Of the pictures that have the tag. Above 0.5 a threshold promises that nine of ten are right; a promise
that is kept by hiding nearly all of them is not worth it, and 0.5 stays."""


def heads_of(run: Path) -> Heads:
    """The heads of a run with its calibration folded into them.

    ``scale · (x · kernel + bias + trust · odds) + offset`` is a regression of the same form.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: it was not trained and evaluated, its backbone is another one than the default model's or
            was trained too, its head is of another kind, or the vocabulary has no place for its labels.
    """
    facts = check_run(run)
    _check_network(run, facts.config)
    calibration = load_calibration(run / CALIBRATION).labels
    recall = _recall(run)
    _check_labels(run, {label: calibration[label].threshold for label in facts.labels})
    network = load_network(run / NETWORK)
    head, tuned = network.get_layer("head"), tuned_of(network)
    regression = head.get_layer("logits")
    kernel, bias = value_of(regression.kernel), value_of(regression.bias)
    trust = (
        _trust(run, head, facts.labels) if facts.config.network.head == "class-odds" else np.zeros_like(bias)
    )

    order = sorted(range(len(facts.labels)), key=lambda position: facts.labels[position])
    labels = tuple(facts.labels[position] for position in order)
    scale = np.array([calibration[label].scale for label in labels])
    offset = np.array([calibration[label].offset for label in labels])
    return Heads(
        labels,
        (kernel[:, order] * scale).astype(np.float32),
        (bias[order] * scale + offset).astype(np.float32),
        (trust[order] * scale).astype(np.float32),
        np.array(
            [_shown_from(calibration[label].threshold, recall.get(label)) for label in labels], np.float32
        ),
        *((0.0, {}) if tuned is None else (_share(facts.config), _upper(tuned))),
    )


def take_heads(run: Path, folder: Path) -> Path:
    """Write the file that the default model is built with.

    Raises:
        ConfigError: as :func:`heads_of`.
        RunError: as :func:`heads_of`.
    """
    content = heads_file(heads_of(run))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_bytes(content)
    return path


def _shown_from(threshold: float, recall: float | None) -> float:
    return threshold if threshold > _SHOWN_FROM and (recall or 0.0) >= _SHOWS_AT_LEAST else _SHOWN_FROM


def _recall(run: Path) -> dict[str, float | None]:
    """Of each label at its threshold, on pictures that its head had not seen."""
    path = run / "evaluation" / "metrics.json"
    if not path.exists():
        raise RunError(f"{run}: evaluate the run first")
    measured = json.loads(path.read_text(encoding="utf-8"))
    return {label["label"]: label["recall"] for label in measured["per_label"]}


def _check_network(run: Path, config: Config) -> None:
    """Refuse heads on other features than the default model has."""
    network = config.network
    as_shipped = network.backbone == LITE2.name and network.weights == "package"
    if not as_shipped or config.training.fine_tune.epochs or config.input.size != LITE2.size:
        raise RunError(
            f"{run}: the default model's backbone is {LITE2.name} at {LITE2.size} pixels with the weights of "
            "its package, not fine-tuned"
        )
    if network.head not in {"linear", "class-odds"}:
        raise RunError(f"{run}: the default model's heads are linear or class-odds, these are {network.head}")


def _share(config: Config) -> float:
    assert config.training.tuned is not None
    return config.training.tuned.share


def _upper(tuned: Any) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernel and bias of the convolutions in the copies of the backbone's last blocks."""
    layers = tuned.get_layer("upper").layers
    kept = {layer.name: [value_of(weight) for weight in layer.weights] for layer in layers if layer.weights}
    return {name: (kernel, bias) for name, (kernel, bias) in kept.items()}


def _check_labels(run: Path, thresholds: dict[str, float]) -> None:
    try:
        with_heads(build_vocabulary(), thresholds)
    except CurationError as error:
        raise RunError(f"{run}: {error}") from error


def _trust(run: Path, head: Any, labels: tuple[str, ...]) -> NDArray[np.float32]:
    """How far each label trusts its classes, 0 where it has none."""
    layer = head.get_layer("class_odds")
    membership = value_of(layer.membership)
    if not np.array_equal(membership, hint_classes(build_vocabulary(), labels, len(membership))):
        raise RunError(f"{run}: other classes hint at its labels today than when it was trained: train again")
    return value_of(layer.trust) * membership.any(axis=0)
