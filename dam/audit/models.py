"""Who did what, when, from where."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """One act of a person, or of a program in a person's name. Written once, never changed.

    It names its object by type and id and keeps its name, because it outlives it.
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True, help_text="As it was; empty: nobody signed in.")
    action = models.CharField(max_length=40, help_text="A stable word, such as `asset.edit`.")
    object_type = models.CharField(max_length=20, help_text="asset, collection, grant, tag, share, album …")
    object_id = models.BigIntegerField()
    object_name = models.CharField(max_length=255, blank=True)
    collection_id = models.BigIntegerField(
        null=True, help_text="Where it lay then: whoever manages there may read of it."
    )
    changes = models.JSONField(default=dict, help_text="Field → [before, after], or facts of the act.")
    address = models.GenericIPAddressField(
        null=True, help_text="Of the client; null: a command on the server."
    )
    request_id = models.CharField(max_length=128, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            models.Index(fields=["collection_id", "-id"], name="audit_by_collection"),
        )

    def __str__(self) -> str:
        return f"{self.actor_name or 'system'}: {self.action} {self.object_type} {self.object_id}"
