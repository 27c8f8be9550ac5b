"""Searches that people keep."""

from __future__ import annotations

from django.db import models


class SavedSearch(models.Model):
    """A search under a name: a collection that is always true. It gives no rights.

    If ``shared``, everybody with an account finds it, and each sees in it what they may see.
    """

    owner = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=200)
    query = models.CharField(max_length=500)
    sort = models.CharField(max_length=20, default="newest")
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name", "id")
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="savedsearch_name_unique"),)

    def __str__(self) -> str:
        return self.name


class RecentSearch(models.Model):
    """What somebody searched for lately; theirs alone, and only the newest are kept."""

    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="recent_searches")
    query = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint(fields=["user", "query"], name="recentsearch_once"),)

    def __str__(self) -> str:
        return self.query
