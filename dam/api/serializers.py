"""The forms of what the API takes and gives; OpenAPI follows from them."""

from __future__ import annotations

from typing import Any, cast

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from dam.assets.addresses import file_url, rendition_url
from dam.assets.models import Asset
from dam.search.paging import SORTS
from dam.search.selectors import TagSuggestion, rejected_claims, shown_claims
from dam.tagging.models import Claim, Decision, Tag

# ---------------------------------------------------------------- asked for


class SearchQuerySerializer(serializers.Serializer[Any]):
    """A search."""

    q = serializers.CharField(default="", allow_blank=True, help_text='Such as `dog -cat`, `tag:"hot dog"`.')
    sort = serializers.ChoiceField(list(SORTS), default="newest")
    cursor = serializers.CharField(default="", allow_blank=True, help_text="`next` or `previous` of a page.")
    limit = serializers.IntegerField(default=60, min_value=1, max_value=200)


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


class UploadSerializer(serializers.Serializer[Any]):
    """One picture to keep."""

    file = serializers.FileField(
        allow_empty_file=True,  # refused with the same words as by the other ways in
        max_length=None,
    )
    bulk = serializers.BooleanField(default=False, help_text="Nobody waits for it: people go first.")


class PredictSerializer(serializers.Serializer[Any]):
    """One picture to try."""

    file = serializers.FileField(allow_empty_file=True)
    wait = serializers.FloatField(
        default=10, min_value=0, max_value=30, help_text="Seconds to wait for the answer."
    )


class DecideSerializer(serializers.Serializer[Any]):
    """What a person says about a tag."""

    tag = serializers.CharField(max_length=100, help_text="Slug or name.")
    verdict = serializers.ChoiceField(Decision.Verdict.choices)


# -------------------------------------------------------------------- given


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.CharField(help_text="A stable word for programs.")
    errors = serializers.DictField(  # type: ignore[assignment]  # shadows a property that output has no use for
        child=serializers.JSONField(), required=False, help_text="By field, where the code is `invalid`."
    )
    column = serializers.IntegerField(
        required=False, allow_null=True, help_text="Where the query cannot be read, for `bad-query`."
    )


class AssetTagSerializer(serializers.Serializer[Claim]):
    """A tag of an asset, with where it came from."""

    slug = serializers.CharField(source="tag.slug")
    name = serializers.CharField(source="tag.name")
    score = serializers.FloatField(allow_null=True, help_text="The model's probability, if it gave one.")
    source = serializers.ChoiceField(Claim.Source.choices)  # type: ignore[assignment]  # shadows an argument
    state = serializers.ChoiceField(Claim.State.choices)


def _tags_json(claims: list[Claim]) -> list[dict[str, Any]]:
    return list(AssetTagSerializer(cast("Any", claims), many=True).data)


class AssetUrlsSerializer(serializers.Serializer[Any]):
    """Where things are."""

    self = serializers.CharField()
    file = serializers.CharField(help_text="The original.")
    grid = serializers.CharField(allow_null=True, help_text="Null until a worker has made it.")
    preview = serializers.CharField(allow_null=True, help_text="Null until a worker has made it.")
    page = serializers.CharField(help_text="For people.")


class AssetSerializer(serializers.Serializer[Asset]):
    """A catalogued picture. The addresses are paths on this server."""

    id = serializers.IntegerField()
    filename = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    state = serializers.ChoiceField(Asset.State.choices)
    reason = serializers.CharField(help_text="Why it failed; empty otherwise.")
    detail = serializers.CharField(help_text="The same as a sentence.")
    width = serializers.IntegerField(help_text="Pixels, as people see it.")
    height = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes.")
    media_type = serializers.CharField()
    taken_at = serializers.DateTimeField(allow_null=True)
    camera = serializers.CharField()
    created_at = serializers.DateTimeField()
    uploaded_by = serializers.CharField(source="uploaded_by.username", allow_null=True)
    sha256 = serializers.CharField(source="current_version.blob.sha256")
    placeholder = serializers.CharField(
        source="current_version.placeholder", help_text="A tiny picture as a data: address; empty until made."
    )
    urls = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField(help_text="Suggested and accepted, best first.")
    rejected_tags = serializers.SerializerMethodField()

    @extend_schema_field(AssetUrlsSerializer)
    def get_urls(self, asset: Asset) -> dict[str, str | None]:
        """Paths on this server."""
        return {
            "self": reverse("api-asset", args=[asset.pk]),
            "file": file_url(asset),
            "grid": rendition_url(asset, "grid"),
            "preview": rendition_url(asset, "preview"),
            "page": reverse("asset", args=[asset.pk]),
        }

    @extend_schema_field(AssetTagSerializer(many=True))
    def get_tags(self, asset: Asset) -> list[dict[str, Any]]:
        """Suggested and accepted, best first."""
        return _tags_json(shown_claims(asset))

    @extend_schema_field(AssetTagSerializer(many=True))
    def get_rejected_tags(self, asset: Asset) -> list[dict[str, Any]]:
        """What people said no to."""
        return _tags_json(rejected_claims(asset))


class AssetPageSerializer(serializers.Serializer[Any]):
    """One page of a search."""

    results = AssetSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page.")
    previous = serializers.CharField(allow_null=True)
    notices = serializers.ListField(child=serializers.CharField(), help_text="What people should know.")


class CountSerializer(serializers.Serializer[Any]):
    """A number of assets, counted up to a bound."""

    value = serializers.IntegerField()
    exact = serializers.BooleanField(help_text="False: there are more.")


class TagSerializer(serializers.Serializer[Tag]):
    """An entry of the vocabulary."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(Tag.Kind.choices)
    synonyms = serializers.ListField(child=serializers.CharField())
    threshold = serializers.FloatField()
    parents = serializers.SerializerMethodField(help_text="Slugs.")
    matched = serializers.SerializerMethodField(help_text="The synonym that matched; empty if the name did.")
    count = serializers.SerializerMethodField(help_text="Assets that you may see; null if not counted.")

    def get_parents(self, tag: Tag) -> list[str]:
        """Slugs of the tags right above it."""
        return sorted(parent.slug for parent in tag.parents.all())

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
        return {"value": suggestion.count.value, "exact": suggestion.count.exact}

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
