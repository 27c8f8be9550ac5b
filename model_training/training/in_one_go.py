"""The first phase in one go: the head fitted by a regression, then copies of the last blocks tuned for it."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from model_training.config import Config
from model_training.networks.network import Network
from model_training.training.examples import Features, Learnable
from model_training.training.regression import fit_head, log_odds
from model_training.training.tuning import Lesson, maps_below, tune


def fit_in_one_go(
    network: Network, of: Learnable, config: Config, features: Features, console: Console
) -> float:
    """Give the head, and the copies of the backbone's last blocks where there are some, their weights.

    Args:
        network: With the backbone's weights.
        of: The pictures.
        config: Asks for ``training.regression``, perhaps for ``training.tuned``.
        features: Of all these pictures.
        console: For progress.

    Returns:
        The loss of the regression.
    """
    wanted, rows = config.training.regression, of.training
    assert wanted is not None
    with console.status("Fitting the head"):
        fitted = fit_head(
            network.head,
            features.of(rows),
            of.targets[rows],
            of.known[rows],
            sources=[of.sources[row] for row in rows.tolist()],
            config=wanted,
        )
    if network.tuned is not None:
        every = features.of(np.arange(len(of.pixels)))
        assert of.store is not None  # a regression is not distributed
        below = maps_below(network.backbone, of.pixels, config, of.store, console)
        lesson = Lesson(below, every, log_odds(network.head, every), of.targets, of.known, of.sources)
        with console.status("Tuning copies of the last blocks"):
            tune(network.tuned, fitted, lesson, rows, config)
    return fitted.loss
