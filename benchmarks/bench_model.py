"""What the default model costs beside its backbone alone, in turns: heads, sums of classes and embedding."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console

from model_training.default_model import build_default
from model_training.export import frozen
from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import LITE2
from model_training.tensorflow_runtime import load_tensorflow
from model_training.weights import EFFICIENTNET_LITE2, package_state

ROUNDS = 9
PICTURES = 64


def backbone(folder: Path) -> Any:
    """The folded network with its thousand logits, saved and loaded as the default model is."""
    tf = load_tensorflow()
    network = efficientnet_lite.build(LITE2)
    efficientnet_lite.load_state(LITE2, network, package_state(EFFICIENTNET_LITE2))
    folded = efficientnet_lite.folded(LITE2, network)
    signature = [tf.TensorSpec([None, LITE2.size, LITE2.size, 3], tf.uint8, name="images")]

    @tf.function(input_signature=signature)
    def answer(images: Any) -> dict[str, Any]:
        return {"logits": folded(tf.cast(images, tf.float32), training=False)[1]}

    module = tf.Module()
    module.answer = frozen(tf, answer)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})
    return tf.saved_model.load(str(folder))


def cpu_ms(answer: Callable[..., Any], pixels: Any, batch: int) -> float:
    """Processor time of a picture, all threads together."""
    began = time.process_time()
    for start in range(0, len(pixels), batch):
        answer(images=pixels[start : start + batch])
    return 1000 * (time.process_time() - began) / len(pixels)


def main() -> None:
    """Print both, and their ratio."""
    tf = load_tensorflow()
    pixels = tf.constant(np.random.default_rng(0).integers(0, 256, (PICTURES, 260, 260, 3), dtype=np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        model = build_default(Path(folder), console=Console(file=StringIO()))
        whole = tf.saved_model.load(str(model)).signatures["serving_default"]
        alone = backbone(Path(folder) / "alone").signatures["serving_default"]
        for batch in (1, 32):
            for answer in (whole, alone):
                cpu_ms(answer, pixels, batch)  # oneDNN prepares itself for each size
            pairs = [(cpu_ms(whole, pixels, batch), cpu_ms(alone, pixels, batch)) for _ in range(ROUNDS)]
            ratio = median(ours / theirs for ours, theirs in pairs)
            print(
                f"{batch} at a time, {ROUNDS} rounds in turn of {PICTURES} pictures: default model "
                f"{median(ours for ours, _ in pairs):.1f} ms of CPU a picture, its backbone alone "
                f"{median(theirs for _, theirs in pairs):.1f} ms, ratio {ratio:.2f} (target: at most 1.20)"
            )
