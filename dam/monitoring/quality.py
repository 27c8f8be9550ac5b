"""How good the tags are, as far as people have said.

Only *reviews* count: a person accepted or rejected a tag that a model had proposed and still would, with the
thresholds in force. What people added themselves says nothing of a proposal, and what was undone is no
model's any more. People judge what they happen to look at, so these are numbers about what was judged, not
about the library: they are for watching a change, and each is left out where too little was said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from dam.monitoring.champion import champion
from dam.tagging.bulk_sql import rows_read
from dam.tagging.claims import LIVE_PURPOSES

WINDOW = timedelta(days=90)
MOST_REVIEWS = 20_000
"""Of each model version the newest that are looked at: a hundred people who review cost no more."""
MIN_REVIEWS = 20
MOST_TAGS = 50
"""With a value of their own: each is a time series."""
MIN_TAG_REVIEWS = 5
MIN_CALIBRATION_REVIEWS = 50
_BINS = 10
# A share of fewer verdicts is so far from the truth by chance that even perfect scores would look wrong.
_MIN_OF_A_BIN = 20


@dataclass(frozen=True, slots=True)
class TagReviews:
    """What people said of one tag."""

    slug: str
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares are from 0 to 1; None where there is too little to tell."""

    accepted: int
    rejected: int
    precision: float | None
    """Accepted of all reviews."""
    tags: tuple[TagReviews, ...]
    """The tags that were judged most, each often enough."""
    other_accepted: int
    """Of all other tags together."""
    other_rejected: int
    calibration_error: float | None
    """Of the champion's scores."""
    auto_accepted_share: float | None
    """Of the tags that people see: those that nobody has judged."""
    reviewed_share: float | None
    """Of the tagged pictures: those on which somebody judged a tag."""


def quality_read() -> Quality:
    """Read the reviews of the last 90 days, and how much of the library nobody has judged."""
    serving = champion()
    reviews = rows_read(_REVIEWS, timezone.now() - WINDOW, MOST_REVIEWS, list(LIVE_PURPOSES))
    accepted: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for slug, is_accepted, _, _ in reviews:
        (accepted if is_accepted else rejected)[slug] += 1
    tags = _most_judged(accepted, rejected)
    of_champion = [
        (score, right) for _, right, score, version in reviews if serving and version == serving.pk
    ]
    total_accepted, total_rejected = accepted.total(), rejected.total()
    ((suggested, confirmed, tagged, reviewed),) = rows_read(_SHARES)
    return Quality(
        accepted=total_accepted,
        rejected=total_rejected,
        precision=total_accepted / len(reviews) if len(reviews) >= MIN_REVIEWS else None,
        tags=tags,
        other_accepted=total_accepted - sum(tag.accepted for tag in tags),
        other_rejected=total_rejected - sum(tag.rejected for tag in tags),
        calibration_error=calibration_error(of_champion),
        auto_accepted_share=suggested / (suggested + confirmed) if suggested + confirmed else None,
        reviewed_share=reviewed / tagged if tagged else None,
    )


def calibration_error(reviews: Sequence[tuple[float, bool]]) -> float | None:
    """The expected calibration error: by how much the share that is right differs from the score, on average.

    The scores are put into ten bins of equal mass, fewer where a bin would hold less than 20 of them; bins
    of equal width would leave most of them empty, since only scores above a threshold are ever judged.
    Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML
    2017; K. Nguyen and B. O'Connor, "Posterior calibration and exploratory analysis for natural language
    processing models", EMNLP 2015, for bins of equal mass.

    Args:
        reviews: score of the model, and whether people said that it is right.

    Returns:
        From 0 to 1, or None for fewer than 50 reviews.
    """
    if len(reviews) < MIN_CALIBRATION_REVIEWS:
        return None
    scores = np.array([score for score, _ in reviews])
    right = np.array([right for _, right in reviews], dtype=np.float64)
    place = np.searchsorted(_edges(scores), scores, side="right")
    of_bin = np.bincount(place)
    filled = of_bin > 0
    difference = np.bincount(place, weights=right - scores)
    # |mean(right) - mean(score)| of a bin, weighted by its share of the reviews.
    return float(np.abs(difference[filled]).sum() / len(reviews))


def _edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between bins of equal mass; equal scores fall into one bin."""
    bins = min(_BINS, len(scores) // _MIN_OF_A_BIN)
    return np.quantile(scores, np.arange(1, bins) / bins)


def _most_judged(accepted: Counter[str], rejected: Counter[str]) -> tuple[TagReviews, ...]:
    enough = {slug: number for slug, number in (accepted + rejected).items() if number >= MIN_TAG_REVIEWS}
    most = sorted(enough, key=lambda slug: (-enough[slug], slug))[:MOST_TAGS]
    return tuple(TagReviews(slug, accepted[slug], rejected[slug]) for slug in most)


# The answer that the person saw, or one like it: the version's newest before the decision.
_REVIEWS = """
SELECT tag.slug, review.verdict = 'accepted', answer.score, model.id
FROM tagging_modelversion AS model
CROSS JOIN LATERAL (
    SELECT asset_id, tag_id, verdict, decided_at FROM tagging_decision
    WHERE model_version_id = model.id AND verdict IN ('accepted', 'rejected') AND decided_at > %s
    ORDER BY decided_at DESC LIMIT %s
) AS review
JOIN tagging_tag AS tag ON tag.id = review.tag_id
CROSS JOIN LATERAL (
    SELECT scores[array_position(tag_ids, review.tag_id)] AS score FROM tagging_prediction
    WHERE model_version_id = model.id AND asset_id = review.asset_id AND purpose = ANY(%s)
    AND created_at <= review.decided_at
    ORDER BY generation DESC LIMIT 1
) AS answer
WHERE model.withdrawn_at IS NULL AND answer.score >= tag.threshold
"""
# The claims by their index: they are many, and their rows wide.
_SHARES = """
WITH claims AS (SELECT state, count(*) AS number FROM tagging_claim GROUP BY state)
SELECT coalesce((SELECT number FROM claims WHERE state = 'suggested'), 0),
    coalesce((SELECT number FROM claims WHERE state = 'accepted'), 0),
    (SELECT count(*) FROM assets_asset) - (SELECT count(*) FROM assets_asset WHERE NOT state = 'tagged'),
    (SELECT count(*) FROM (SELECT DISTINCT asset_id FROM tagging_decision) AS judged
        JOIN assets_asset AS asset ON asset.id = judged.asset_id AND asset.state = 'tagged')
"""
