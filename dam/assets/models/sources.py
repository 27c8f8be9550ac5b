"""What a watched folder or bucket has been taken from."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from dam.assets.models.assets import Asset


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
