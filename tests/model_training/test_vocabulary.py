from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from model_training.vocabulary import (
    CurationError,
    Tag,
    Vocabulary,
    build_vocabulary,
    hint_classes,
    with_heads,
)
from model_training.vocabulary.tags import slugify
from model_training.vocabulary.wordnet import WordNet


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build_vocabulary()


@pytest.fixture(scope="module")
def tags(vocabulary: Vocabulary) -> dict[str, Tag]:
    return {tag.slug: tag for tag in vocabulary.tags}


def test_no_two_tags_share_a_slug_or_a_name(vocabulary: Vocabulary) -> None:
    assert len({tag.slug for tag in vocabulary.tags}) == len(vocabulary.tags)
    assert len({tag.name.casefold() for tag in vocabulary.tags}) == len(vocabulary.tags)


def test_no_two_tags_mean_the_same_classes(vocabulary: Vocabulary) -> None:
    assert len({tag.classes for tag in vocabulary.tags}) == len(vocabulary.tags)


def test_every_class_belongs_to_exactly_one_leaf(vocabulary: Vocabulary) -> None:
    leaves = [sorted(tag.classes) for tag in vocabulary.tags if tag.kind == "leaf"]
    assert sorted(index for classes in leaves for index in classes) == list(range(1000))


def test_every_parent_is_an_ancestor_that_contains_its_child(tags: dict[str, Tag]) -> None:
    for tag in tags.values():
        for parent in tag.parents:
            assert tags[parent].kind == "ancestor"
            assert tag.classes < tags[parent].classes


def test_parents_are_the_nearest_ancestors(tags: dict[str, Tag]) -> None:
    assert tags["golden-retriever"].parents == ("retriever",)
    assert tags["retriever"].parents == ("dog",)
    assert tags["dog"].parents == ("animal",)
    assert tags["animal"].parents == ()
    assert set(tags["espresso"].parents) == {"beverage", "coffee"}


def test_the_ancestors_that_people_search_for_are_there(tags: dict[str, Tag]) -> None:
    wanted = {
        *(
            "dog",
            "cat",
            "bird",
            "fish",
            "insect",
            "reptile",
            "vehicle",
            "car",
            "boat",
            "aircraft",
            "building",
        ),
        *(
            "food",
            "fruit",
            "beverage",
            "furniture",
            "instrument",
            "tool",
            "clothing",
            "footwear",
            "kitchenware",
        ),
        *("electronics", "sports-equipment", "flower", "landscape"),
    }
    assert wanted <= {slug for slug, tag in tags.items() if tag.kind == "ancestor"}
    assert len(tags["dog"].classes) == 118


def test_merged_classes_are_in_an_ancestor_as_a_whole(tags: dict[str, Tag]) -> None:
    leaves = [tag for tag in tags.values() if tag.kind == "leaf" and len(tag.classes) > 1]
    assert leaves
    for ancestor in (tag for tag in tags.values() if tag.kind == "ancestor"):
        assert all(leaf.classes <= ancestor.classes or not leaf.classes & ancestor.classes for leaf in leaves)


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("crane-bird", "crane (bird)"),
        ("construction-crane", "construction crane"),
        ("cardigan", "cardigan"),
        ("cardigan-welsh-corgi", "Cardigan Welsh corgi"),
        ("male-duck", "male duck"),
        ("german-shepherd", "German shepherd"),
        ("leotard", "leotard"),
        ("one-piece-swimsuit", "one-piece swimsuit"),
        ("consomme", "consommé"),
    ],
)
def test_names_are_plain_and_unambiguous(tags: dict[str, Tag], slug: str, name: str) -> None:
    assert tags[slug].name == name


def test_doubled_classes_are_one_tag(tags: dict[str, Tag]) -> None:
    assert tags["missile"].classes == {657, 744}
    assert tags["sunglasses"].classes == {836, 837}


def test_a_synonym_is_never_another_tags_name(vocabulary: Vocabulary) -> None:
    names = {tag.name.casefold() for tag in vocabulary.tags} | {tag.slug for tag in vocabulary.tags}
    for tag in vocabulary.tags:
        assert not {synonym.casefold() for synonym in tag.synonyms} & names
        assert len({synonym.casefold() for synonym in tag.synonyms}) == len(tag.synonyms)


def test_a_tag_is_found_by_its_other_words(tags: dict[str, Tag]) -> None:
    assert "mallard" in tags["male-duck"].synonyms
    assert "automobile" in tags["car"].synonyms
    assert "Canis familiaris" in tags["dog"].synonyms
    assert "sofa" not in tags["sofa"].synonyms
    assert "couch" in tags["sofa"].synonyms


def test_thresholds_leave_room_for_something_to_be_shown(vocabulary: Vocabulary) -> None:
    assert all(0.1 <= tag.threshold <= 0.7 for tag in vocabulary.tags)


def test_building_twice_gives_the_same_id_and_another_threshold_another(vocabulary: Vocabulary) -> None:
    assert build_vocabulary().id == vocabulary.id
    first, *others = vocabulary.tags
    moved = Tag(**{**_fields(first), "threshold": first.threshold + 0.1})
    assert Vocabulary(vocabulary.source, (moved, *others)).id != vocabulary.id


def _fields(tag: Tag) -> dict[str, Any]:
    return {name: getattr(tag, name) for name in Tag.__slots__}


