"""Where pictures live, who may do what there, and what belongs together all the same."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from treebeard.mp_tree import MP_Node


class Collection(MP_Node):  # type: ignore[misc]  # treebeard has no types
    """A place in the tree of the library; each asset lives in exactly one, which decides who may see it."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    cover = models.ForeignKey(
        "assets.Asset",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Shown only to those who may see it.",
    )
    default_licence = models.CharField(
        max_length=60,
        blank=True,
        db_default="",
        default="",
        help_text="Of what is uploaded here, here alone.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    node_order_by: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Level(models.IntegerChoices):
    """What a grant allows; each includes those before it."""

    VIEW = 1, "view"
    DOWNLOAD = 2, "download originals"
    CONTRIBUTE = 3, "contribute"
    CURATE = 4, "curate"
    MANAGE = 5, "manage"


class Grant(models.Model):
    """What somebody may do in a collection and in everything below it.

    To a user, to a group, or, with neither, to everybody who has an account.
    """

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(
        "auth.User", null=True, blank=True, on_delete=models.CASCADE, related_name="collection_grants"
    )
    group = models.ForeignKey(
        "auth.Group", null=True, blank=True, on_delete=models.CASCADE, related_name="collection_grants"
    )
    level = models.PositiveSmallIntegerField(choices=Level)
    created_by = models.ForeignKey(
        "auth.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["collection", "user", "group"], nulls_distinct=False, name="grant_once"
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(group__isnull=True), name="grant_to_one_subject"
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject_name}: {self.get_level_display()} in {self.collection}"

    @property
    def subject_name(self) -> str:
        """Who may, for people."""
        if self.user is not None:
            return str(self.user.get_username())
        return f"group {self.group.name}" if self.group is not None else "everybody"


class Album(models.Model):
    """Pictures that belong together, wherever they live. It gives no rights: each sees what they may see.

    Known to its owner, and to whoever may see at least one of its pictures.
    """

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    owner = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="albums")
    cover = models.ForeignKey(
        "assets.Asset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name


class AlbumEntry(models.Model):
    """A picture in an album."""

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="entries")
    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="album_entries")
    added_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["album", "asset"], name="albumentry_once"),)

    def __str__(self) -> str:
        return f"{self.asset_id} in {self.album_id}"
