"""Who may do what: given, taken, inherited."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from dam.assets.collections import collection_create
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.grants import grant_remove, grant_set, grants_of
from dam.assets.models import Collection, Grant, Level
from dam.assets.selectors import level_in
from tests.dam.factories import GrantFactory, StaffFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who

__all__ = ["root"]


def test_a_grant_holds_in_the_subtree_for_a_user_a_group_and_everybody(root: Collection) -> None:
    press = below(root, "Press")
    year = below(press, "2024")
    manager, ada, ben, cy = who(Level.MANAGE, press), *UserFactory.create_batch(3)
    team = Group.objects.create(name="Team")
    ben.groups.add(team)
    grant_set(collection=press, user=manager, level=Level.CURATE, to_user=ada)
    grant_set(collection=press, user=manager, level=Level.CONTRIBUTE, to_group=team)
    grant_set(collection=press, user=manager, level=Level.VIEW)
    held = [level_in(each, year.pk) for each in (ada, ben, cy)]
    assert held == [Level.CURATE, Level.CONTRIBUTE, Level.VIEW]
    assert level_in(ada, root.pk) is None
    assert [action for _, action, _ in told()] == ["grant.set"] * 3


def test_a_grant_given_again_replaces_the_one_before(root: Collection) -> None:
    manager, ada = who(Level.MANAGE, root), UserFactory()
    first = grant_set(collection=root, user=manager, level=Level.CURATE, to_user=ada)
    again = grant_set(collection=root, user=manager, level=Level.VIEW, to_user=ada)
    assert (again.pk, level_in(ada, root.pk)) == (first.pk, Level.VIEW)
    grant_set(collection=root, user=manager, level=Level.VIEW, to_user=ada)
    assert len(told("grant.set")) == 2
    grant_remove(grant=again, user=manager)
    assert level_in(ada, root.pk) is None


def test_only_who_manages_gives_takes_and_reads_grants(root: Collection) -> None:
    press = below(root, "Press")
    grant = GrantFactory(collection=press, user=UserFactory(), level=Level.VIEW)
    curator, stranger = who(Level.CURATE, press), UserFactory()
    for user, refusal in ((curator, NotAllowedError), (stranger, Collection.DoesNotExist)):
        with pytest.raises(refusal):
            grant_set(collection=press, user=user, level=Level.MANAGE, to_user=user)
        with pytest.raises(refusal):
            grant_remove(grant=grant, user=user)
        with pytest.raises(refusal):
            grants_of(user=user, collection=press)
    assert not told()


def test_managers_see_what_is_inherited_and_not_the_names_above_that_they_may_not_see(
    root: Collection,
) -> None:
    hidden = below(root, "Hidden")
    press = below(hidden, "Press")
    GrantFactory(collection=hidden, level=Level.CURATE, group=Group.objects.create(name="Team"))
    manager = who(Level.MANAGE, press, "mia")
    shown = [
        (each.grant.subject_name, each.inherited, each.source and each.source.name)
        for each in grants_of(user=manager, collection=press)
    ]
    assert shown == [("mia", False, "Press"), ("group Team", True, None)]
    seen = grants_of(user=StaffFactory(), collection=press)
    assert [each.source and each.source.name for each in seen] == ["Press", "Hidden"]


def test_nobody_locks_themselves_out_without_saying_so(root: Collection) -> None:
    manager = who(Level.MANAGE, root)
    own = Grant.objects.get(user=manager)
    for act in (
        lambda: grant_set(collection=root, user=manager, level=Level.CURATE, to_user=manager),
        lambda: grant_remove(grant=own, user=manager),
    ):
        with pytest.raises(InvalidChangeError) as refused:
            act()
        assert refused.value.code == "locks-you-out"
    assert (level_in(manager, root.pk), told()) == (Level.MANAGE, [])
    grant_remove(grant=own, user=manager, force=True)
    assert level_in(manager, root.pk) is None


def test_a_superuser_cannot_lock_themselves_out(root: Collection) -> None:
    staff = StaffFactory()
    grant = grant_set(collection=root, user=staff, level=Level.MANAGE, to_user=staff)
    grant_remove(grant=grant, user=staff)
    assert level_in(staff, root.pk) == Level.MANAGE


def test_what_makes_no_sense_is_refused(root: Collection) -> None:
    manager, ada = who(Level.MANAGE, root), UserFactory()
    with pytest.raises(InvalidChangeError, match="not to both"):
        grant_set(
            collection=root,
            user=manager,
            level=Level.VIEW,
            to_user=ada,
            to_group=Group.objects.create(name="Team"),
        )
    with pytest.raises(InvalidChangeError, match="no such level"):
        grant_set(collection=root, user=manager, level=6, to_user=ada)  # type: ignore[arg-type]


def test_a_new_collection_needs_no_grants_of_its_own(root: Collection) -> None:
    curator = who(Level.CURATE, root)
    made = collection_create(name="New", user=curator)
    assert (level_in(curator, made.pk), made.grants.count()) == (Level.CURATE, 0)
