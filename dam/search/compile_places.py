"""Collections and albums by the names that people type; only those that they know of."""

from __future__ import annotations

from functools import reduce

from django.db.models import Q, QuerySet

from dam.assets.albums import albums_visible_to
from dam.assets.models import Album, Collection
from dam.assets.selectors import Person, collections_with
from dam.search.language_values import read_number


def collections_named(value: str, *, user: Person | None) -> QuerySet[Collection]:
    """The collections that ``collection:value`` names: by number, by name, or by the end of a path."""
    visible = _collections(user)
    number = read_number(value)
    if number is not None and (found := visible.filter(pk=number)):
        return found
    if found := visible.filter(name__iexact=value):
        return found
    parts = [part.strip() for part in value.split("/") if part.strip()]
    if not parts:
        return visible.none()
    # Only what the person knows of may be named above it, so that no path tells of more.
    above: set[str] | None = None
    for part in parts:
        paths = visible.filter(name__iexact=part).values_list("path", flat=True)
        above = {path for path in paths if above is None or path[: -Collection.steplen] in above}
    return visible.filter(path__in=above or ())


def ids_below(collections: QuerySet[Collection], *, user: Person | None) -> list[int]:
    """Ids of these collections and of all below them that the person knows of."""
    paths = list(collections.values_list("path", flat=True))
    if not paths:
        return []
    below: Q = reduce(lambda left, right: left | right, (Q(path__startswith=path) for path in paths))
    return list(_collections(user).filter(below).values_list("pk", flat=True))


def _collections(user: Person | None) -> QuerySet[Collection]:
    everything: QuerySet[Collection] = Collection.objects.all()
    return everything if user is None else collections_with(user)


def albums_named(value: str, *, user: Person | None) -> dict[int, str]:
    """Id → name of the albums that ``album:value`` names: by number, else by name."""
    visible = Album.objects.all() if user is None else albums_visible_to(user)
    number = read_number(value)
    wanted = Q(pk=number) if number is not None else Q()
    found = dict(visible.filter(wanted).values_list("pk", "name")) if wanted else {}
    return found or dict(visible.filter(name__iexact=value).values_list("pk", "name"))
