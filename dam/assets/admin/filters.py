"""Filters of the list of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dam.assets.models import Asset, Collection
from dam.assets.selectors import collections_with, usable_condition

EXPIRING_WITHIN = timedelta(days=30)


class InCollection(admin.SimpleListFilter):
    """A collection with everything below it."""

    title = "collection"
    parameter_name = "collection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """Those that the person may see, indented as they lie in each other."""
        del model_admin
        return [
            (str(each.pk), "\u2003" * (each.depth - 1) + each.name) for each in collections_with(request.user)
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Asset]) -> QuerySet[Asset]:
        """Nothing for what is none of theirs."""
        chosen = self.value()
        if not chosen:
            return queryset
        found = collections_with(request.user).filter(pk=chosen).first() if chosen.isdecimal() else None
        if found is None:
            return queryset.none()
        below = Collection.objects.filter(path__startswith=found.path)
        return queryset.filter(collection__in=below)


class Usable(admin.SimpleListFilter):
    """Whether a picture may be used today."""

    title = "rights"
    parameter_name = "rights"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """As the search language calls them."""
        del request, model_admin
        return (
            ("usable", "usable"),
            ("expired", "expired"),
            ("embargoed", "under an embargo"),
            ("expiring", f"expiring within {EXPIRING_WITHIN.days} days"),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Asset]) -> QuerySet[Asset]:
        """By today's date."""
        del request
        today = timezone.now().date()
        conditions = {
            "usable": usable_condition(today),
            "expired": Q(expires_on__lt=today),
            "embargoed": Q(embargo_until__gt=today),
            "expiring": Q(expires_on__gte=today, expires_on__lte=today + EXPIRING_WITHIN),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class InTrash(admin.SimpleListFilter):
    """What lies in the trash is shown when it is asked for."""

    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """Beside the library itself."""
        del request, model_admin
        return (("in", "in the trash"), ("both", "in the library and in the trash"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Asset]) -> QuerySet[Asset]:
        """The library, unless the trash is asked for."""
        del request
        if self.value() == "both":
            return queryset
        return queryset.filter(trashed_at__isnull=self.value() != "in")

    def choices(self, changelist: Any) -> Iterator[Any]:
        """With the word for what is shown by itself."""
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "in the library"} if number == 0 else choice


class Orientation(admin.SimpleListFilter):
    """Landscape, portrait or square."""

    title = "orientation"
    parameter_name = "orientation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """As the search language calls them."""
        del request, model_admin
        return tuple((word, word) for word in ("landscape", "portrait", "square"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Asset]) -> QuerySet[Asset]:
        """By the picture's two sides."""
        del request
        sides = {
            "landscape": Q(width__gt=F("height")),
            "portrait": Q(width__lt=F("height")),
            "square": Q(width=F("height")),
        }
        condition = sides.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)
