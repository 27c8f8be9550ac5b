"""What the controller does next, whatever it sees: no server, no registry, no catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_training.rollout.acts import (
    Act,
    Adopt,
    Alias,
    Ask,
    Begin,
    Fail,
    GiveUp,
    Idle,
    Label,
    Load,
    Publish,
    Report,
    Reserve,
    Retry,
    Trim,
    Wait,
    Withdraw,
)
from model_training.rollout.decisions import decide, free_number
from model_training.rollout.models_config import Labels, Serving
from model_training.rollout.state import (
    InCatalogue,
    Known,
    Loading,
    Registered,
    Registry,
    Seen,
    Wish,
    WishKind,
)

PROMOTE, ROLL_BACK = WishKind.PROMOTE, WishKind.ROLL_BACK


def known(number: int, **more: Any) -> Known:
    return Known(id=100 + number, name="toy", number=number, **more)


def seen(labels: Labels, *, wish: Wish | None = None, withdrawn: int = 0, **more: Any) -> Seen:
    """Everything is as it should be: the catalogue was told of the labels, and they are in force.

    Version N of the model servers is version N of the registry, from 1 to 3.
    """
    numbers = (1, 2, 3)
    versions = {n: known(n, registry_version=n, withdrawn=n == withdrawn) for n in numbers}
    roles = (labels.champion, labels.trial, labels.way_back)
    champion, challenger, predecessor = (number and versions[number] for number in roles)
    registered = {number: Registered(number, served_as=number) for number in numbers}
    situation = Seen(
        serving=Serving(labels.versions, labels),
        at_base=frozenset({1, 2, 3}),
        registry=Registry(labels.champion, labels.trial, registered),
        catalogue=InCatalogue(champion, challenger, predecessor, wish, versions),
    )
    return replace(situation, **more)


def aliases(situation: Seen, **changed: int | None) -> Seen:
    assert situation.registry is not None
    return replace(situation, registry=replace(situation.registry, **changed))


def registered(situation: Seen, number: int, **changed: Any) -> Seen:
    assert situation.registry is not None
    versions = dict(situation.registry.versions)
    versions[number] = replace(versions[number], **changed)
    return replace(situation, registry=replace(situation.registry, versions=versions))


def loading(situation: Seen, number: int, **how: Any) -> Seen:
    """A version without a label is among those that are loaded."""
    assert situation.serving is not None
    serving = replace(situation.serving, versions=situation.serving.versions | {number})
    return replace(situation, serving=serving, loading={number: Loading(**how)})


def promote(number: int) -> Wish:
    return Wish(7, PROMOTE, known(number))


ONE = Labels.of(1)
TRIAL = Labels.of(1, 2)
AFTER = Labels.of(2, None, 1)


@pytest.mark.parametrize("labels", [ONE, TRIAL, AFTER, Labels.of(3, 2, 1)])
def test_nothing_is_done_where_everything_is_as_it_should_be(labels: Labels) -> None:
    assert decide(seen(labels)) == Idle()
    assert decide(seen(labels, registry=None)) == Idle()
    assert decide(seen(labels, registry=None, registry_is_down=True)) == Idle()


@pytest.mark.parametrize(
    ("at_base", "registry", "expected"),
    [
        ({1, 4, 3}, None, Begin(4)),
        ({1, 4, 3}, Registry(), Begin(4)),
        ({1, 4, 3}, Registry(champion=9, versions={9: Registered(9, served_as=3)}), Begin(3)),
        (set(), Registry(champion=9, versions={9: Registered(9)}), Reserve(9)),
        (set(), Registry(champion=9, versions={9: Registered(9, served_as=5)}), Publish(9, 5)),
        (set(), Registry(), Wait("a version at the base path, or a champion in the registry")),
    ],
)
def test_it_begins_with_the_champion_of_the_registry_or_the_newest_version(
    at_base: set[int], registry: Registry | None, expected: Act
) -> None:
    assert decide(Seen(None, frozenset(at_base), registry)) == expected


def test_without_the_catalogue_it_waits() -> None:
    assert decide(aliases(seen(ONE, catalogue=None), challenger=2)) == Wait("the catalogue")


def test_what_is_served_and_not_registered_is_adopted_once() -> None:
    situation = registered(seen(ONE), 1, served_as=None)
    assert decide(situation) == Adopt(1)
    assert decide(replace(situation, foreign=frozenset({1}))) == Idle()


def test_the_number_in_the_registry_is_told_once_it_is_known() -> None:
    situation = seen(ONE)
    assert situation.catalogue is not None
    situation = replace(situation, catalogue=replace(situation.catalogue, known={1: known(1)}))
    assert decide(situation) == Report()
    assert decide(replace(situation, registry=None)) == Idle()


def test_a_champion_alias_that_is_missing_is_set() -> None:
    assert decide(aliases(seen(ONE), champion=None)) == Alias("champion", 1)


# ------------------------------------------------------------------ a challenger


def test_a_challenger_is_brought_step_by_step() -> None:
    situation = aliases(seen(ONE, at_base=frozenset({1})), challenger=2)
    assert decide(registered(situation, 2, served_as=None)) == Reserve(2)
    assert decide(situation) == Publish(2, 2)
    situation = replace(situation, at_base=frozenset({1, 2}))
    assert decide(situation) == Load(2)
    assert decide(loading(situation, 2, text="LOADING")) == Wait("LOADING")
    assert decide(loading(situation, 2, failed="no memory")) == Fail(2, "no memory")
    assert decide(loading(situation, 2, available=True)) == Label(TRIAL)


def test_a_challenger_that_failed_is_tried_again_when_its_alias_is_there_again() -> None:
    assert decide(registered(aliases(seen(ONE), challenger=2), 2, failed=True)) == Retry(2)


def test_a_challenger_that_lost_its_alias_is_unlabelled_and_then_unloaded() -> None:
    situation = aliases(seen(TRIAL), challenger=None)
    assert decide(situation) == Label(ONE)
    assert decide(loading(seen(ONE), 2, available=True)) == Trim()
    assert isinstance(decide(loading(seen(ONE, in_force=False), 2, available=True)), Wait)


def test_another_challenger_takes_the_place_of_the_first() -> None:
    situation = aliases(seen(TRIAL), challenger=3)
    assert decide(situation) == Load(3)
    assert decide(loading(situation, 3, available=True)) == Label(Labels.of(1, 3))


def test_a_challenger_that_was_undone_loses_label_and_alias() -> None:
    assert decide(seen(TRIAL, withdrawn=2)) == Label(ONE)
    assert decide(aliases(seen(ONE, withdrawn=2), challenger=2)) == Withdraw("challenger", 2)


# ------------------------------------------------------------------ promotion


def test_a_promotion_moves_the_aliases_and_then_the_labels() -> None:
    situation = seen(TRIAL, wish=promote(2))
    assert decide(situation) == Alias("champion", 2)
    situation = aliases(situation, champion=2)
    assert decide(situation) == Alias("challenger", None)
    assert decide(aliases(situation, challenger=None)) == Label(AFTER)


def test_a_version_without_a_label_is_loaded_before_it_is_promoted() -> None:
    situation = seen(ONE, wish=promote(3))
    assert decide(situation) == Load(3)
    assert decide(loading(situation, 3, available=True)) == Alias("champion", 3)
    assert decide(loading(situation, 3, failed="broken")) == Fail(3, "broken")


def test_a_promotion_of_what_is_nowhere_is_given_up() -> None:
    situation = seen(ONE, wish=promote(9))
    assert decide(situation) == Fail(9, "it is neither at the base path nor in the registry")


def test_a_promotion_waits_for_a_registry_that_is_down_and_needs_none_where_there_is_none() -> None:
    situation = seen(TRIAL, wish=promote(2), registry=None)
    assert isinstance(decide(replace(situation, registry_is_down=True)), Wait)
    assert decide(situation) == Label(AFTER)


def test_the_champion_before_is_no_way_back_if_it_was_undone() -> None:
    situation = aliases(seen(TRIAL, wish=promote(2), withdrawn=1), champion=2, challenger=None)
    assert decide(situation) == Label(Labels.of(2))


def test_labels_that_were_moved_are_told_once_they_are_in_force() -> None:
    moved = replace(seen(TRIAL, wish=promote(2)), serving=Serving(AFTER.versions, AFTER))
    assert isinstance(decide(replace(moved, in_force=False)), Wait)
    assert decide(moved) == Report()
    assert decide(seen(ONE, report_due=True)) == Report()


# ------------------------------------------------------------------ the way back


def test_a_roll_back_moves_the_labels_first_whatever_else_is_under_way() -> None:
    wish = Wish(8, ROLL_BACK, known(2))
    situation = seen(Labels.of(2, 3, 1), wish=wish, withdrawn=2, registry=None, registry_is_down=True)
    assert decide(situation) == Label(Labels.of(1, 3))
    assert decide(replace(situation, in_force=False)) == Label(Labels.of(1, 3))


def test_a_roll_back_without_a_way_is_given_up() -> None:
    wish = Wish(8, ROLL_BACK, known(1))
    assert decide(seen(ONE, wish=wish)) == GiveUp(8, "there is no predecessor to go back to")


def test_the_way_back_is_found_in_the_catalogue_where_models_config_was_made_anew() -> None:
    wish = Wish(8, ROLL_BACK, known(2))
    situation = replace(seen(AFTER, wish=wish), serving=Serving(frozenset({2}), Labels.of(2)))
    assert decide(situation) == Load(1)
    assert decide(loading(situation, 1, available=True)) == Label(ONE)


def test_what_was_rolled_back_loses_the_champion_alias() -> None:
    assert decide(aliases(seen(ONE, withdrawn=2), champion=2)) == Withdraw("champion", 2)


# ------------------------------------------------------------------ an alias that somebody moved


def test_a_champion_that_somebody_named_in_the_registry_is_loaded_and_asked_about() -> None:
    situation = aliases(seen(ONE), champion=2)
    assert decide(situation) == Load(2)
    assert decide(loading(situation, 2, available=True)) == Ask(2, 2)
    assert decide(aliases(seen(TRIAL), champion=2)) == Ask(2, 2)


def test_a_version_that_was_undone_is_asked_about_only_by_force() -> None:
    situation = loading(aliases(seen(ONE, withdrawn=2), champion=2), 2, available=True)
    assert decide(registered(situation, 2, force="it was right after all")) == Ask(2, 2)


def test_while_the_catalogue_wishes_something_aliases_are_left_alone() -> None:
    wish = Wish(8, ROLL_BACK, known(2))
    assert decide(aliases(seen(ONE, wish=wish), champion=3)) == Idle()


@pytest.mark.parametrize(("taken", "number"), [(set(), 5), ({1, 2}, 5), ({5}, 6), ({5, 9}, 10)])
def test_a_number_that_is_taken_is_not_given_again(taken: set[int], number: int) -> None:
    assert free_number(5, frozenset(taken)) == number
