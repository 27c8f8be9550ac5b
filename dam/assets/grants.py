"""Who may do what in a collection, and in everything below it."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.db import transaction

from dam.assets.collections import level_required
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Collection, Grant, Level
from dam.assets.selectors import collections_with, level_in
from dam.audit.services import Target, audit_record

_STEP = Collection.steplen


@dataclass(frozen=True, slots=True)
class GrantShown:
    """A grant that holds in a collection."""

    grant: Grant
    inherited: bool
    """It was given to a collection above, and can only be changed there."""
    source: Collection | None
    """The collection that it was given to; None: one that this person may not see."""


def grants_of(*, user: User, collection: Collection) -> list[GrantShown]:
    """The grants that hold in a collection, for who manages it: its own first, then those from above.

    Raises:
        Collection.DoesNotExist: the person may not know of it.
        NotAllowedError: the person does not manage it.
    """
    level_required(user, collection, Level.MANAGE, "see who may do what")
    path: str = collection.path
    above = [path[:end] for end in range(_STEP, len(path) + 1, _STEP)]
    visible = {each.pk: each for each in collections_with(user).filter(path__in=above)}
    grants = (
        Grant.objects.filter(collection__path__in=above)
        .select_related("user", "group", "collection")
        .order_by("-collection__path", "-level", "group__name", "user__username", "pk")
    )
    return [
        GrantShown(grant, grant.collection_id != collection.pk, visible.get(grant.collection_id))
        for grant in grants
    ]


def grant_set(  # noqa: PLR0913  # all by name
    *,
    collection: Collection,
    user: User,
    level: Level,
    to_user: User | None = None,
    to_group: Group | None = None,
    force: bool = False,
) -> Grant:
    """Give a right to a user, to a group, or, with neither, to everybody; what they were given before ends.

    A grant adds to those from above and takes nothing away.

    Args:
        collection: where it holds, with all below.
        user: who gives it.
        level: the most that they may do.
        to_user: to whom.
        to_group: to whom.
        force: even if the giver will no longer manage the collection.

    Raises:
        NotAllowedError: the giver does not manage the collection.
        InvalidChangeError: to both a user and a group, no such level, or (``locks-you-out``) the giver
            would no longer manage it.
    """
    if to_user is not None and to_group is not None:
        raise InvalidChangeError("A grant is to a user or to a group, not to both.", field="group")
    if level not in Level.values:
        raise InvalidChangeError("There is no such level.", field="level")
    with transaction.atomic():
        _collection_hold(collection)
        level_required(user, collection, Level.MANAGE, "decide who may do what")
        before = Grant.objects.filter(collection=collection, user=to_user, group=to_group).first()
        grant, _ = Grant.objects.update_or_create(
            collection=collection,
            user=to_user,
            group=to_group,
            defaults={"level": level},
            create_defaults={"level": level, "created_by": user},
        )
        if not force:
            _still_manager_required(user, collection)
        was = before.level if before else None
        if was != level:
            _told(user, "grant.set", grant, [was, int(level)])
    return grant


def grant_remove(*, grant: Grant, user: User, force: bool = False) -> None:
    """Take a grant away; what follows from others stays.

    Raises:
        NotAllowedError: the person does not manage its collection.
        InvalidChangeError: (``locks-you-out``) they would no longer manage it, and ``force`` is not set.
        Grant.DoesNotExist: it is gone.
    """
    with transaction.atomic():
        _collection_hold(grant.collection)
        level_required(user, grant.collection, Level.MANAGE, "decide who may do what")
        held = Grant.objects.select_for_update(of=("self",)).get(pk=grant.pk)
        _told(user, "grant.remove", held, [held.level, None])
        held.delete()
        if not force:
            _still_manager_required(user, grant.collection)


def _collection_hold(collection: Collection) -> None:
    """One change of its grants at a time, so that two managers do not remove each other."""
    Collection.objects.select_for_update(no_key=True, of=("self",)).get(pk=collection.pk)


def _still_manager_required(user: User, collection: Collection) -> None:
    if level_in(user, collection.pk) != Level.MANAGE:
        raise InvalidChangeError(
            "You would no longer manage this collection, and could not undo it.",
            field="level",
            code="locks-you-out",
        )


def _told(user: User, action: str, grant: Grant, level: list[int | None]) -> None:
    subject = {"user": grant.user_id, "group": grant.group_id}
    changes = {"to": grant.subject_name, **{key: pk for key, pk in subject.items() if pk}, "level": level}
    target = Target("grant", grant.pk, str(grant.subject_name), grant.collection_id, changes)
    audit_record(actor=user, action=action, targets=[target])
