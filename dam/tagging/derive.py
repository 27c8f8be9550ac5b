"""What people see, derived: one pure function of the scores, the vocabulary and the decisions.

Undoing a model version, a new threshold or a new vocabulary is deriving again, without pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

MAX_LEAVES = 4
MAX_ANCESTORS = 3


# Tuples, because recording makes thousands of them a second.
class TagRule(NamedTuple):
    """What deriving needs to know of a tag."""

    id: int
    is_leaf: bool
    threshold: float
    active: bool = True
    ancestors: frozenset[int] = frozenset()
    """All above it, not itself."""


class Said(NamedTuple):
    """A person's decision on one tag: ``accepted``, ``rejected`` or ``added``."""

    verdict: str
    by: int | None
    at: datetime


class ClaimDraft(NamedTuple):
    """One claim to be stored."""

    tag_id: int
    state: str
    source: str
    score: float | None = None
    threshold: float | None = None
    decided_by: int | None = None
    decided_at: datetime | None = None


class Derived(NamedTuple):
    """All claims of an asset, best first, and the tag ids by which it is found."""

    claims: tuple[ClaimDraft, ...] = ()
    tag_ids: tuple[int, ...] = ()


def suggest(
    scores: Mapping[int, float], vocabulary: Mapping[int, TagRule], *, hidden: frozenset[int] = frozenset()
) -> list[int]:
    """The few tags worth showing, best first: nothing below its threshold, no two that say the same.

    Shown are the best leaves, for each leaf its best nearest passing ancestor, and an ancestor on its own
    where the model is sure of the kind but of no single leaf. What lies further up is implied by the
    tree and found by search, so it is not shown. ``hidden`` tags take what lies below them along:
    who says "no dog" has also said "no beagle".
    """
    passing: dict[int, TagRule] = {}
    for tag_id, score in scores.items():
        rule = vocabulary.get(tag_id)
        if rule is not None and score >= rule.threshold and rule.active and tag_id not in hidden:
            passing[tag_id] = rule
    if hidden:
        passing = {tag_id: rule for tag_id, rule in passing.items() if hidden.isdisjoint(rule.ancestors)}
    # Of equal scores the older tag comes first.
    best_first = sorted(sorted(passing), key=scores.__getitem__, reverse=True)
    leaves = [tag_id for tag_id in best_first if passing[tag_id].is_leaf][:MAX_LEAVES]
    kinds = [tag_id for tag_id in best_first if not passing[tag_id].is_leaf]
    above_a_passing_tag = set().union(*[rule.ancestors for rule in passing.values()])
    shown = {tag_id for tag_id in kinds if tag_id not in above_a_passing_tag}
    for leaf in leaves:
        ancestors = passing[leaf].ancestors
        above = [tag_id for tag_id in kinds if tag_id in ancestors]
        if len(above) > 1:
            further_up = set().union(*[passing[tag_id].ancestors for tag_id in above])
            above = [tag_id for tag_id in above if tag_id not in further_up]
        # One is enough: an espresso is a beverage, and that it is a coffee too is found, not shown.
        shown.update(above[:1])
    chosen = {*leaves, *[tag_id for tag_id in kinds if tag_id in shown][:MAX_ANCESTORS]}
    return [tag_id for tag_id in best_first if tag_id in chosen]


def derive(
    *,
    scores: Mapping[int, float],
    vocabulary: Mapping[int, TagRule],
    decisions: Mapping[int, Said],
) -> Derived:
    """Claims and search ids of one asset.

    Args:
        scores: tag id → probability, from the newest live prediction of the current file; may be empty.
        vocabulary: every tag by id.
        decisions: tag id → what a person said; it always wins over the model.
    """
    rejected = frozenset(tag_id for tag_id, said in decisions.items() if said.verdict == "rejected")
    chosen = {tag_id: said for tag_id, said in decisions.items() if said.verdict != "rejected"}

    claims = [
        ClaimDraft(
            tag_id=tag_id,
            state="accepted",
            source="person" if said.verdict == "added" else "model",
            score=scores.get(tag_id),
            decided_by=said.by,
            decided_at=said.at,
        )
        for tag_id, said in chosen.items()
    ]
    claims += [
        ClaimDraft(
            tag_id=tag_id,
            state="suggested",
            source="model",
            score=scores[tag_id],
            threshold=vocabulary[tag_id].threshold,
        )
        for tag_id in suggest(scores, vocabulary, hidden=rejected)
        if tag_id not in chosen
    ]
    if chosen:  # else they are in order already
        claims.sort(key=lambda claim: (claim.state != "accepted", -(claim.score or 0.0), claim.tag_id))

    found_by = {claim.tag_id for claim in claims}
    found_by.update(*[vocabulary[tag_id].ancestors for tag_id in found_by if tag_id in vocabulary])
    # An ancestor that was rejected by name stays found through a child that a person accepted:
    # the tree says so, and the person who accepted the child said so last.
    implied_by_people = set().union(
        *(vocabulary[tag_id].ancestors for tag_id in chosen if tag_id in vocabulary)
    )
    found_by -= rejected - implied_by_people

    claims += [
        ClaimDraft(
            tag_id=tag_id,
            state="rejected",
            source="model" if tag_id in scores else "person",
            score=scores.get(tag_id),
            decided_by=decisions[tag_id].by,
            decided_at=decisions[tag_id].at,
        )
        for tag_id in sorted(rejected)
    ]
    return Derived(claims=tuple(claims), tag_ids=tuple(sorted(found_by)))
