"""Which pictures are found to look the same, whatever order they come in."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from dam.assets.models import Asset
from dam.curation.models import DuplicatePair
from dam.curation.pairing import (
    MOST_BITS,
    pairs_find,
    pairs_find_again,
    pairs_find_all,
    pictures_waiting,
    probes_of,
)
from dam.tagging.likeness import bands_of
from dam.tagging.models import Likeness
from tests.dam.curation.looking import FINGERPRINT, flipped, look
from tests.dam.factories import AssetFactory

pytestmark = pytest.mark.django_db


def found() -> dict[tuple[int, int], int]:
    return {(pair.first_id, pair.second_id): pair.distance for pair in DuplicatePair.objects.all()}


@given(
    fingerprint=st.integers(-(2**63), 2**63 - 1),
    bits=st.sets(st.integers(0, 63), max_size=MOST_BITS),
)
@settings(max_examples=100, deadline=None)
def test_any_fingerprint_within_seven_bits_shares_a_key(fingerprint: int, bits: set[int]) -> None:
    other = flipped(fingerprint, bits)

    assert set(probes_of(fingerprint)) & set(bands_of(other))
    assert len(set(probes_of(fingerprint))) == 68


def test_pictures_up_to_seven_bits_apart_are_pairs_and_no_others() -> None:
    chance = random.Random(4)
    assets = [AssetFactory() for _ in range(12)]
    look(assets[0])
    for bits, asset in enumerate(assets[1:], 1):
        look(asset, flipped(FINGERPRINT, chance.sample(range(64), bits)))

    assert pairs_find() == 12

    prints = dict(Likeness.objects.values_list("asset", "fingerprint"))
    near = {
        (one, other): bits
        for one, other in combinations(sorted(prints), 2)
        if (bits := ((prints[one] ^ prints[other]) & (2**64 - 1)).bit_count()) <= MOST_BITS
    }
    assert len([pair for pair in near if assets[0].pk in pair]) == MOST_BITS
    assert found() == near


def test_who_comes_later_is_compared_with_those_before_and_nobody_twice() -> None:
    first, second, third = (AssetFactory() for _ in range(3))
    look(first)
    assert pairs_find() == 1
    assert found() == {}

    look(third)
    look(second, FINGERPRINT ^ 0b111)
    assert pictures_waiting() == 2
    assert pairs_find() == 2
    assert found() == {(first.pk, second.pk): 3, (first.pk, third.pk): 0, (second.pk, third.pk): 3}

    assert pairs_find() == 0
    assert pictures_waiting() == 0


def test_all_are_compared_batch_by_batch_until_somebody_stops_it() -> None:
    for _ in range(3):
        look(AssetFactory())

    assert pairs_find(limit=2) == 2
    assert pairs_find_all(should_stop=lambda: True) == 0
    steps: list[int] = []
    assert pairs_find_all(advance=steps.append) == 1
    assert steps == [1]
    assert len(found()) == 3


def test_a_picture_without_a_fingerprint_is_never_compared() -> None:
    look(AssetFactory(), None)
    look(AssetFactory(), None)

    assert pairs_find() == 0
    assert found() == {}


def embedded(asset: Asset, cosine: float, *, space: str = "e", bits: int = 0) -> None:
    """Its embedding has that cosine with one along the first axis."""
    vector = np.zeros(320)
    vector[:2] = cosine, (1 - cosine**2) ** 0.5
    look(asset, flipped(FINGERPRINT, range(bits)), embedding=vector, space=space)


@pytest.mark.parametrize(
    ("bits", "cosine", "are_near"),
    [(0, 0.65, True), (0, 0.55, False), (7, 0.93, True), (7, 0.8, False), (3, 0.75, True)],
)
def test_embeddings_of_one_space_have_to_agree_the_more_the_more_bits_differ(
    bits: int, cosine: float, are_near: bool
) -> None:
    embedded(AssetFactory(), 1)
    embedded(AssetFactory(), cosine, bits=bits)

    pairs_find()

    assert bool(found()) == are_near


@pytest.mark.parametrize(("bits", "are_near"), [(0, True), (1, False)])
def test_embeddings_of_different_models_say_nothing_and_the_fingerprint_must_be_equal(
    bits: int, are_near: bool
) -> None:
    embedded(AssetFactory(), 1)
    embedded(AssetFactory(), 1, space="f", bits=bits)

    pairs_find()

    assert bool(found()) == are_near


def test_a_file_that_was_replaced_loses_the_pairs_of_the_one_before() -> None:
    kept, replaced, other = (AssetFactory() for _ in range(3))
    for asset in (kept, replaced, other):
        look(asset)
    pairs_find()
    DuplicatePair.objects.filter(first=kept, second=replaced).update(state=DuplicatePair.State.DIFFERENT)

    look(replaced, ~FINGERPRINT)
    pairs_find()

    assert found() == {(kept.pk, other.pk): 0}


def test_what_a_person_said_stays_when_the_pair_is_found_again() -> None:
    one, other = AssetFactory(), AssetFactory()
    look(one)
    look(other)
    pairs_find()
    DuplicatePair.objects.update(state=DuplicatePair.State.DIFFERENT)

    look(other, FINGERPRINT ^ 1)
    pairs_find()

    pair = DuplicatePair.objects.get()
    assert (pair.state, pair.distance) == (DuplicatePair.State.DIFFERENT, 1)


def test_everything_may_be_compared_anew() -> None:
    one, other = AssetFactory(), AssetFactory()
    look(one)
    look(other)
    pairs_find()
    DuplicatePair.objects.all().delete()

    assert pairs_find_again() == 2

    assert found() == {(one.pk, other.pk): 0}


def test_of_a_thousand_copies_each_is_paired_with_a_few() -> None:
    assets = [AssetFactory() for _ in range(40)]
    for asset in assets:
        look(asset)

    pairs_find()

    partners = [sum(asset.pk in pair for pair in found()) for asset in assets]
    assert min(partners) >= 20
    assert len(found()) <= 40 * 20


def test_pictures_in_the_trash_are_compared_for_they_may_come_back() -> None:
    one, other = AssetFactory(), AssetFactory(trashed_at="2026-01-01T00:00:00Z")
    look(one)
    look(other)

    pairs_find()

    assert found() == {(one.pk, other.pk): 0}


def test_the_planner_is_left_as_it_was() -> None:
    look(AssetFactory())
    with transaction.atomic():
        pairs_find()
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_seqscan")
            assert cursor.fetchone() == ("on",)
