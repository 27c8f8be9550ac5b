"""Pictures that look the same."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class DuplicatePair(models.Model):
    """Two pictures whose fingerprints are nearly the same, and what a person said to that.

    Whether both are still there, and to whom, is asked when the pair is shown.
    """

    class State(models.TextChoices):
        OPEN = "open"
        DIFFERENT = "different", "a person said that they are two pictures"

    first = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="+")
    distance = models.PositiveSmallIntegerField(help_text="Bits in which the fingerprints differ.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["first", "second"], name="duplicatepair_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="duplicatepair_ordered"),
        )
        indexes = (models.Index(fields=["-id"], condition=Q(state="open"), name="duplicatepair_open"),)

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}"
