"""The job table, the outbox of the catalogue and half of the ledger; and what the queue gave up."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class TaggingJob(models.Model):
    """One request to tag one picture.

    The row holds all that its message needs, so that the relay builds messages from this table alone.
    """

    class Purpose(models.TextChoices):
        LIVE = "live"
        CAMPAIGN = "campaign"
        SHADOW = "shadow"
        TRY = "try"

    class State(models.TextChoices):
        QUEUED = "queued"
        PUBLISHED = "published"
        DONE = "done"
        FAILED = "failed"

    asset = models.ForeignKey("assets.Asset", null=True, on_delete=models.CASCADE, related_name="jobs")
    asset_version = models.ForeignKey(
        "assets.AssetVersion", null=True, on_delete=models.CASCADE, related_name="jobs"
    )
    generation = models.PositiveIntegerField(help_text="Grows per asset; an older answer changes nothing.")
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.LIVE)
    bulk = models.BooleanField(default=False, help_text="Nobody waits for it.")
    model_label = models.CharField(max_length=64, blank=True)
    blob_key = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=64)
    request_id = models.CharField(max_length=64, blank=True)
    traceparent = models.CharField(
        max_length=55,
        blank=True,
        default="",
        # Also for those that issue jobs and do not know of it: an older release beside this one.
        db_default="",
        help_text="What asked for it, as W3C's Trace Context says; empty if nobody traces.",
    )

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0, help_text="Times it was published.")
    reason = models.CharField(max_length=32, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    answer = models.JSONField(null=True, help_text="Of a try only: it has no asset to hang it on.")
    requested_by = models.ForeignKey(
        "auth.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["asset", "generation"], name="job_generation_unique"),
            models.CheckConstraint(
                condition=Q(purpose="try") ^ Q(asset__isnull=False), name="job_has_an_asset_unless_try"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "published"]) ^ Q(closed_at__isnull=False),
                name="job_closed_at_iff_closed",
            ),
        )
        indexes = (
            # What the relay asks for: people first, then in the order of arrival.
            models.Index(fields=["bulk", "id"], condition=Q(state="queued"), name="job_queued"),
            models.Index(fields=["published_at"], condition=Q(state="published"), name="job_published"),
            models.Index(fields=["created_at"], condition=Q(purpose="try"), name="job_try"),
            # Few at any time: whoever issues more asks first how many there are.
            models.Index(
                fields=["asset"],
                condition=Q(purpose="shadow", state__in=["queued", "published"]),
                name="job_shadow_open",
            ),
            # Few, and looked at by those who want to know what went wrong last.
            models.Index(fields=["-closed_at"], condition=Q(state="failed"), name="job_failed"),
        )

    def __str__(self) -> str:
        return f"job {self.pk} ({self.purpose}, {self.state})"

    @property
    def is_open(self) -> bool:
        """Whether an answer is still awaited."""
        return self.state in {self.State.QUEUED, self.State.PUBLISHED}


class DeadLetter(models.Model):
    """A message that the queue gave up, kept until a person replays or drops it.

    ``digest`` says which message it is: the same one, read twice, is one row.
    """

    class State(models.TextChoices):
        KEPT = "kept"
        REPLAYED = "replayed"
        DROPPED = "dropped"

    digest = models.CharField(max_length=64, unique=True, editable=False)
    queue = models.CharField(max_length=100, help_text="The dead-letter queue that it was read from.")
    message_id = models.CharField(max_length=255, blank=True)
    body = models.BinaryField()
    reason = models.CharField(max_length=500, blank=True)
    delivery_count = models.PositiveIntegerField(default=0)
    job = models.ForeignKey(
        TaggingJob,
        null=True,
        on_delete=models.SET_NULL,
        related_name="dead_letters",
        help_text="None: the message names no job that there is.",
    )
    generation = models.PositiveIntegerField(null=True, help_text="None: nobody can read the message.")
    first_seen = models.DateTimeField(default=timezone.now)

    state = models.CharField(max_length=10, choices=State, default=State.KEPT)
    replayed_job = models.ForeignKey(TaggingJob, null=True, on_delete=models.SET_NULL, related_name="+")
    settled_at = models.DateTimeField(null=True, help_text="When it was replayed or dropped.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(state="kept") ^ Q(settled_at__isnull=False),
                name="deadletter_settled_at_iff_settled",
            ),
        )
        indexes = (models.Index(fields=["id"], condition=Q(state="kept"), name="deadletter_kept"),)

    def __str__(self) -> str:
        return f"dead letter {self.pk} of {self.queue} ({self.state})"


class Routing(models.Model):
    """The one row that says which versions live jobs ask for, by their labels on the model server."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    live_label = models.CharField(max_length=64, blank=True, help_text="Empty: the server's default.")
    trial_label = models.CharField(max_length=64, blank=True)
    trial_share = models.FloatField(default=0.0, help_text="Of the assets that ask for the trial.")
    salt = models.CharField(max_length=64, blank=True, help_text="Another one chooses other assets.")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="routing_is_one_row"),
            models.CheckConstraint(condition=Q(trial_share__range=(0, 1)), name="routing_share_is_a_share"),
        )

    def __str__(self) -> str:
        return "routing"


class Round(models.Model):
    """When the relays last began one of their regular rounds; whoever moves the clock on does the work.

    One that waits at first has the moment of the first look.
    """

    name = models.CharField(max_length=50, primary_key=True)
    begun_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}, last begun {self.begun_at:%Y-%m-%d %H:%M}"
