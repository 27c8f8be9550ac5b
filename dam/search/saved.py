"""Searches that people keep, and those that they made lately."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.selectors import Person
from dam.audit.services import Target, audit_record
from dam.search.language import MAX_LENGTH, SearchError, parse
from dam.search.models import RecentSearch, SavedSearch
from dam.search.paging import SORTS

KEPT = 20
"""So many recent searches of a person are kept."""

_MAX_NAME = 200
# Not in SORTS, being no order of a column: that of a query with ``similar:``.
_BY_LIKENESS = "similar"

# ---------------------------------------------------------------- selectors


def searches_visible_to(user: Person) -> QuerySet[SavedSearch]:
    """A person's own saved searches, then those that others share, each by name."""
    if not user.is_authenticated or not user.is_active:
        return SavedSearch.objects.none()
    own_first = Case(When(owner=user, then=Value(0)), default=Value(1))
    return SavedSearch.objects.filter(Q(owner=user) | Q(shared=True)).order_by(own_first, "name", "id")


def search_get(*, user: Person, search_id: int) -> SavedSearch:
    """One saved search.

    Raises:
        SavedSearch.DoesNotExist: there is none, or the person does not know of it.
    """
    return searches_visible_to(user).select_related("owner").get(pk=search_id)


def recent_searches(user: Person) -> QuerySet[RecentSearch]:
    """What a person searched for lately, the newest first."""
    if not user.is_authenticated:
        return RecentSearch.objects.none()
    return RecentSearch.objects.filter(user=user).order_by("-at", "-pk")


# ------------------------------------------------------------------ changes


class SearchChanges(TypedDict, total=False):
    """What of a saved search may be changed."""

    name: str
    query: str
    sort: str
    shared: bool


def search_save(
    *, user: User, name: str, query: str, sort: str = "newest", shared: bool = False
) -> SavedSearch:
    """Keep a search under a name; one's own of that name is replaced.

    Raises:
        InvalidChangeError: no name, a query that cannot be understood, an unknown sort.
    """
    wanted = _checked(SearchChanges(name=name, query=query, sort=sort, shared=shared))
    with transaction.atomic():
        search, created = SavedSearch.objects.select_for_update().get_or_create(
            owner=user, name=wanted["name"], defaults=wanted
        )
        if created:
            _record(user, "search.save", search, {"query": search.query, "shared": search.shared})
        else:
            _change(search, user, wanted)
    return search


def search_update(*, search: SavedSearch, user: User, **changes: Unpack[SearchChanges]) -> SavedSearch:
    """Change what is named; the rest stays.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: as for :func:`search_save`, or another of one's searches has that name.
    """
    _check_owner(search, user)
    wanted = _checked(changes)
    try:
        with transaction.atomic():
            held = SavedSearch.objects.select_for_update().get(pk=search.pk)
            _change(held, user, wanted)
    except IntegrityError as error:
        if "savedsearch_name_unique" not in str(error):
            raise
        raise InvalidChangeError(
            f"You have a search named “{wanted['name']}” already.", field="name", code="name-taken"
        ) from None
    return held


def search_delete(*, search: SavedSearch, user: User) -> None:
    """Forget a saved search; the pictures that it finds stay.

    Raises:
        NotAllowedError: it is somebody else's.
    """
    _check_owner(search, user)
    with transaction.atomic():
        held = SavedSearch.objects.select_for_update().filter(pk=search.pk).first()
        if held is not None:
            _record(user, "search.delete", held, {"query": held.query})
            held.delete()


def recent_search_note(*, user: User, query: str) -> None:
    """Note that a person searched for this just now; only the newest :data:`KEPT` are kept.

    An empty query, or one that cannot be understood, is none that anybody wants again.
    """
    text = " ".join(query.split())
    try:
        if parse(text) is None:
            return
    except SearchError:
        return
    RecentSearch.objects.update_or_create(user=user, query=text, defaults={"at": timezone.now()})
    kept = list(recent_searches(user).values_list("pk", flat=True)[:KEPT])
    RecentSearch.objects.filter(user=user).exclude(pk__in=kept).delete()


def recent_searches_forget(*, user: User) -> None:
    """Forget what a person searched for."""
    RecentSearch.objects.filter(user=user).delete()


def _check_owner(search: SavedSearch, user: User) -> None:
    if search.owner_id != user.pk and not user.is_superuser:
        raise NotAllowedError("This search is somebody else's.")


def _checked(changes: SearchChanges) -> SearchChanges:
    """As they are kept."""
    wanted = changes.copy()
    if "name" in wanted:
        wanted["name"] = " ".join(wanted["name"].replace("\0", "").split())
        if not wanted["name"]:
            raise InvalidChangeError("A saved search needs a name.", field="name", code="required")
        if len(wanted["name"]) > _MAX_NAME:
            raise InvalidChangeError(f"A name has at most {_MAX_NAME} characters.", field="name")
    if "query" in wanted:
        wanted["query"] = wanted["query"].strip()
        try:
            if parse(wanted["query"]) is None:
                raise InvalidChangeError("There is nothing to search for.", field="query", code="required")
        except SearchError as error:
            place = f" (column {error.column})" if error.column else ""
            raise InvalidChangeError(f"{error.message}{place}", field="query", code="bad-query") from None
        assert len(wanted["query"]) <= MAX_LENGTH
    if "sort" in wanted and wanted["sort"] not in {*SORTS, _BY_LIKENESS}:
        raise InvalidChangeError(f"There is no order “{wanted['sort']}”.", field="sort")
    return wanted


def _change(search: SavedSearch, user: User, wanted: SearchChanges) -> None:
    before: dict[str, Any] = {field: getattr(search, field) for field in wanted}
    changed = {field: [before[field], value] for field, value in wanted.items() if before[field] != value}
    if not changed:
        return
    for field in changed:
        setattr(search, field, wanted[field])  # type: ignore[literal-required]  # keys of the same type
    search.save(update_fields=[*changed, "updated_at"])
    _record(user, "search.edit", search, changed)


def _record(user: User, action: str, search: SavedSearch, changes: dict[str, Any]) -> None:
    audit_record(
        actor=user,
        action=action,
        targets=[Target(type="search", id=search.pk, name=search.name, changes=changes)],
    )
