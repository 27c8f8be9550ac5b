"""The forms of collections, grants and albums."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from dam.api.pages import IdField, PageQuerySerializer, StrictSerializer, id_list
from dam.api.serializers import RefSerializer
from dam.api.serializers_tags import CountSerializer
from dam.assets.models import Level

LEVELS = {level.name.lower(): level for level in Level}
"""The words of the API for what a grant allows; each includes those before it."""


def level_word(level: int) -> str:
    """The word for a level."""
    return Level(level).name.lower()


class LevelField(serializers.ChoiceField):
    """One of the words for what a grant allows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(list(LEVELS), **options)


# -------------------------------------------------------------- collections


class CollectionPageQuerySerializer(PageQuerySerializer):
    """Which part of the tree."""

    counts = serializers.BooleanField(default=True, help_text="Whether to count the pictures.")
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=1000)


class CollectionSerializer(serializers.Serializer[Any]):
    """A place in the tree, as you see it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    default_licence = serializers.CharField(help_text="Of what is uploaded here.")
    parent = serializers.IntegerField(  # type: ignore[assignment]  # shadows an attribute
        allow_null=True, help_text="Null: the highest that you see."
    )
    depth = serializers.IntegerField(help_text="0 for the highest that you see.")
    level = LevelField(help_text="The most that you may do here.")
    cover = serializers.IntegerField(allow_null=True, help_text="The asset that was chosen, if you see it.")
    url = serializers.CharField()


class CollectionInTreeSerializer(CollectionSerializer):
    """The same in the list of all."""

    count = CountSerializer(allow_null=True, help_text="Assets right here; null: not counted.")
    total = CountSerializer(allow_null=True, help_text="Assets here and below.")


class CollectionDetailSerializer(CollectionSerializer):
    """The same by itself."""

    created_at = serializers.DateTimeField()
    path = RefSerializer(many=True, help_text="From the highest that you see down to this one.")


class CollectionPageSerializer(serializers.Serializer[Any]):
    """Collections in the order of the tree, each before those below it."""

    results = CollectionInTreeSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class CollectionChangeSerializer(StrictSerializer):
    """What of a collection to change."""

    name = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, allow_blank=True)
    default_licence = serializers.CharField(required=False, allow_blank=True, max_length=60)
    cover = IdField(required=False, allow_null=True, help_text="An asset in it or below; null: none chosen.")


class CollectionCreateSerializer(StrictSerializer):
    """A new collection."""

    parent = IdField(  # type: ignore[assignment]  # shadows an attribute
        required=False, help_text="Without: the root."
    )
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(default="", allow_blank=True)
    default_licence = serializers.CharField(default="", allow_blank=True, max_length=60)


class CollectionMoveSerializer(StrictSerializer):
    """Where to."""

    parent = IdField()  # type: ignore[assignment]  # shadows an attribute


# ------------------------------------------------------------------- grants


class GrantSerializer(serializers.Serializer[Any]):
    """What somebody may do here and below: a user, a group, or, with neither, everybody with an account."""

    id = serializers.IntegerField()
    user = serializers.CharField(allow_null=True)
    group = serializers.CharField(allow_null=True)
    level = LevelField()
    inherited = serializers.BooleanField(help_text="Given further up; change it there.")
    collection = RefSerializer(allow_null=True, help_text="Where it was given; null: you do not see that.")
    created_at = serializers.DateTimeField()


class GrantListSerializer(serializers.Serializer[Any]):
    """All that hold here."""

    results = GrantSerializer(many=True)


class GrantSetSerializer(StrictSerializer):
    """A right for a user, for a group, or, with neither, for everybody."""

    user = serializers.CharField(required=False, max_length=150, help_text="User name.")
    group = serializers.CharField(required=False, max_length=150)
    level = LevelField()
    force = serializers.BooleanField(default=False, help_text="Even if you no longer manage it then.")


class ForceQuerySerializer(serializers.Serializer[Any]):
    """How."""

    force = serializers.BooleanField(default=False, help_text="Even if you no longer manage it then.")


# ------------------------------------------------------------------- albums


class AlbumSerializer(serializers.Serializer[Any]):
    """Pictures that belong together; it gives no rights."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    mine = serializers.BooleanField(help_text="Whether you may change it.")
    cover = serializers.IntegerField(allow_null=True, help_text="The asset that was chosen, if you see it.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class AlbumPageSerializer(serializers.Serializer[Any]):
    """Albums by name."""

    results = AlbumSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class AlbumCreateSerializer(StrictSerializer):
    """A new album."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(default="", allow_blank=True)
    assets = serializers.ListField(child=IdField(), default=list, max_length=10_000, help_text="Ids.")


class AlbumChangeSerializer(StrictSerializer):
    """What of an album to change."""

    name = serializers.CharField(required=False, max_length=200)
    description = serializers.CharField(required=False, allow_blank=True)
    cover = IdField(required=False, allow_null=True, help_text="One of its assets; null: none chosen.")


class IdsSerializer(StrictSerializer):
    """Which assets."""

    ids = id_list()
