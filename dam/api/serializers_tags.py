"""The forms of tags, of tries, and of the ledger."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from dam.search.counting import Count
from dam.search.tags import TagSuggestion
from dam.tagging.models import Tag


def count_json(count: Count) -> dict[str, Any]:
    """A number of assets."""
    return {
        "value": count.value,
        "exact": count.exact,
        "estimated": getattr(count, "estimated", False),
    }


class TagQuerySerializer(serializers.Serializer[Any]):
    """Which tags."""

    q = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=100,
        help_text="Beginning of a name, a synonym or a word in them.",
    )
    cursor = serializers.CharField(default="", allow_blank=True)
    limit = serializers.IntegerField(default=20, min_value=1, max_value=200)


class PredictSerializer(serializers.Serializer[Any]):
    """One picture to try."""

    file = serializers.FileField(allow_empty_file=True)
    wait = serializers.FloatField(
        default=10, min_value=0, max_value=30, help_text="Seconds to wait for the answer."
    )


class CountSerializer(serializers.Serializer[Any]):
    """A number of assets, counted up to a bound."""

    value = serializers.IntegerField()
    exact = serializers.BooleanField(help_text="False: there are more, or it is an estimate.")
    estimated = serializers.BooleanField(default=False, help_text="About so many, in two figures.")


class TagSerializer(serializers.Serializer[Tag]):
    """An entry of the vocabulary."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(Tag.Kind.choices)
    synonyms = serializers.ListField(child=serializers.CharField())
    threshold = serializers.FloatField()
    parents = serializers.ListField(
        child=serializers.CharField(), source="parent_slugs", help_text="Slugs of the tags right above it."
    )
    matched = serializers.SerializerMethodField(help_text="The synonym that matched; empty if the name did.")
    count = serializers.SerializerMethodField(help_text="Assets that you may see; null if not counted.")

    def get_matched(self, tag: Tag) -> str:
        """The synonym that what was typed is the beginning of."""
        suggestion = self._suggestion(tag)
        return suggestion.matched if suggestion else ""

    @extend_schema_field(CountSerializer(allow_null=True))
    def get_count(self, tag: Tag) -> dict[str, Any] | None:
        """Bounded; null where nobody counted."""
        suggestion = self._suggestion(tag)
        if suggestion is None or suggestion.count is None:
            return None
        return count_json(suggestion.count)

    def _suggestion(self, tag: Tag) -> TagSuggestion | None:
        found: TagSuggestion | None = self.context.get("suggestions", {}).get(tag.pk)
        return found


class TagPageSerializer(serializers.Serializer[Any]):
    """Some tags."""

    results = TagSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class PredictedTagSerializer(serializers.Serializer[Any]):
    """A tag and its probability."""

    slug = serializers.CharField()
    name = serializers.CharField()
    score = serializers.FloatField()


class PredictedByModelSerializer(serializers.Serializer[Any]):
    """Which model answered."""

    name = serializers.CharField()
    version = serializers.IntegerField()


class PredictionSerializer(serializers.Serializer[Any]):
    """What an asset of this picture would be tagged with, best first."""

    id = serializers.IntegerField()
    tags = PredictedTagSerializer(many=True)
    model = PredictedByModelSerializer()


class OpenPredictionSerializer(serializers.Serializer[Any]):
    """Not answered yet; ask again at ``Location``."""

    id = serializers.IntegerField()
    state = serializers.CharField()


class LedgerSerializer(serializers.Serializer[Any]):
    """What became of every upload and every job."""

    assets = serializers.IntegerField()
    tagged = serializers.IntegerField()
    pending = serializers.IntegerField()
    failed = serializers.IntegerField()
    failed_by_reason = serializers.DictField(child=serializers.IntegerField())
    jobs = serializers.DictField(child=serializers.IntegerField())
    forgotten = serializers.IntegerField(help_text="Pending assets without an open job: must be 0.")
    unproven = serializers.IntegerField(
        help_text="Tagged assets without a prediction of a version that is not withdrawn: must be 0."
    )
    unexplained = serializers.IntegerField(help_text="Failed assets without a failed job: must be 0.")
    oldest_open_s = serializers.FloatField(
        allow_null=True, help_text="Seconds since the oldest job that has no answer yet was issued."
    )
    dead_letters = serializers.IntegerField(help_text="Messages that a queue gave up, kept for replay.")
    agrees = serializers.BooleanField()
