"""A run and its exported version as training, evaluation and export leave them, written in a moment."""

from __future__ import annotations

import json
from pathlib import Path

from tests.plugins.tiny_models import LABELS, SIDE, write_tiny_model

CONFIG = """\
name: toy
data:
  sources: [{kind: folder, folder: pictures}]
tracking:
  experiment: toys
  registered_model: toy-tagger
"""
DATA_HASH = "d" * 64
COMMIT = "c" * 40

MEASURED = {
    "map": {"value": 0.75, "low": 0.7, "high": 0.8},
    **{name: {"value": None} for name in ("map_frequent", "micro_f1", "macro_f1", "recall_at_precision")},
    **dict.fromkeys(("micro_precision", "micro_recall", "accuracy", "accuracy_all_negative"), 0.9),
    "calibration": {"pooled_error": 0.04, "mean_error": 0.05},
    "precision_at": {"1": {"value": 0.5}},
}
"""As much of an evaluation as a registration looks at."""


def write_finished_run(folder: Path) -> Path:
    """A run folder without its network, which a registration does not look at."""
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "data.json").write_text(json.dumps({"data_hash": DATA_HASH, "git_commit": COMMIT}))
    (folder / "evaluation" / "metrics.json").write_text(json.dumps(MEASURED))
    (folder / "model_card.md").write_text("# toy\n\nA model for tests.\n")
    return folder


def write_exported_version(folder: Path, answer: float) -> Path:
    """A version folder of a tiny model with the facts that an export writes beside it."""
    write_tiny_model(folder, answer)
    facts = {
        "name": "toy",
        "preprocess_id": f"test-{SIDE}",
        "vocabulary_id": f"vocabulary-{answer}",
        "embedding_id": "embedding-2",
        "preprocess": {"id": f"test-{SIDE}", "width": SIDE, "height": SIDE},
        "labels": len(LABELS),
        "embedding": 2,
    }
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "model.json").write_text(json.dumps(facts))
    return folder
