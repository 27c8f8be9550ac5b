"""The forms of what people do with many pictures, with versions, duplicates, history and rights."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from dam.api.pages import IdField, PageQuerySerializer, StrictSerializer
from dam.api.selecting import ChosenSerializer
from dam.api.serializers import AssetSerializer
from dam.assets.models import Asset
from dam.tagging.models import Decision

# --------------------------------------------------------------------- bulk


class BulkFieldsSerializer(StrictSerializer):
    """What to write on all of them."""

    title = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    licence = serializers.CharField(required=False, allow_blank=True)
    copyright_holder = serializers.CharField(required=False, allow_blank=True)
    credit = serializers.CharField(required=False, allow_blank=True)
    release_status = serializers.ChoiceField([("", "unknown"), *Asset.Release.choices], required=False)
    expires_on = serializers.DateField(required=False, allow_null=True)
    embargo_until = serializers.DateField(required=False, allow_null=True)


ACTIONS: dict[str, tuple[str, ...]] = {
    "tag": ("tag",),
    "untag": ("tag",),
    "undecide": ("tag",),
    "edit": ("fields",),
    "move": ("collection",),
    "trash": (),
    "restore": (),
    "purge": (),
    "album-add": ("album",),
    "album-remove": ("album",),
}
"""Action → what it needs beside the selection."""


class BulkSerializer(StrictSerializer):
    """One act on many assets."""

    selection = ChosenSerializer()
    action = serializers.ChoiceField(
        list(ACTIONS),
        help_text="`tag`, `untag` (reject) and `undecide` take `tag`; `edit` takes `fields`, `move` "
        "`collection`, `album-add` and `album-remove` `album`. `restore` and `purge` choose in the trash.",
    )
    tag = serializers.CharField(required=False, max_length=100, help_text="Slug or name.")
    verdict = serializers.ChoiceField(Decision.Verdict.choices, required=False, help_text="Of `tag`.")
    collection = IdField(required=False)
    album = IdField(required=False)
    fields = BulkFieldsSerializer(required=False)  # type: ignore[assignment]  # shadows a property

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What the action needs, is there."""
        for name in ACTIONS[attrs["action"]]:
            if name not in attrs:
                raise serializers.ValidationError({name: [f"“{attrs['action']}” needs it."]})
        return attrs


class RefusedSerializer(serializers.Serializer[Any]):
    """An asset that was left as it was."""

    id = serializers.IntegerField()
    name = serializers.CharField(help_text="Empty: to you there is no such asset.")
    code = serializers.CharField(help_text="`not-found` or `not-allowed`.")
    reason = serializers.CharField(help_text="A sentence for people.")


class BulkResultSerializer(serializers.Serializer[Any]):
    """What became of them."""

    changed = serializers.IntegerField(help_text="Changed, or as wanted already.")
    refused = RefusedSerializer(many=True)


class ChangedSerializer(serializers.Serializer[Any]):
    """How many."""

    changed = serializers.IntegerField()


# ----------------------------------------------------------------- versions


class FileVersionSerializer(serializers.Serializer[Any]):
    """A file of an asset's history."""

    number = serializers.IntegerField()
    filename = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    media_type = serializers.CharField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    current = serializers.BooleanField()


class FileVersionListSerializer(serializers.Serializer[Any]):
    """The newest first."""

    results = FileVersionSerializer(many=True)


class FileVersionUploadSerializer(serializers.Serializer[Any]):
    """A file that takes the place of the current one."""

    file = serializers.FileField(allow_empty_file=True, max_length=None)


# --------------------------------------------------------------- duplicates


class DuplicatePairSerializer(serializers.Serializer[Any]):
    """Two assets that look the same."""

    id = serializers.IntegerField()
    same_bytes = serializers.BooleanField()
    may_decide = serializers.BooleanField(help_text="Whether you curate both.")
    distance = serializers.IntegerField(help_text="Bits of 64 in which their fingerprints differ.")
    first = AssetSerializer()
    second = AssetSerializer()


class DuplicatePageSerializer(serializers.Serializer[Any]):
    """Pairs of which you see both, the latest found first."""

    results = DuplicatePairSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class KeepSerializer(StrictSerializer):
    """Which of the two stays."""

    keep = IdField(help_text="The asset that stays; the other goes to the trash.")


# ------------------------------------------------------------------ history


class HistoryQuerySerializer(PageQuerySerializer):
    """Which acts."""

    actor = serializers.CharField(default="", allow_blank=True, help_text="User name.")
    action = serializers.CharField(
        default="", allow_blank=True, help_text="Such as `asset.edit`, or `asset` for all of those."
    )
    object_type = serializers.CharField(default="", allow_blank=True)
    object_id = IdField(required=False)
    collection = IdField(required=False, help_text="Where it lay.")
    since = serializers.DateField(required=False, help_text="The first day, in UTC.")
    until = serializers.DateField(required=False, help_text="The last day, in UTC.")


class AuditEntrySerializer(serializers.Serializer[Any]):
    """Who did what."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField(source="actor_name", help_text="Empty: a command, or nobody signed in.")
    action = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.IntegerField()
    object_name = serializers.CharField(help_text="As it was called then.")
    changes = serializers.JSONField(help_text="Field → [before, after], or facts of the act.")
    address = serializers.CharField(allow_null=True, help_text="Of the client; null: a command.")
    request_id = serializers.CharField()


class HistoryPageSerializer(serializers.Serializer[Any]):
    """The newest first."""

    results = AuditEntrySerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


# ------------------------------------------------------------------- rights


class ExpiringQuerySerializer(PageQuerySerializer):
    """How soon."""

    within_days = serializers.IntegerField(default=30, min_value=0, max_value=36_500)
    expired = serializers.BooleanField(default=True, help_text="With what has expired already.")


class LicenceSerializer(serializers.Serializer[Any]):
    """A licence that is offered; other words are accepted, too."""

    id = serializers.CharField(help_text="SPDX identifier.")
    name = serializers.CharField()


class LicenceListSerializer(serializers.Serializer[Any]):
    """All of them."""

    results = LicenceSerializer(many=True)
