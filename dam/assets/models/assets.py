"""Pictures: their file history, their bytes, their rights."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q, Value

from dam.assets.models.collections import Collection


class Blob(models.Model):
    """Bytes in the blob store, once per content."""

    sha256 = models.CharField(max_length=64, unique=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=64)
    key = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sha256


class Asset(models.Model):
    """A catalogued picture.

    Facts of the current version are repeated here because a page of the library shows them for
    hundreds of assets; ``services`` keeps them in step.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        TAGGED = "tagged"
        FAILED = "failed"

    class Release(models.TextChoices):
        """Whether the people (or the property) shown have agreed."""

        NOT_NEEDED = "not-needed", "not needed"
        OBTAINED = "obtained"
        PENDING = "pending"
        REFUSED = "refused"

    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="assets")
    current_version = models.OneToOneField(
        "AssetVersion", null=True, on_delete=models.PROTECT, related_name="current_of"
    )
    filename = models.CharField(max_length=255)
    sort_name = models.CharField(max_length=255)
    title = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=64)
    taken_at = models.DateTimeField(null=True, blank=True)
    camera = models.CharField(max_length=200, blank=True)
    uploaded_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="assets")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    generation = models.PositiveIntegerField(default=0, help_text="Of the newest job issued.")

    licence = models.CharField(
        max_length=60,
        blank=True,
        db_default="",
        default="",
        help_text="An SPDX identifier, or words of your own.",
    )
    copyright_holder = models.CharField(max_length=200, blank=True, db_default="", default="")
    credit = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        default="",
        help_text="The line that stands beside the picture.",
    )
    release_status = models.CharField(
        max_length=12,
        choices=Release,
        blank=True,
        db_default="",
        default="",
        help_text="Of who is shown; empty: unknown.",
    )
    expires_on = models.DateField(null=True, blank=True, help_text="The last day on which it may be used.")
    embargo_until = models.DateField(
        null=True, blank=True, help_text="The first day on which it may be used."
    )

    trashed_at = models.DateTimeField(null=True, blank=True)

    colours = ArrayField(
        models.CharField(max_length=10),
        default=list,
        blank=True,
        db_default=Value([], output_field=ArrayField(models.CharField(max_length=10))),
        help_text="Names of its main colours, the largest first; made by the worker.",
    )
    tag_ids = ArrayField(models.IntegerField(), default=list, help_text="Shown tags and their ancestors.")
    words = SearchVectorField(help_text="Title, description and file name.", null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(state="failed") ^ Q(reason=""), name="asset_reason_iff_failed"
            ),
        )
        indexes = (
            GinIndex(fields=["tag_ids"], name="asset_tag_ids"),
            GinIndex(fields=["words"], name="asset_words"),
            models.Index(fields=["sort_name", "id"], name="asset_by_name"),
            models.Index(fields=["taken_at", "id"], name="asset_by_taken"),
            models.Index(fields=["size", "id"], name="asset_by_size"),
            models.Index(fields=["id"], condition=~Q(state="tagged"), name="asset_not_tagged"),
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="asset_in_trash"),
            models.Index(fields=["expires_on"], condition=Q(expires_on__isnull=False), name="asset_expiring"),
            models.Index(
                fields=["embargo_until"], condition=Q(embargo_until__isnull=False), name="asset_embargoed"
            ),
            GinIndex(fields=["colours"], name="asset_colours"),
        )

    def __str__(self) -> str:
        return self.title or self.filename


class AssetVersion(models.Model):
    """One file of an asset's history."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(default=1)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="versions")
    filename = models.CharField(max_length=255)
    header = models.JSONField(default=dict, help_text="What the file's header says, as facts for people.")
    placeholder = models.TextField(blank=True, help_text="A tiny JPEG as a data: address.")
    renditions = models.JSONField(
        default=dict, help_text="Name → {key, media_type, width, height}; made by the worker."
    )
    created_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["asset", "number"], name="assetversion_number_unique"),
        )

    def __str__(self) -> str:
        return f"{self.filename} (version {self.number})"
