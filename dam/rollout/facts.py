"""What a comparison of two versions rests on: their answers on the same pictures, and what people decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User

from dam.assets.selectors import assets_visible_to
from dam.tagging.bulk_sql import rows_read
from dam.tagging.derive import derive
from dam.tagging.models import Decision, ModelVersion, Tag
from dam.tagging.vocabulary import Vocabulary, vocabulary

MOST_PICTURES = 5_000


@dataclass(frozen=True, slots=True)
class Answers:
    """What one version says of each picture, by the id of its asset, with the thresholds in force."""

    version: ModelVersion
    shown: Mapping[int, frozenset[int]]
    """Tags that people would see, if nobody had decided anything."""
    said: Mapping[int, frozenset[int]]
    """The same with all that lies above them in the vocabulary: what the picture is found by."""
    predict_ms: tuple[float, ...]
    """Of the answers whose time is known."""


@dataclass(frozen=True, slots=True)
class TagName:
    """How a tag is called."""

    id: int
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that :func:`dam.rollout.comparison.compare` needs."""

    champion: Answers
    challenger: Answers
    assets: tuple[int, ...]
    """On whose current file both answered."""
    is_cut: bool
    """There are more such assets; those that people decided on come first, then the newest."""
    decisions: tuple[tuple[int, int, bool], ...]
    """Asset, tag, and whether people say that it is right."""
    left_out: int
    """Decisions on tags that neither version knows: it gave them no score on any of the pictures."""
    tags: Mapping[int, TagName]
    visible: frozenset[int]
    """Assets that may be named as samples."""


def facts_read(*, champion: ModelVersion, challenger: ModelVersion, user: User | None) -> Facts:
    """Read what is known of two versions.

    Args:
        champion: the one that the other is compared with.
        challenger: the other.
        user: who will see sample pictures; None: nobody.
    """
    rows = rows_read(_BOTH_ANSWERED, challenger.pk, champion.pk, MOST_PICTURES + 1)
    assets = tuple(asset_id for (asset_id,) in rows[:MOST_PICTURES])
    words = vocabulary()
    known: set[int] = set()
    one, other = (_answers(version, assets, words, known) for version in (champion, challenger))
    verdicts = rows_read(_VERDICTS, list(assets))
    decisions = tuple(
        (asset, tag, verdict != Decision.Verdict.REJECTED) for asset, tag, verdict in verdicts if tag in known
    )
    named = {tag for _, tag, _ in decisions}.union(*one.shown.values(), *other.shown.values())
    tags = Tag.objects.filter(pk__in=named).values_list("pk", "slug", "name")
    return Facts(
        champion=one,
        challenger=other,
        assets=assets,
        is_cut=len(rows) > MOST_PICTURES,
        decisions=decisions,
        left_out=len(verdicts) - len(decisions),
        tags={pk: TagName(pk, slug, name) for pk, slug, name in tags},
        visible=_visible(user, assets),
    )


def _answers(version: ModelVersion, assets: Collection[int], words: Vocabulary, known: set[int]) -> Answers:
    shown: dict[int, frozenset[int]] = {}
    said: dict[int, frozenset[int]] = {}
    times: list[float] = []
    for asset_id, tag_ids, scores, predict_ms in rows_read(_ANSWERS, version.pk, list(assets)):
        known.update(tag_ids)
        derived = derive(scores=dict(zip(tag_ids, scores, strict=True)), vocabulary=words.rules, decisions={})
        shown[asset_id] = frozenset(claim.tag_id for claim in derived.claims)
        said[asset_id] = frozenset(derived.tag_ids)
        if predict_ms is not None:
            times.append(predict_ms)
    for tag_ids in said.values():
        known |= tag_ids
    return Answers(version, shown, said, tuple(times))


def _visible(user: User | None, assets: Collection[int]) -> frozenset[int]:
    if user is None:
        return frozenset()
    return frozenset(assets_visible_to(user).filter(pk__in=assets).values_list("pk", flat=True))


# Of the current file only: what was said of another one is no answer to this picture.
_BOTH_ANSWERED = """
WITH both_answered AS (
    SELECT one.asset_id, max(one.id) AS newest
    FROM tagging_prediction AS one
    JOIN assets_asset AS asset ON asset.current_version_id = one.asset_version_id
    WHERE one.model_version_id = %s AND EXISTS (
        SELECT FROM tagging_prediction AS other
        WHERE other.asset_version_id = one.asset_version_id AND other.model_version_id = %s)
    GROUP BY one.asset_id)
SELECT asset_id FROM both_answered
ORDER BY EXISTS (
    SELECT FROM tagging_decision AS decision WHERE decision.asset_id = both_answered.asset_id
) DESC, newest DESC
LIMIT %s
"""
_ANSWERS = """
SELECT DISTINCT ON (answer.asset_id) answer.asset_id, answer.tag_ids, answer.scores, answer.predict_ms
FROM tagging_prediction AS answer
JOIN assets_asset AS asset ON asset.current_version_id = answer.asset_version_id
WHERE answer.model_version_id = %s AND asset.id = ANY(%s)
ORDER BY answer.asset_id, answer.generation DESC
"""
_VERDICTS = "SELECT asset_id, tag_id, verdict FROM tagging_decision WHERE asset_id = ANY(%s)"
