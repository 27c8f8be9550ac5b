"""The forms of what the API takes and gives; OpenAPI follows from them."""

from __future__ import annotations

from typing import Any, cast

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from dam.api.pages import SORT_NAMES, IdField, StrictSerializer
from dam.assets.addresses import file_url, rendition_url
from dam.assets.models import Asset
from dam.assets.rights import mark_of
from dam.search.selectors import rejected_claims, shown_claims
from dam.tagging.models import Claim, Decision

# ---------------------------------------------------------------- asked for


class SearchQuerySerializer(serializers.Serializer[Any]):
    """A search."""

    q = serializers.CharField(default="", allow_blank=True, help_text='Such as `dog -cat`, `tag:"hot dog"`.')
    sort = serializers.ChoiceField(SORT_NAMES, default="newest")
    cursor = serializers.CharField(default="", allow_blank=True, help_text="`next` or `previous` of a page.")
    limit = serializers.IntegerField(default=60, min_value=1, max_value=200)


class UploadSerializer(serializers.Serializer[Any]):
    """One picture to keep."""

    file = serializers.FileField(
        allow_empty_file=True,  # refused with the same words as by the other ways in
        max_length=None,
    )
    bulk = serializers.BooleanField(default=False, help_text="Nobody waits for it: people go first.")
    collection = IdField(required=False, help_text="Where to; without: the root.")


class AssetChangeSerializer(StrictSerializer):
    """What of an asset to change."""

    title = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    licence = serializers.CharField(required=False, allow_blank=True)
    copyright_holder = serializers.CharField(required=False, allow_blank=True)
    credit = serializers.CharField(required=False, allow_blank=True)
    release_status = serializers.ChoiceField([("", "unknown"), *Asset.Release.choices], required=False)
    expires_on = serializers.DateField(required=False, allow_null=True)
    embargo_until = serializers.DateField(required=False, allow_null=True)
    collection = IdField(required=False, help_text="Where to move it.")


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


class RefSerializer(serializers.Serializer[Any]):
    """Something, by id and name."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class MatchReasonSerializer(serializers.Serializer[Any]):
    """Why a search found an asset."""

    kind = serializers.CharField(help_text="tag, title, description, filename, colour, …")
    text = serializers.CharField(help_text="What of the asset it was.")
    via = serializers.CharField(
        help_text="How one leads to the other, such as “tabby is an animal”; or empty."
    )


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
    updated_at = serializers.DateTimeField()
    trashed_at = serializers.DateTimeField(allow_null=True, help_text="Null: not in the trash.")
    collection = RefSerializer()
    version = serializers.IntegerField(
        source="current_version.number", help_text="Of its file: 1, until the file is replaced."
    )
    orientation = serializers.SerializerMethodField()
    colours = serializers.ListField(child=serializers.CharField(), help_text="The largest first.")
    licence = serializers.CharField(help_text="An SPDX identifier, or words.")
    copyright_holder = serializers.CharField()
    credit = serializers.CharField()
    release_status = serializers.ChoiceField(
        [("", "unknown"), *Asset.Release.choices], help_text="Of who is shown."
    )
    expires_on = serializers.DateField(allow_null=True, help_text="The last day on which it may be used.")
    embargo_until = serializers.DateField(allow_null=True, help_text="The first day on which it may be used.")
    mark = serializers.SerializerMethodField(help_text="Why it may not be used today; empty: it may.")
    uploaded_by = serializers.CharField(source="uploaded_by.username", allow_null=True)
    sha256 = serializers.CharField(source="current_version.blob.sha256")
    placeholder = serializers.CharField(
        source="current_version.placeholder", help_text="A tiny picture as a data: address; empty until made."
    )
    urls = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField(help_text="Suggested and accepted, best first.")
    rejected_tags = serializers.SerializerMethodField()
    matched = serializers.SerializerMethodField(help_text="Why a search found it; empty without a search.")

    @extend_schema_field(serializers.ChoiceField(["landscape", "portrait", "square"]))
    def get_orientation(self, asset: Asset) -> str:
        """As people see it."""
        if asset.width == asset.height:
            return "square"
        return "landscape" if asset.width > asset.height else "portrait"

    @extend_schema_field(serializers.ChoiceField(["", "expired", "embargoed"]))
    def get_mark(self, asset: Asset) -> str:
        """Today, in UTC."""
        return mark_of(asset)

    @extend_schema_field(MatchReasonSerializer(many=True))
    def get_matched(self, asset: Asset) -> list[dict[str, str]]:
        """By the search that it was found with."""
        found: dict[int, list[dict[str, str]]] = self.context.get("matched", {})
        return found.get(asset.pk, [])

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


class AssetListPageSerializer(serializers.Serializer[Any]):
    """One page of assets."""

    results = AssetSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page.")
    previous = serializers.CharField(allow_null=True)


class AssetPageSerializer(serializers.Serializer[Any]):
    """One page of a search."""

    results = AssetSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page.")
    previous = serializers.CharField(allow_null=True)
    notices = serializers.ListField(child=serializers.CharField(), help_text="What people should know.")
