"""What people see follows from scores, vocabulary and decisions."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dam.tagging.derive import MAX_ANCESTORS, MAX_LEAVES, Said, TagRule, derive, suggest

ANIMAL, DOG, BEAGLE, PUG, CAT, TABBY, FOOD, PIZZA = range(1, 9)


def rule(tag_id: int, *ancestors: int, leaf: bool = False, threshold: float = 0.3) -> TagRule:
    return TagRule(id=tag_id, is_leaf=leaf, threshold=threshold, ancestors=frozenset(ancestors))


VOCABULARY = {
    r.id: r
    for r in (
        rule(ANIMAL),
        rule(DOG, ANIMAL),
        rule(BEAGLE, DOG, ANIMAL, leaf=True),
        rule(PUG, DOG, ANIMAL, leaf=True),
        rule(CAT, ANIMAL),
        rule(TABBY, CAT, ANIMAL, leaf=True),
        rule(FOOD),
        rule(PIZZA, FOOD, leaf=True),
    )
}


def said(verdict: str) -> Said:
    return Said(verdict=verdict, by=1, at=datetime(2026, 1, 1, tzinfo=UTC))


def states(scores: dict[int, float], decisions: dict[int, Said]) -> dict[int, str]:
    derived = derive(scores=scores, vocabulary=VOCABULARY, decisions=decisions)
    return {claim.tag_id: claim.state for claim in derived.claims}


def test_a_sure_leaf_is_shown_with_its_nearest_ancestor_and_not_with_the_one_above() -> None:
    assert suggest({BEAGLE: 0.8, DOG: 0.95, ANIMAL: 0.99}, VOCABULARY) == [DOG, BEAGLE]


def test_a_leaf_of_two_kinds_is_shown_with_the_surer_one_and_found_by_both() -> None:
    vocabulary = VOCABULARY | {PIZZA: rule(PIZZA, FOOD, CAT, leaf=True)}
    scores = {PIZZA: 0.8, FOOD: 0.9, CAT: 0.85}
    assert suggest(scores, vocabulary) == [FOOD, PIZZA]
    assert derive(scores=scores, vocabulary=vocabulary, decisions={}).tag_ids == (CAT, FOOD, PIZZA)


def test_a_sure_kind_without_a_sure_leaf_is_shown_alone() -> None:
    assert suggest({BEAGLE: 0.2, PUG: 0.25, DOG: 0.9, ANIMAL: 0.95}, VOCABULARY) == [DOG]


def test_nothing_below_its_threshold_is_shown() -> None:
    assert suggest({BEAGLE: 0.29, DOG: 0.29, ANIMAL: 0.29}, VOCABULARY) == []


def test_an_inactive_tag_is_not_shown() -> None:
    vocabulary = VOCABULARY | {
        BEAGLE: TagRule(id=BEAGLE, is_leaf=True, threshold=0.3, active=False, ancestors=frozenset({DOG}))
    }
    assert suggest({BEAGLE: 0.9, DOG: 0.9}, vocabulary) == [DOG]


def test_tags_that_the_vocabulary_does_not_know_are_ignored() -> None:
    assert suggest({99: 0.9}, VOCABULARY) == []


def test_a_rejected_kind_takes_the_leaves_below_it_along() -> None:
    result = states({BEAGLE: 0.8, DOG: 0.9, ANIMAL: 0.95}, {DOG: said("rejected")})
    assert result == {ANIMAL: "suggested", DOG: "rejected"}


def test_a_rejected_leaf_leaves_its_kind() -> None:
    result = states({BEAGLE: 0.8, DOG: 0.9}, {BEAGLE: said("rejected")})
    assert result == {DOG: "suggested", BEAGLE: "rejected"}


def test_an_accepted_tag_stays_when_the_model_no_longer_sees_it() -> None:
    assert states({}, {PIZZA: said("accepted")}) == {PIZZA: "accepted"}


def test_an_added_tag_counts_as_a_persons_and_an_accepted_one_as_the_models() -> None:
    derived = derive(
        scores={PIZZA: 0.9, FOOD: 0.9},
        vocabulary=VOCABULARY,
        decisions={PIZZA: said("accepted"), TABBY: said("added")},
    )
    assert {claim.tag_id: claim.source for claim in derived.claims} == {
        PIZZA: "model",
        TABBY: "person",
        FOOD: "model",
    }


def test_an_asset_is_found_by_its_tags_and_all_their_ancestors() -> None:
    derived = derive(scores={BEAGLE: 0.8}, vocabulary=VOCABULARY, decisions={})
    assert derived.tag_ids == (ANIMAL, DOG, BEAGLE)


def test_an_asset_is_not_found_by_a_rejected_tag() -> None:
    derived = derive(scores={BEAGLE: 0.8}, vocabulary=VOCABULARY, decisions={ANIMAL: said("rejected")})
    assert derived.tag_ids == ()


def test_a_child_that_a_person_added_brings_back_an_ancestor_that_was_rejected() -> None:
    derived = derive(
        scores={}, vocabulary=VOCABULARY, decisions={DOG: said("rejected"), BEAGLE: said("added")}
    )
    assert derived.tag_ids == (ANIMAL, DOG, BEAGLE)


scores_of = st.dictionaries(st.sampled_from(sorted(VOCABULARY)), st.floats(0, 1))
decisions_of = st.dictionaries(
    st.sampled_from(sorted(VOCABULARY)), st.sampled_from(["accepted", "rejected", "added"]).map(said)
)


@given(scores_of, decisions_of)
def test_people_always_win_and_nothing_is_claimed_twice(
    scores: dict[int, float], decisions: dict[int, Said]
) -> None:
    derived = derive(scores=scores, vocabulary=VOCABULARY, decisions=decisions)
    by_tag = {claim.tag_id: claim for claim in derived.claims}
    assert len(by_tag) == len(derived.claims)
    for tag_id, decision in decisions.items():
        assert by_tag[tag_id].state == ("rejected" if decision.verdict == "rejected" else "accepted")
    suggested = [claim for claim in derived.claims if claim.state == "suggested"]
    assert len(suggested) <= MAX_LEAVES + MAX_ANCESTORS
    assert all(claim.score is not None and claim.score >= 0.3 for claim in suggested)
