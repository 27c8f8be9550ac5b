"""The forms of facets, of similar pictures, and of searches that are kept."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from dam.api.pages import SORT_NAMES, StrictSerializer
from dam.api.serializers import AssetSerializer
from dam.api.serializers_tags import CountSerializer

# ------------------------------------------------------------------- facets


class FacetsQuerySerializer(serializers.Serializer[Any]):
    """Of which search."""

    q = serializers.CharField(default="", allow_blank=True)


class FacetValueSerializer(serializers.Serializer[Any]):
    """Something that assets of the search have."""

    term = serializers.CharField(help_text="In the search language; with a dash before it, all others.")
    label = serializers.CharField()  # type: ignore[assignment]  # shadows an argument
    count = CountSerializer()
    all_have_it = serializers.BooleanField(help_text="Without it nothing would be left.")


class FacetSerializer(serializers.Serializer[Any]):
    """One way to narrow a search."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # shadows an argument
    values = FacetValueSerializer(many=True)


class FacetsSerializer(serializers.Serializer[Any]):
    """All of them; those without a value are left out."""

    total = CountSerializer()
    facets = FacetSerializer(many=True)
    estimated = serializers.BooleanField(
        help_text="Counts are scaled from a part of the assets; a rare value may be missing."
    )


# ------------------------------------------------------------------ similar


class SimilarQuerySerializer(serializers.Serializer[Any]):
    """How many."""

    limit = serializers.IntegerField(default=24, min_value=1, max_value=200)


class SimilarAssetSerializer(serializers.Serializer[Any]):
    """An asset, and how much it looks like the other."""

    similarity = serializers.FloatField(help_text="The cosine of the embeddings, from -1 to 1.")
    asset = AssetSerializer()


class SimilarListSerializer(serializers.Serializer[Any]):
    """The most similar first."""

    results = SimilarAssetSerializer(many=True)


class ExampleSerializer(serializers.Serializer[Any]):
    """A picture to find others by; it is not kept."""

    file = serializers.FileField(allow_empty_file=True)
    wait = serializers.FloatField(
        default=10, min_value=0, max_value=30, help_text="Seconds to wait for the answer."
    )
    limit = serializers.IntegerField(default=60, min_value=1, max_value=200)


class SimilarToExampleSerializer(SimilarListSerializer):
    """What looks like an example."""

    id = serializers.IntegerField(help_text="Of the try: its tags are at `/api/v1/predict/{id}/`.")


# ----------------------------------------------------------- searches kept


class SavedSearchSerializer(serializers.Serializer[Any]):
    """A search under a name; each finds by it what they may see."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    query = serializers.CharField()
    sort = serializers.CharField()
    shared = serializers.BooleanField(help_text="Whether everybody with an account finds it.")
    owner = serializers.CharField()
    mine = serializers.BooleanField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class SavedSearchPageSerializer(serializers.Serializer[Any]):
    """By name."""

    results = SavedSearchSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class SearchSaveSerializer(StrictSerializer):
    """A search to keep; of the same name you have one."""

    name = serializers.CharField(max_length=200)
    query = serializers.CharField(allow_blank=True, max_length=500)
    sort = serializers.ChoiceField(SORT_NAMES, default="newest")
    shared = serializers.BooleanField(default=False)


class SearchChangeSerializer(StrictSerializer):
    """What of it to change."""

    name = serializers.CharField(required=False, max_length=200)
    query = serializers.CharField(required=False, allow_blank=True, max_length=500)
    sort = serializers.ChoiceField(SORT_NAMES, required=False)
    shared = serializers.BooleanField(required=False)


class RecentSearchSerializer(serializers.Serializer[Any]):
    """What you searched for lately."""

    query = serializers.CharField()
    at = serializers.DateTimeField()


class RecentSearchListSerializer(serializers.Serializer[Any]):
    """The newest first."""

    results = RecentSearchSerializer(many=True)


class RecentNoteSerializer(StrictSerializer):
    """A search that was made."""

    query = serializers.CharField(max_length=500)
