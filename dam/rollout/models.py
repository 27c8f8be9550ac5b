"""Which model versions serve, which are tried, by what rules one follows another, and what was done."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

_SHARE = (MinValueValidator(0.0), MaxValueValidator(1.0))


class Rollout(models.Model):
    """The one row that says what is in service, as the controller reported it, and the rules in force."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)

    champion = models.ForeignKey(
        "tagging.ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    challenger = models.ForeignKey(
        "tagging.ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    predecessor = models.ForeignKey(
        "tagging.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The champion before; it stays loaded, so that the way back is open.",
    )
    promoted_at = models.DateTimeField(null=True, help_text="When the champion began to serve.")
    challenged_at = models.DateTimeField(null=True, help_text="When the challenger began to serve.")
    reported_at = models.DateTimeField(null=True, help_text="When the controller was heard last.")
    shadow_cursor = models.BigIntegerField(
        default=0, editable=False, help_text="Answers up to this id were considered for shadowing."
    )
    sampled = models.PositiveIntegerField(
        default=0, editable=False, help_text="Pictures of the sample that were asked of the challenger."
    )
    baseline = models.JSONField(
        default=dict,
        editable=False,
        help_text="What the champion is watched against, taken when it was promoted; empty: not watched.",
    )

    shadow_share = models.FloatField(
        default=0.1,
        validators=_SHARE,
        help_text="Of live traffic, from 0 to 1, that the challenger sees too.",
    )
    canary_share = models.FloatField(
        default=0.0,
        validators=_SHARE,
        help_text="Of live traffic, from 0 to 1, that the challenger answers in the champion's place.",
    )
    sample_size = models.PositiveIntegerField(
        default=300,
        help_text="Pictures of this library that a new challenger is shown, those with decisions first.",
    )

    min_pictures = models.PositiveIntegerField(
        default=50, help_text="Fewer pictures that both versions answered prove nothing."
    )
    min_reviews = models.PositiveIntegerField(
        default=30, help_text="Fewer decisions of people on these pictures prove nothing."
    )
    most_precision_lost = models.FloatField(
        default=0.05, validators=_SHARE, help_text="Promotion is refused if more may be lost (95 % interval)."
    )
    most_recall_lost = models.FloatField(
        default=0.05, validators=_SHARE, help_text="Promotion is refused if more may be lost (95 % interval)."
    )
    most_times_slower = models.FloatField(
        default=1.5, validators=[MinValueValidator(1.0)], help_text="Time to answer, beside the champion's."
    )

    watch_hours = models.PositiveIntegerField(
        default=72, help_text="So long after its promotion a champion is watched, and rolled back by itself."
    )
    watch_min_reviews = models.PositiveIntegerField(
        default=20, help_text="Decisions on its suggestions from which on they are judged."
    )
    watch_precision_lost = models.FloatField(
        default=0.05,
        validators=_SHARE,
        help_text="Rolled back if reviewed precision fell by surely more (95 % interval).",
    )
    watch_errors_risen = models.FloatField(
        default=0.02,
        validators=_SHARE,
        help_text="Rolled back if the share of failed jobs rose by surely more (95 % interval).",
    )
    watch_times_slower = models.FloatField(
        default=2.0, validators=[MinValueValidator(1.0)], help_text="Rolled back if answers take longer."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="rollout_is_one_row"),
            models.CheckConstraint(
                condition=Q(shadow_share__range=(0, 1)) & Q(canary_share__range=(0, 1)),
                name="rollout_shares_are_shares",
            ),
        )
        permissions = (("manage_rollout", "Can promote, roll back and undo model versions"),)

    def __str__(self) -> str:
        return "rollout"


class Step(models.Model):
    """One thing that was done, asked for or refused. Never deleted."""

    class Kind(models.TextChoices):
        CHALLENGE = "challenge", "became the challenger"
        CANARY = "canary", "canary share"
        PROMOTE = "promote", "promotion"
        ROLL_BACK = "roll-back", "roll-back"
        UNDO = "undo", "undone"
        REINSTATE = "reinstate", "reinstated"

    class State(models.TextChoices):
        ASKED = "asked", "asked: the controller has not done it yet"
        DONE = "done"
        REFUSED = "refused"
        FAILED = "failed"

    class Source(models.TextChoices):
        PERSON = "person"
        REGISTRY = "registry", "an alias that was moved in the registry"
        WATCH = "watch", "the watch over a new champion"

    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State)
    source = models.CharField(max_length=10, choices=Source)
    version = models.ForeignKey("tagging.ModelVersion", on_delete=models.PROTECT, related_name="steps")
    before = models.ForeignKey(
        "tagging.ModelVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The champion when it was asked for.",
    )
    forced = models.BooleanField(default=False, help_text="Although the gate refused.")
    reason = models.TextField(blank=True, max_length=2000)
    evidence = models.JSONField(default=dict, help_text="What was known when it was decided.")
    detail = models.TextField(blank=True, max_length=2000, help_text="Why it was refused or failed.")
    by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            # The controller does one thing at a time, and nobody asks for a second one meanwhile.
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="asked"), name="step_one_asked_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(state="asked") ^ Q(settled_at__isnull=False), name="step_settled_at_iff_settled"
            ),
            models.CheckConstraint(
                condition=Q(forced=False) | ~Q(reason=""), name="step_forced_with_a_reason"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.version} ({self.state})"
