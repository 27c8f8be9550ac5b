"""The heads of the default model: what ImageNet's classes cannot say, people and scenes, or say badly.

For each tag a logistic regression on 1,280 features, the mean of the backbone's own and of those that tuned
copies of its last blocks give, and on the log-odds of what the backbone's own classes say of the tag, with
the calibration of its run folded into it. Trained by ``python -m model_training train`` on labelled
photographs and taken out of the run by ``take-heads``.
What they were trained on: ``model_card.md`` beside this file; what they reach: docs/models.md.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "efficientnet-lite2-photographs.npz"
CARD = "model_card.md"
_SOURCE = "photographs"
_THRESHOLD_DIGITS = 4
_SHARE, _NAMES, _UPPER = "share", "upper", "upper/"


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Score of a tag = sigmoid(read · kernel + bias + trust · log-odds), a probability.

    What is read: (1 - share) · the backbone's features + share · those of tuned copies of its last blocks.
    The log-odds are those of ``model_training.networks.class_odds.class_log_odds``: that the picture shows
    any of the classes that hint at the tag, 0 where none does.
    """

    labels: tuple[str, ...]
    """The tags, as slugs, in the order of the alphabet."""
    kernel: NDArray[np.float32]
    """``[features, labels]``"""
    bias: NDArray[np.float32]
    """``[labels]``"""
    trust: NDArray[np.float32]
    """``[labels]``: 0 where no class hints at the tag."""
    thresholds: NDArray[np.float32]
    """``[labels]``: the score from which on a tag is shown."""
    share: float = 0.0
    """Of the tuned features."""
    upper: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=dict)
    """Kernel and bias of each convolution in the copies, by their names in the backbone."""

    def shown_from(self) -> dict[str, float]:
        """The threshold of each tag."""
        # Rounded, because people read it: 0.35 and not 0.3499999940395355.
        rounded = (round(float(threshold), _THRESHOLD_DIGITS) for threshold in self.thresholds)
        return dict(zip(self.labels, rounded, strict=True))

    def of(self, labels: tuple[str, ...]) -> Heads:
        """Those of some tags, in another order.

        Raises:
            KeyError: there is no head for one of them.
        """
        column = {label: position for position, label in enumerate(self.labels)}
        order = [column[label] for label in labels]
        return replace(
            self,
            labels=labels,
            kernel=self.kernel[:, order],
            bias=self.bias[order],
            trust=self.trust[order],
            thresholds=self.thresholds[order],
        )


def read_heads(content: bytes) -> Heads:
    """What a file of :func:`heads_file` holds."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        numbers = {
            name: arrays[name].astype(np.float32) for name in ("kernel", "bias", "trust", "thresholds")
        }
        upper = {
            name: (arrays[f"{_UPPER}{name}/kernel"].astype(np.float32), arrays[f"{_UPPER}{name}/bias"])
            for name in (map(str, arrays[_NAMES]) if _NAMES in arrays else ())
        }
        share = float(arrays[_SHARE]) if upper else 0.0
        return Heads(tuple(map(str, arrays["labels"])), share=share, upper=upper, **numbers)


def heads_file(heads: Heads) -> bytes:
    """The file that is shipped: kernels as float16, which is exact to a thousandth of a weight.

    Heads that read the backbone's own features alone leave out whatever says of copies.
    """
    content = io.BytesIO()
    upper: dict[str, Any] = {}
    if heads.upper:
        upper = {_SHARE: np.float32(heads.share), _NAMES: np.array(list(heads.upper), np.str_)}
    for name, (kernel, bias) in heads.upper.items():
        upper[f"{_UPPER}{name}/kernel"] = kernel.astype(np.float16)
        upper[f"{_UPPER}{name}/bias"] = bias.astype(np.float32)
    np.savez_compressed(
        content,
        labels=np.array(heads.labels),
        kernel=heads.kernel.astype(np.float16),
        bias=heads.bias.astype(np.float32),
        trust=heads.trust.astype(np.float32),
        thresholds=heads.thresholds.astype(np.float32),
        **upper,
    )
    return content.getvalue()


def load_heads() -> Heads:
    """The heads that are shipped with the package."""
    return read_heads(_shipped())


def heads_id() -> str:
    """Names the content of the file that is shipped: other weights are other heads."""
    return f"{_SOURCE}-{hashlib.sha256(_shipped()).hexdigest()[:12]}"


def _shipped() -> bytes:
    return files(__package__).joinpath(FILE).read_bytes()


def model_card() -> str:
    """The model card of the default model, Markdown."""
    return files(__package__).joinpath(CARD).read_text(encoding="utf-8")
