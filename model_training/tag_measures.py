"""Measures the tags of a model on labelled photographs: how often what is shown is right.

It flatters what has learned from these pictures: docs/models.md.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model_training.evaluation.thresholds import wilson
from model_training.photographs import Photograph, photographs, prepared
from model_training.tensorflow_runtime import load_tensorflow
from pipeline.ports import PreprocessSpec


def _scores(model: Path, pictures: list[Photograph], spec: PreprocessSpec) -> NDArray[np.float32]:
    tf = load_tensorflow()
    answer = tf.saved_model.load(str(model)).signatures["serving_default"]
    batch = 32
    batches: Iterable[NDArray[np.uint8]] = prepared(pictures, spec, batch=batch)
    total = -(-len(pictures) // batch)
    return np.concatenate(
        [answer(images=tf.constant(b))["scores"].numpy() for b in track(batches, "Scores", total=total)]
    )


def measure_tags(model: Path, console: Console) -> None:
    """Print precision and recall of the tags that the photographs have labels for, at their thresholds.

    Args:
        model: A version folder.
        console: For the table.

    Raises:
        NoPhotographsError: there are none.
    """
    extras = model / "assets.extra"
    tags = json.loads((extras / "vocabulary.json").read_text(encoding="utf-8"))["tags"]
    facts = json.loads((extras / "model.json").read_text(encoding="utf-8"))
    thresholds = {tag["slug"]: tag["threshold"] for tag in tags}
    columns = {tag["slug"]: column for column, tag in enumerate(tags)}
    text = files(__package__).joinpath("tag_measures.toml").read_text(encoding="utf-8")
    measures: dict[str, dict[str, list[str]]] = tomllib.loads(text)

    pictures = [picture for picture in photographs() if picture.collection in measures]
    scores = _scores(model, pictures, PreprocessSpec.model_validate(facts["preprocess"]))

    table = Table(title=f"{facts['name']}, vocabulary {facts['vocabulary_id']}")
    for heading in ("set", "tag"):
        table.add_column(heading)
    for heading in ("threshold", "with it", "shown", "right", "precision", "95 %", "recall"):
        table.add_column(heading, justify="right")
    for collection, truths in measures.items():
        rows = np.array([picture.collection == collection for picture in pictures])
        for slug, labels in truths.items():
            has = np.array([bool(p.labels & set(labels)) for p in pictures if p.collection == collection])
            shown = scores[rows, columns[slug]] >= thresholds[slug]
            right = int((shown & has).sum())
            low, high = wilson(right, int(shown.sum()))
            table.add_row(
                collection,
                slug,
                f"{thresholds[slug]:.2f}",
                str(int(has.sum())),
                str(int(shown.sum())),
                str(right),
                f"{right / shown.sum():.2f}" if shown.any() else "–",
                f"{low:.2f}…{high:.2f}",
                f"{right / has.sum():.2f}",
            )
    console.print(table)
    limits = np.array([tag["threshold"] for tag in tags])
    for collection in measures:
        rows = np.array([picture.collection == collection for picture in pictures])
        count = (scores[rows] >= limits).sum(axis=1)
        console.print(
            f"{collection}: {len(count)} pictures, {count.mean():.2f} tags each, "
            f"{(count == 0).mean():.0%} without any"
        )
