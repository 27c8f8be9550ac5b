"""The admin shows what a member of staff may see by the grants of collections; superusers see everything."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from dam.assets.selectors import collection_ids


def visible_through(user: User | AnonymousUser, *paths: str, optional: bool = False) -> Q:
    """The condition on rows that name assets under these paths (``""``: that are assets).

    Args:
        user: who looks.
        paths: as of a filter, such as ``asset`` or ``job__asset``; all of them have to be visible.
        optional: whether rows that name none are everybody's.
    """
    ids = collection_ids(user)
    condition = Q()
    if ids is None:
        return condition
    for path in paths:
        way = f"{path}__" if path else ""
        # What lies in the trash stays in the admin, where it can be brought back.
        seen = Q(**{f"{way}collection__in": ids})
        condition &= seen | Q(**{f"{path}__isnull": True}) if optional else seen
    return condition


class OfVisibleAssets:
    """Lists and pages of rows that belong to pictures: those of pictures that the person may see."""

    asset_paths: tuple[str, ...] = ("asset",)
    asset_optional = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """What the person may know of; another row's page does not exist for them."""
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]  # of the ModelAdmin beside it
        return rows.filter(visible_through(request.user, *self.asset_paths, optional=self.asset_optional))