def test_membership_columns_are_the_classes(vocabulary: Vocabulary) -> None:
    matrix = vocabulary.membership(1000)
    assert matrix.shape == (1000, len(vocabulary.tags))
    for column, tag in enumerate(vocabulary.tags):
        assert set(matrix[:, column].nonzero()[0].tolist()) == tag.classes


@pytest.mark.parametrize(
    ("name", "slug"),
    [("St. Bernard", "st-bernard"), ("lady's slipper", "ladys-slipper"), ("kite (bird)", "kite-bird")],
)
def test_slugs_are_ascii_words_joined_by_hyphens(name: str, slug: str) -> None:
    assert slugify(name) == slug


def test_wordnet_knows_what_lies_above_a_dog() -> None:
    wordnet = WordNet()
    assert "dog" in wordnet.synset("n02084071").words
    above = {wordnet.synset(wnid).words[0] for wnid in wordnet.above("n02099601")}
    assert {"retriever", "dog", "mammal", "animal", "entity"} <= above
    with pytest.raises(KeyError):
        wordnet.synset("n00000000")


HEADS = {"dog": 0.5, "sofa": 0.4, "person": 0.6, "giraffe": 0.5, "bowl": 0.5, "kite": 0.5}


@pytest.fixture(scope="module")
def joined(vocabulary: Vocabulary) -> dict[str, Tag]:
    return {tag.slug: tag for tag in with_heads(vocabulary, HEADS).tags}


def test_a_head_for_a_tag_that_is_there_makes_no_second_one(
    vocabulary: Vocabulary, joined: dict[str, Tag]
) -> None:
    assert len(joined) == len(vocabulary.tags) + 4
    assert len({tag.name.casefold() for tag in joined.values()}) == len(joined)
    assert (joined["dog"].trained, joined["dog"].threshold) == (True, 0.5)
    assert len(joined["dog"].classes) == 118
    assert joined["golden-retriever"].parents == ("retriever",)
    assert not joined["golden-retriever"].trained


def test_a_new_tag_takes_its_place_in_the_tree(joined: dict[str, Tag]) -> None:
    assert joined["giraffe"].parents == ("animal",)
    assert joined["person"].kind == "ancestor"
    assert "people" in joined["person"].synonyms
    assert joined["baseball-player"].parents == ("person",)


def test_a_parent_that_stands_above_a_new_one_is_no_parent_any_more(
    tags: dict[str, Tag], joined: dict[str, Tag]
) -> None:
    assert tags["soup-bowl"].parents == joined["bowl"].parents == ("kitchenware",)
    assert joined["soup-bowl"].parents == ("bowl",)


def test_a_word_that_became_a_tag_is_no_synonym_any_more(
    tags: dict[str, Tag], joined: dict[str, Tag]
) -> None:
    assert "kite" in tags["kite-bird"].synonyms
    assert "kite" not in joined["kite-bird"].synonyms


def test_all_that_is_trained_has_its_place_and_every_parent_is_an_ancestor(vocabulary: Vocabulary) -> None:
    mapping = tomllib.loads((files("model_training") / "photographs.toml").read_text(encoding="utf-8"))
    everything = with_heads(vocabulary, dict.fromkeys(mapping["tags"], 0.5))
    assert {tag.slug for tag in everything.tags if tag.trained} == set(mapping["tags"])
    kinds = {tag.slug: tag.kind for tag in everything.tags}
    assert {kinds[parent] for tag in everything.tags for parent in tag.parents} == {"ancestor"}
    names = [tag.name.casefold() for tag in everything.tags]
    assert len(names) == len(set(names))
    synonyms = {synonym.casefold() for tag in everything.tags for synonym in tag.synonyms}
    assert not synonyms & {*names, *everything.labels}


def test_above_are_parents_and_theirs(vocabulary: Vocabulary) -> None:
    above = with_heads(vocabulary, HEADS).above()
    assert above["golden-retriever"] == {"retriever", "dog", "animal"}
    assert above["soup-bowl"] == {"bowl", "kitchenware"}
    assert above["person"] == set()


def test_another_head_is_another_vocabulary(vocabulary: Vocabulary) -> None:
    same = vocabulary.tags[0].threshold
    heads: list[dict[str, float]] = [{}, {"dog": 0.5}, {"dog": 0.4}, {"cat": 0.5}, {"tench": same}]
    assert len({with_heads(vocabulary, each).id for each in heads}) == len(heads)
    assert with_heads(vocabulary, {}).id == vocabulary.id


def test_a_head_that_nobody_curated_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(CurationError, match="unicorn-rider"):
        with_heads(vocabulary, {"unicorn-rider": 0.5})


def test_a_head_whose_parent_has_none_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(CurationError, match=r"stop-sign: no head for \['sign'\]"):
        with_heads(vocabulary, {"stop-sign": 0.5})


def test_classes_hint_at_their_own_tag_or_at_one_that_has_none(
    vocabulary: Vocabulary, tags: dict[str, Tag]
) -> None:
    matrix = hint_classes(vocabulary, ["dog", "giraffe", "tree", "red-disc"], 1000)
    assert matrix.dtype == np.float32
    hinting = [set(column.nonzero()[0].tolist()) for column in matrix.T]
    assert hinting == [
        set(tags["dog"].classes),
        set(tags["zebra"].classes | tags["gazelle"].classes),
        set(),
        set(),
    ]
