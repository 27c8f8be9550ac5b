"""The tree of collections: who sees which part of it, and who may change it."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dam.assets.collections import collection_create, collection_delete, collection_move, collection_update
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Collection, Level
from dam.assets.services import root_collection
from dam.assets.tree import (
    TreeNode,
    collection_cover,
    collection_covers,
    collection_get,
    collection_named,
    collection_path,
    collection_tree,
    tree_flat,
)
from tests.dam.factories import AssetFactory, GrantFactory, StaffFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who

__all__ = ["root"]


def names(nodes: list[TreeNode]) -> list[str]:
    return [f"{'-' * node.depth}{node.collection.name}" for node in tree_flat(nodes)]


def test_the_tree_is_in_the_order_of_names_and_counts_pictures(root: Collection) -> None:
    press, archive = below(root, "Press"), below(root, "Archive")
    year = below(press, "2024")
    for place in (year, year, press):
        AssetFactory(collection=place)
    AssetFactory(collection=archive, trashed_at="2026-01-01T00:00Z")
    tree = collection_tree(user=StaffFactory())
    assert names(tree) == ["Library", "-Archive", "-Press", "--2024"]
    assert [(node.count, node.total) for node in tree_flat(tree)] == [(0, 3), (0, 0), (1, 3), (2, 2)]


def test_what_lies_below_something_unseen_is_a_root_of_its_own(root: Collection) -> None:
    press, hidden = below(root, "Press"), below(root, "Hidden")
    ours, theirs = below(hidden, "Ours"), below(hidden, "Theirs")
    deep = below(ours, "Deep")
    user = who(Level.VIEW, ours)
    GrantFactory(collection=press, user=user, level=Level.CURATE)
    tree = collection_tree(user=user)
    assert names(tree) == ["Ours", "-Deep", "Press"]
    assert [node.level for node in tree_flat(tree)] == [Level.VIEW, Level.VIEW, Level.CURATE]
    assert [place.name for place in collection_path(user=user, collection=deep)] == ["Ours", "Deep"]
    for unseen in (root, hidden, theirs):
        with pytest.raises(Collection.DoesNotExist):
            collection_get(user=user, collection_id=unseen.pk)


def test_reading_the_tree_costs_the_same_however_large_it_is(
    root: Collection, django_assert_max_num_queries: object
) -> None:
    for number in range(12):
        below(below(root, f"{number}"), "deeper")
    user = who(Level.VIEW, root)
    with django_assert_max_num_queries(5):  # type: ignore[operator]
        assert len(tree_flat(collection_tree(user=user))) == 25


def test_a_collection_is_found_by_its_path_or_its_id(root: Collection) -> None:
    year = below(below(root, "Press"), "2024")
    user = who(Level.VIEW, root)
    for text in ("Press/2024", "library/press/2024", " /Press/2024/ ", str(year.pk)):
        assert collection_named(user=user, text=text) == year
    for text in ("2024", "Press/2025", "Press/2024/x", ""):
        with pytest.raises(Collection.DoesNotExist):
            collection_named(user=user, text=text)
    with pytest.raises(Collection.DoesNotExist):
        collection_named(user=UserFactory(), text=str(year.pk))


def test_who_curates_makes_collections_which_have_the_grants_of_their_parent(root: Collection) -> None:
    anna = who(Level.CURATE, root, "anna")
    made = collection_create(name="  Press   2024 ", user=anna, default_licence="CC-BY-4.0")
    assert (made.name, Collection.objects.get_parent(made).pk, made.default_licence) == (
        "Press 2024",
        root.pk,
        "CC-BY-4.0",
    )
    assert collection_get(user=anna, collection_id=made.pk) == made
    assert told() == [("anna", "collection.create", made.pk)]


@pytest.mark.parametrize("level", [Level.VIEW, Level.DOWNLOAD, Level.CONTRIBUTE])
def test_who_does_not_curate_makes_and_changes_no_collection(root: Collection, level: Level) -> None:
    user = who(level, root)
    place = below(root, "Press")
    with pytest.raises(NotAllowedError):
        collection_create(name="Mine", user=user)
    with pytest.raises(NotAllowedError):
        collection_update(collection=place, user=user, description="Mine")
    assert not told()


def test_who_sees_nothing_learns_nothing(root: Collection) -> None:
    place, user = below(root, "Press"), UserFactory()
    for act in (
        lambda: collection_create(name="Press", parent=root, user=user),
        lambda: collection_update(collection=place, user=user, name="x"),
        lambda: collection_move(collection=place, parent=root, user=user),
        lambda: collection_delete(collection=place, user=user),
    ):
        with pytest.raises(Collection.DoesNotExist):
            act()


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a/b", "a\0b", None, 3, "press"])
def test_a_name_is_a_short_line_that_no_sibling_has(root: Collection, name: object) -> None:
    below(root, "Press")
    with pytest.raises(InvalidChangeError) as refused:
        collection_create(name=name, user=who(Level.CURATE, root))  # type: ignore[arg-type]
    assert refused.value.field == "name"
    assert Collection.objects.count() == 2


def test_a_renamed_collection_stands_in_its_new_place_with_all_below(root: Collection) -> None:
    first, last = below(root, "Alpha"), below(root, "Omega")
    below(first, "Child")
    user = who(Level.CURATE, root, "anna")
    renamed = collection_update(collection=first, user=user, name="Zeta")
    assert names(collection_tree(user=user)) == ["Library", "-Omega", "-Zeta", "--Child"]
    assert collection_update(collection=renamed, user=user, name="zeta").name == "zeta"
    with pytest.raises(InvalidChangeError, match="already"):
        collection_update(collection=last, user=user, name="ZETA")
    with pytest.raises(InvalidChangeError, match="keeps its name"):
        collection_update(collection=root, user=user, name="Ours")


def test_a_change_that_changes_nothing_is_not_written_down(root: Collection) -> None:
    place = below(root, "Press", description="All of it.")
    user = who(Level.CURATE, root)
    collection_update(collection=place, user=user, description="All of it.", name="Press")
    assert told() == []
    with pytest.raises(InvalidChangeError) as refused:
        collection_update(collection=place, user=user, path="0001")
    assert refused.value.code == "unknown-field"


def test_a_moved_collection_takes_all_below_it_and_has_the_grants_of_its_new_place(root: Collection) -> None:
    press, archive = below(root, "Press"), below(root, "Archive")
    year = below(press, "2024")
    picture = AssetFactory(collection=year)
    reader = who(Level.VIEW, archive)
    manager = who(Level.MANAGE, root, "mia")
    moved = collection_move(collection=press, parent=archive, user=manager)
    assert names(collection_tree(user=reader)) == ["Archive", "-Press", "--2024"]
    assert collection_tree(user=reader)[0].total == 1
    assert Asset.objects.get(pk=picture.pk).collection_id == year.pk
    assert told() == [("mia", "collection.move", moved.pk)]
    assert Collection.objects.find_problems() == ([], [], [], [], [])


def test_moving_needs_to_manage_both_places(root: Collection) -> None:
    press, archive = below(root, "Press"), below(root, "Archive")
    user = who(Level.MANAGE, press)
    GrantFactory(collection=archive, user=user, level=Level.CURATE)
    with pytest.raises(NotAllowedError):
        collection_move(collection=press, parent=archive, user=user)
    with pytest.raises(NotAllowedError):
        collection_move(collection=archive, parent=press, user=user)
    with pytest.raises(Collection.DoesNotExist):
        collection_move(collection=press, parent=root, user=user)


def test_a_collection_never_lies_in_itself_and_the_root_stays(root: Collection) -> None:
    press = below(root, "Press")
    year = below(press, "2024")
    user = who(Level.MANAGE, root)
    for target in (press, year):
        with pytest.raises(InvalidChangeError, match="in itself"):
            collection_move(collection=press, parent=target, user=user)
    with pytest.raises(InvalidChangeError, match="stays where it is"):
        collection_move(collection=root, parent=press, user=user)
    below(root, "2024")
    with pytest.raises(InvalidChangeError, match="already"):
        collection_move(collection=year, parent=root, user=user)


def test_only_an_empty_collection_is_deleted(root: Collection) -> None:
    press = below(root, "Press")
    year = below(press, "2024")
    picture = AssetFactory(collection=year)
    user = who(Level.MANAGE, root, "mia")
    for place, why in ((press, "below it"), (year, "pictures in it"), (root, "stays")):
        with pytest.raises(InvalidChangeError, match=why):
            collection_delete(collection=place, user=user)
    Asset.objects.filter(pk=picture.pk).update(trashed_at="2026-01-01T00:00Z")
    with pytest.raises(InvalidChangeError, match="trash"):
        collection_delete(collection=year, user=user)
    picture.refresh_from_db()
    Asset.objects.filter(pk=picture.pk).update(collection=press)
    collection_delete(collection=year, user=user)
    assert not Collection.objects.filter(pk=year.pk).exists()
    assert told() == [("mia", "collection.delete", year.pk)]


def test_a_cover_is_a_picture_of_the_collection_and_shown_to_who_may_see_it(root: Collection) -> None:
    press = below(root, "Press")
    secret = below(press, "Secret")
    shown, hidden = AssetFactory(collection=press), AssetFactory(collection=secret)
    elsewhere = AssetFactory(collection=below(root, "Archive"))
    curator, reader = who(Level.CURATE, press), who(Level.VIEW, secret)
    with pytest.raises(InvalidChangeError) as refused:
        collection_update(collection=press, user=curator, cover_id=elsewhere.pk)
    assert refused.value.field == "cover_id"
    press = collection_update(collection=press, user=curator, cover_id=hidden.pk)
    assert collection_cover(user=curator, collection=press) == hidden
    assert collection_cover(user=reader, collection=press) == hidden
    Asset.objects.filter(pk=hidden.pk).update(trashed_at="2026-01-01T00:00Z")
    assert collection_cover(user=curator, collection=press) == shown
    assert collection_covers(user=reader, collections=[press, secret]) == {}


@pytest.mark.django_db(transaction=True)
def test_collections_made_at_once_by_many_leave_a_sound_tree() -> None:
    root_collection()
    user = StaffFactory()
    barrier = threading.Barrier(4)
    outcomes: list[str] = []

    def make(own: str) -> None:
        barrier.wait()
        try:
            for name in (own, "the same"):
                try:
                    collection_create(name=name, user=User.objects.get(pk=user.pk))
                    outcomes.append("made")
                except InvalidChangeError as error:
                    outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(f"own {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] * 5 + ["taken"] * 3
    assert names(collection_tree(user=user))[1:] == [*[f"-own {n}" for n in range(4)], "-the same"]
    assert Collection.objects.find_problems() == ([], [], [], [], [])
