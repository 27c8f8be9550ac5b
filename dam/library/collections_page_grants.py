"""Who may do what in a collection: the editor on its page."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from dam.assets.errors import InvalidChangeError
from dam.assets.grants import grant_remove, grant_set
from dam.assets.models import Grant, Level
from dam.assets.selectors import level_in
from dam.assets.tree import collection_get
from dam.library.acting import Done, act, posted_id, posted_text
from dam.library.policy import member

MOST_NAMES = 500
"""So many names are offered while a manager types; any other may be typed all the same."""


def subjects() -> dict[str, list[str]]:
    """Names of those to whom a right may be given, for who manages a collection."""
    users = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    groups = Group.objects.order_by("name").values_list("name", flat=True)
    return {"users": list(users[:MOST_NAMES]), "groups": list(groups[:MOST_NAMES])}


@act
def give(request: HttpRequest, collection_id: int) -> Done:
    """Give somebody a right, in the place of the one that they were given here before."""
    collection = collection_get(user=member(request), collection_id=collection_id)
    level = posted_id(request, "level")
    if level not in Level.values:
        raise InvalidChangeError("Choose what they may do.", field="level")
    kind, name = request.POST.get("to", ""), posted_text(request, "name")
    grant = grant_set(
        collection=collection,
        user=member(request),
        level=Level(level),
        to_user=_user(name) if kind == "user" else None,
        to_group=_group(name) if kind == "group" else None,
    )
    return Done(said=f"Given to {grant.subject_name}: {grant.get_level_display()}.")


@act
def take(request: HttpRequest, grant_id: int) -> Done:
    """Take a right away."""
    grant = Grant.objects.select_related("user", "group", "collection").get(pk=grant_id)
    if (level_in(member(request), grant.collection_id) or 0) < Level.MANAGE:
        # Who does not manage the collection does not know of its grants.
        raise Grant.DoesNotExist
    grant_remove(grant=grant, user=member(request))
    return Done(said=f"Taken away from {grant.subject_name}.")


def _user(name: str) -> User:
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        raise InvalidChangeError(f"Nobody here is called “{name}”. Give the user name.", field="name")
    return found


def _group(name: str) -> Group:
    found = Group.objects.filter(name=name).first()
    if found is None:
        raise InvalidChangeError(f"There is no group “{name}”.", field="name")
    return found
