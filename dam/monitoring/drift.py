"""Whether the model's answers still look as they did at first: a change shows before anyone complains.

The reference is what the champion answered first in this very library, for its pictures are others than those
that the model was trained on. An import of a thousand pictures of one kind is a drift, too: the number says
that something is different, not that it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dam.monitoring.champion import champion
from dam.monitoring.recent import first_answer_since
from dam.tagging.bulk_sql import rows_read

REFERENCE_ANSWERS = RECENT_ANSWERS = 1_000
MIN_RECENT = 200
"""Of fewer answers the index is far from 0 by chance: see :func:`stability_index`."""
_BINS = 10
_PURPOSES = ["live", "shadow"]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the newest answers of a version are from its first ones."""

    version: int
    recent: int
    """Answers that were compared with the reference."""
    psi: Mapping[str, float]
    """Population stability index of ``top_score`` and of ``tags_per_picture``."""


def drift_read() -> Drift | None:
    """The champion's drift; None if it has not answered enough yet.

    Compared are its best scores (0 where nothing reached the workers' floor), and how many of its labels
    reach their thresholds, by those in force. Answers to campaigns are left out: they are about old pictures.
    """
    version = champion()
    if version is None:
        return None
    # No answer of a version is older than the version.
    begin = first_answer_since(version.created_at)
    reference = rows_read(_FIRST, version.pk, begin, _PURPOSES, REFERENCE_ANSWERS)
    if len(reference) < REFERENCE_ANSWERS:
        return None
    last = reference[-1][0]
    recent = rows_read(_NEWEST, version.pk, last, _PURPOSES, RECENT_ANSWERS)
    if len(recent) < MIN_RECENT:
        return None
    return Drift(
        version.version,
        len(recent),
        {
            name: stability_index([row[column] for row in reference], [row[column] for row in recent])
            for column, name in ((1, "top_score"), (2, "tags_per_picture"))
        },
    )


def stability_index(reference: ArrayLike, recent: ArrayLike) -> float:
    """The population stability index of credit scoring: the sum of (q - p) ln(q / p) over bins.

    p and q are the shares of the reference and of the recent values in bins between the reference's deciles
    (fewer where deciles are equal, as those of small whole numbers are). Half a value is added to each
    bin, so that an empty one has a logarithm. Rule of thumb: below 0.1 nothing happened, above 0.25 something
    did. If nothing changed its mean is about (bins - 1)(1/n + 1/m): 0.02 for a thousand against a
    thousand, 0.05 for 200.
    Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006, chapter 9; B. Yurdakul and J. Naranjo,
    "Statistical properties of the population stability index", Journal of Risk Model Validation 14 (2020).

    Args:
        reference: values, at least one.
        recent: values, at least one.

    Returns:
        0 or more.
    """
    before = np.asarray(reference, dtype=np.float64)
    edges = np.unique(np.quantile(before, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
    p, q = _shares(before, edges), _shares(np.asarray(recent, dtype=np.float64), edges)
    return float(np.sum((q - p) * np.log(q / p)))


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the values in each bin; a value that equals an edge belongs below it."""
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


_ANSWERS = """
SELECT answer.id, coalesce(answer.scores[1], 0), (
    SELECT count(*) FROM unnest(answer.tag_ids, answer.scores) AS label (tag_id, score)
    JOIN tagging_tag AS tag ON tag.id = label.tag_id AND tag.active AND label.score >= tag.threshold)
FROM (
    SELECT id, tag_ids, scores FROM tagging_prediction
    WHERE model_version_id = %s AND id {since} %s AND purpose = ANY(%s)
    ORDER BY id {order} LIMIT %s
) AS answer ORDER BY answer.id
"""
_FIRST = _ANSWERS.format(since=">=", order="ASC")
_NEWEST = _ANSWERS.format(since=">", order="DESC")
