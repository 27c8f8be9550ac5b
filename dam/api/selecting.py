"""What somebody selected, as JSON: some pictures by their ids, or all that a search finds but for a few."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers

from dam.api.pages import SORT_NAMES, IdField, id_list
from dam.curation.selection import Selection, selection_ids


class ChosenSerializer(serializers.Serializer[Any]):
    """Pictures: `ids`, or else all that `query` finds without `excluded`."""

    ids = id_list(required=False, help_text="Of assets.")
    query = serializers.CharField(
        required=False, allow_blank=True, max_length=2000, help_text="As in a search; empty: everything."
    )
    excluded = serializers.ListField(
        child=IdField(), required=False, max_length=10_000, help_text="Found by the query, and not meant."
    )
    sort = serializers.ChoiceField(SORT_NAMES, default="newest", help_text="The order of what is found.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One way of choosing, not both and not none."""
        if ("ids" in attrs) == ("query" in attrs):
            raise serializers.ValidationError("Give ids, or else a query.")
        return attrs


def chosen_ids(user: User, chosen: dict[str, Any]) -> list[int]:
    """The pictures, each once, in order; what the user may not see is not among them.

    Raises:
        InvalidChangeError: too many at once.
        SearchError: the query cannot be understood.
    """
    selection = Selection(
        ids=chosen.get("ids", ()),
        query=chosen.get("query"),
        sort=chosen["sort"],
        excluded=chosen.get("excluded", ()),
    )
    return selection_ids(user=user, selection=selection)
