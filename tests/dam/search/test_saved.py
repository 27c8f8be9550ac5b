"""Searches that people keep, and those that they made lately."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.audit.models import AuditEntry
from dam.search.models import SavedSearch
from dam.search.saved import (
    KEPT,
    recent_search_note,
    recent_searches,
    recent_searches_forget,
    search_delete,
    search_get,
    search_save,
    search_update,
    searches_visible_to,
)
from tests.dam.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna():
    return UserFactory(username="anna")


@pytest.fixture
def bob():
    return UserFactory(username="bob")


def acts():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "object_name", "changes"))


def test_a_saved_search_is_its_owner_s_until_it_is_shared(anna, bob):
    own = search_save(user=anna, name="  Red   dogs ", query="tag:dog color:red", sort="name")
    assert (own.name, own.sort, own.shared) == ("Red dogs", "name", False)
    assert list(searches_visible_to(anna)) == [own]
    assert list(searches_visible_to(bob)) == list(searches_visible_to(AnonymousUser())) == []
    with pytest.raises(SavedSearch.DoesNotExist):
        search_get(user=bob, search_id=own.pk)
    search_update(search=own, user=anna, shared=True)
    other = search_save(user=bob, name="Zoo", query="zoo")
    assert list(searches_visible_to(bob)) == [other, own]
    assert search_get(user=bob, search_id=own.pk) == own


def test_saving_under_a_known_name_replaces_the_search(anna):
    first = search_save(user=anna, name="Dogs", query="dog")
    second = search_save(user=anna, name="Dogs", query="tag:dog", sort="similar")
    assert (second.pk, second.query) == (first.pk, "tag:dog")
    assert acts() == [
        ("search.save", "Dogs", {"query": "dog", "shared": False}),
        ("search.edit", "Dogs", {"query": ["dog", "tag:dog"], "sort": ["newest", "similar"]}),
    ]


def test_what_was_done_to_a_search_is_written_down(anna):
    search = search_save(user=anna, name="Dogs", query="dog")
    search_update(search=search, user=anna, name="Hounds")
    search_update(search=search, user=anna, name="Hounds")
    search_delete(search=search, user=anna)
    assert [(action, name) for action, name, _ in acts()] == [
        ("search.save", "Dogs"),
        ("search.edit", "Hounds"),
        ("search.delete", "Hounds"),
    ]
    assert not SavedSearch.objects.exists()


def test_nobody_changes_another_s_search_but_an_administrator(anna, bob):
    search = search_save(user=anna, name="Dogs", query="dog", shared=True)
    with pytest.raises(NotAllowedError):
        search_update(search=search, user=bob, name="Cats")
    with pytest.raises(NotAllowedError):
        search_delete(search=search, user=bob)
    assert search_update(search=search, user=StaffFactory(), shared=False).shared is False


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": " \0 "}, "name", "needs a name"),
        ({"name": "x" * 201}, "name", "200"),
        ({"query": "  "}, "query", "nothing to search for"),
        ({"query": "dog (cat"}, "query", r"not closed. \(column 5\)"),
        ({"sort": "colour"}, "sort", "no order"),
    ],
)
def test_what_cannot_be_searched_for_is_not_kept(anna, changes, field, says):
    with pytest.raises(InvalidChangeError, match=says) as caught:
        search_save(user=anna, **({"name": "Dogs", "query": "dog"} | changes))
    assert caught.value.field == field
    assert acts() == []


def test_two_searches_of_a_person_have_different_names(anna):
    search_save(user=anna, name="Dogs", query="dog")
    cats = search_save(user=anna, name="Cats", query="cat")
    with pytest.raises(InvalidChangeError) as caught:
        search_update(search=cats, user=anna, name="Dogs")
    assert (caught.value.field, caught.value.code) == ("name", "name-taken")
    assert SavedSearch.objects.get(pk=cats.pk).name == "Cats"


def test_only_the_newest_recent_searches_are_kept_and_only_for_oneself(anna, bob):
    for number in range(KEPT + 3):
        recent_search_note(user=anna, query=f"dog {number}")
    recent_search_note(user=anna, query=" dog   5 ")
    for nothing in ("", "  ", "dog (", "x" * 600):
        recent_search_note(user=anna, query=nothing)
    recent_search_note(user=bob, query="cat")
    queries = [search.query for search in recent_searches(anna)]
    assert queries[:2] == ["dog 5", f"dog {KEPT + 2}"]
    assert len(queries) == len(set(queries)) == KEPT
    recent_searches_forget(user=anna)
    assert list(recent_searches(anna)) == list(recent_searches(AnonymousUser())) == []
    assert [search.query for search in recent_searches(bob)] == ["cat"]
