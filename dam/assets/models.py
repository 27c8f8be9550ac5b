"""Pictures: where they live, their file history, their bytes."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from treebeard.mp_tree import MP_Node


class Collection(MP_Node):  # type: ignore[misc]  # treebeard has no types
    """A place in the tree of the library; each asset lives in exactly one, which decides who may see it."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    node_order_by: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


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


class SourceFile(models.Model):
    """A file of a watched source as it was when it was last taken or refused, and what became of it.

    So neither a restart nor a second look takes it twice. A file that changes is taken anew: as another
    asset, for nobody said that it is the same picture.
    """

    class Outcome(models.TextChoices):
        TAKEN = "taken", "a new asset"
        SAME_BYTES = "same-bytes", "an asset holds the same bytes"
        REFUSED = "refused"

    key = models.CharField(
        max_length=64, unique=True, help_text="Hash of source and path, which may be too long for an index."
    )
    source = models.CharField(max_length=1024, help_text="Folder or s3://bucket/prefix.")
    path = models.TextField(help_text="Below the source; bytes that are no UTF-8 are escaped.")
    fingerprint = models.CharField(max_length=200, help_text="Size and time of change, or the ETag.")
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    asset = models.ForeignKey(
        Asset, null=True, blank=True, on_delete=models.SET_NULL, related_name="source_files"
    )
    looked_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(outcome="refused") ^ Q(reason=""), name="sourcefile_reason_iff_refused"
            ),
        )
        indexes = (models.Index(fields=["source", "outcome"], name="sourcefile_by_source"),)

    def __str__(self) -> str:
        return self.path
