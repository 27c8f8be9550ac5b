"""Random changes of training pictures, inside TensorFlow's graph.

Every draw is stateless: it follows from the seed that is handed in, so the same batch is changed the same way
whenever and wherever it is made.
"""

from __future__ import annotations

import math
from typing import Any

from model_training.config import Augment
from model_training.tensorflow_runtime import load_tensorflow

_TALLEST, _WIDEST = 3 / 4, 4 / 3  # proportions of a crop, relative to the picture's
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_KINDS = ("flip", "area", "shape", "left", "top", "angle", "brightness", "contrast", "saturation")


def augmented(images: Any, augment: Augment, seed: Any) -> Any:
    """Flip, crop, rotate and recolour each picture of a batch by draws of its own.

    Drawn are a crop's area from ``augment.crop`` to 1 and its proportions from 3:4 to 4:3 (Szegedy et al.
    2015, arXiv:1409.4842), an angle from -``rotate_degrees`` to +``rotate_degrees``, and factors for
    brightness, contrast and saturation from 1 - ``colour`` to 1 + ``colour``. What a rotation brings in from
    outside is the picture mirrored at its edge.

    Args:
        images: float32 ``[B, H, W, 3]`` of 0…255.
        augment: What is done.
        seed: int32 ``[2]``.

    Returns:
        float32 ``[B, H, W, 3]`` of 0…255.
    """
    tf = load_tensorflow()
    draws = tf.random.stateless_uniform([len(_KINDS), tf.shape(images)[0]], seed)
    drawn = dict(zip(_KINDS, tf.unstack(draws, num=len(_KINDS)), strict=True))
    if augment.flip or augment.crop < 1 or augment.rotate_degrees:
        images = _moved(tf, images, augment, drawn)
    if augment.colour:
        images = _recoloured(tf, images, augment.colour, drawn)
    return images


def _moved(tf: Any, images: Any, augment: Augment, drawn: dict[str, Any]) -> Any:
    """One resampling for everything that moves pixels, so that none is blurred twice."""
    shape = tf.shape(images)
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    ones = tf.ones_like(drawn["flip"])

    area = augment.crop + (1 - augment.crop) * drawn["area"]
    low, high = (math.log(_TALLEST), math.log(_WIDEST)) if augment.crop < 1 else (0.0, 0.0)
    proportion = tf.exp(low + (high - low) * drawn["shape"])
    across = tf.minimum(tf.sqrt(area * proportion), 1.0)
    down = tf.minimum(tf.sqrt(area / proportion), 1.0)
    centre_x = (width - 1) / 2 + (drawn["left"] - 0.5) * (1 - across) * width
    centre_y = (height - 1) / 2 + (drawn["top"] - 0.5) * (1 - down) * height
    mirror = tf.where(drawn["flip"] < 0.5, -ones, ones) if augment.flip else ones
    angle = math.radians(augment.rotate_degrees) * (2 * drawn["angle"] - 1)
    cosine, sine = tf.cos(angle), tf.sin(angle)

    # Where the pixel (x, y) of the result comes from: about the middle, mirrored, shrunk, turned, moved.
    a, b = across * mirror * cosine, -down * sine
    d, e = across * mirror * sine, down * cosine
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    c = centre_x - a * middle_x - b * middle_y
    f = centre_y - d * middle_x - e * middle_y
    zeros = tf.zeros_like(ones)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zeros, zeros], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _recoloured(tf: Any, images: Any, strength: float, drawn: dict[str, Any]) -> Any:
    def factor(kind: str) -> Any:
        return (1 + strength * (2 * drawn[kind] - 1))[:, tf.newaxis, tf.newaxis, tf.newaxis]

    grey = tf.reduce_sum(images * tf.constant(_LUMA), axis=3, keepdims=True)
    images = grey + (images - grey) * factor("saturation")
    mean = tf.reduce_mean(grey, axis=[1, 2], keepdims=True)
    images = (mean + (images - mean) * factor("contrast")) * factor("brightness")
    return tf.clip_by_value(images, 0.0, 255.0)


def mixed(images: Any, targets: Any, known: Any, alpha: float, seed: Any) -> tuple[Any, Any, Any]:
    """Blend each picture and its targets with those of another (mixup, Zhang et al. 2018, arXiv:1710.09412).

    A label of the blend is known only where it is known of both pictures: half an unknown is unknown.

    Args:
        images: float32 ``[B, H, W, 3]``.
        targets: float32 ``[B, labels]``.
        known: float32 ``[B, labels]``.
        alpha: Of the beta distribution of the shares.
        seed: int32 ``[2]``.

    Returns:
        The blends, in the shapes of what went in.
    """
    tf = load_tensorflow()
    size = tf.shape(images)[0]
    other_seed = tf.random.experimental.stateless_fold_in(seed, 1)  # not that of the changes before
    # Two gamma draws make a beta draw.
    first, second = tf.unstack(tf.random.stateless_gamma([2, size], other_seed, alpha=alpha), num=2)
    # With a small α both draws may be too small for a float: then the first picture stays as it is.
    share = tf.where(first + second > 0, first / (first + second), tf.ones_like(first))
    # The order of the batch is random already, so the neighbour is anybody.
    other = tf.roll(tf.range(size), 1, axis=0)
    of_image, of_row = share[:, tf.newaxis, tf.newaxis, tf.newaxis], share[:, tf.newaxis]
    return (
        of_image * images + (1 - of_image) * tf.gather(images, other),
        of_row * targets + (1 - of_row) * tf.gather(targets, other),
        known * tf.gather(known, other),
    )
