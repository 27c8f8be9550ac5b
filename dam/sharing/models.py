"""Links by which somebody without an account sees pictures, and what people fetch as a zip."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Share(models.Model):
    """A link to some pictures, to a collection with what lies below it, or to an album.

    It shows what its maker may see at the moment when it is opened, gives what they may download, and never
    more: who loses a right takes it from their links, too.
    """

    class Kind(models.TextChoices):
        PICTURES = "pictures"
        COLLECTION = "collection"
        ALBUM = "album"

    key = models.CharField(max_length=64, unique=True, help_text="The secret part of the link.")
    kind = models.CharField(max_length=10, choices=Kind)
    collection = models.ForeignKey(
        "assets.Collection", null=True, blank=True, on_delete=models.CASCADE, related_name="shares"
    )
    album = models.ForeignKey(
        "assets.Album", null=True, blank=True, on_delete=models.CASCADE, related_name="shares"
    )
    title = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    password = models.CharField(max_length=128, blank=True, help_text="Hashed; empty: none is asked for.")
    may_download = models.BooleanField(default=False)
    fields = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, help_text="Which facts are shown."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="shares")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    uses = models.PositiveIntegerField(default=0, help_text="How often it was opened.")
    wrong_attempts = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Passwords that were tried since the last right one."
    )
    attempted_at = models.DateTimeField(null=True, blank=True, help_text="When the last one was tried.")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=(Q(kind="collection") & Q(collection__isnull=False) & Q(album__isnull=True))
                | (Q(kind="album") & Q(album__isnull=False) & Q(collection__isnull=True))
                | (Q(kind="pictures") & Q(album__isnull=True) & Q(collection__isnull=True)),
                name="share_of_one_kind",
            ),
        )

    def __str__(self) -> str:
        return self.title or f"share {self.pk}"


class ShareEntry(models.Model):
    """A picture of a share of that kind."""

    share = models.ForeignKey(Share, on_delete=models.CASCADE, related_name="entries")
    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="share_entries")

    class Meta:
        constraints = (models.UniqueConstraint(fields=["share", "asset"], name="shareentry_once"),)

    def __str__(self) -> str:
        return f"{self.asset_id} in share {self.share_id}"


class ZipOrder(models.Model):
    """What somebody wants as one file, for the minutes in which they may fetch it.

    It names pictures and gives no right to any: that is asked when it is fetched.
    """

    key = models.CharField(max_length=64, unique=True, help_text="The secret part of its address.")
    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="+")
    asset_ids = ArrayField(models.BigIntegerField(), help_text="In the order in which they lie in it.")
    size = models.CharField(max_length=10, help_text="`original`, or the long side in pixels.")
    format = models.CharField(max_length=10)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{len(self.asset_ids)} pictures for {self.user}"
