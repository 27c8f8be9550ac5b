"""Refuses what cannot be trained, before anything slow begins."""

from __future__ import annotations

from model_training.config import Config, ConfigError
from model_training.datasets.prepared import Prepared
from model_training.networks.backbones import LITE
from model_training.networks.class_odds import check_classes
from model_training.training.examples import is_random


def check(config: Config, prepared: Prepared) -> None:
    """Refuse what cannot be trained, before TensorFlow is loaded.

    Raises:
        ConfigError: nothing to do, or no pictures to learn from.
    """
    check_regression(config)
    training = config.training
    if not training.regression and training.head.epochs + training.fine_tune.epochs == 0:
        raise ConfigError("training: both phases have 0 epochs, so there is nothing to train")
    if not len(prepared.rows("train")):
        raise ConfigError(f"{prepared.folder} has no pictures to learn from: lower data.split's shares")


def check_regression(config: Config) -> None:
    """Refuse what a head that is fitted in one go, or one that reads the backbone's classes, cannot follow.

    Raises:
        ConfigError: the configuration asks for both.
    """
    training, head = config.training, config.network.head
    if head == "class-odds":
        check_classes(config.network.backbone, config.network.weights)
    if head == "class-odds" and training.fine_tune.epochs:
        raise ConfigError(
            "network.head: class-odds reads the classes that the backbone was trained for, and fine-tuning "
            "makes it forget them: set training.fine_tune.epochs to 0"
        )
    if training.tuned and (not training.regression or config.network.backbone not in LITE):
        raise ConfigError(
            f"training.tuned copies blocks of {' or '.join(LITE)}, for a head of training.regression"
        )
    if training.tuned and training.fine_tune.epochs:
        raise ConfigError(
            "training.tuned does not go with training.fine_tune.epochs: the copies are tuned alone"
        )
    if training.tuned and training.mixed_precision != "none":
        raise ConfigError(
            f"training.tuned does not go with training.mixed_precision: {training.mixed_precision}"
        )
    if training.regression is None:
        return
    for place, asked, possible in (
        ("network.head", head, ("linear", "class-odds")),
        ("network.dropout", config.network.dropout, (0.0,)),
        ("loss.kind", config.loss.kind, ("bce",)),
        ("loss.class_weights", config.loss.class_weights, ("none",)),
        ("loss.label_smoothing", config.loss.label_smoothing, (0.0,)),
        ("input.sampling", config.input.sampling, ("uniform",)),
        ("input.augment", is_random(config.input.augment), (False,)),
        ("training.distribute", training.distribute, ("none",)),
    ):
        if asked not in possible:
            raise ConfigError(f"training.regression does not go with {place}: {asked}")
