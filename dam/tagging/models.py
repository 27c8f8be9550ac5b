"""Vocabulary, what models answered, what people said, and what follows from both."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from pgvector.django import HalfVectorField, HnswIndex

EMBEDDING_DIMENSIONS = 320


class Tag(models.Model):
    """An entry of the vocabulary."""

    class Kind(models.TextChoices):
        LEAF = "leaf"
        ANCESTOR = "ancestor"
        OWN = "own"
        UNNAMED = "unnamed", "label of a model whose vocabulary is not registered"

    # 32 bits, because assets keep arrays of these ids.
    id = models.AutoField(primary_key=True)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=100)
    names = models.JSONField(default=dict, blank=True, help_text="Language code → name.")
    synonyms = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children", blank=True)
    ancestor_ids = ArrayField(
        models.IntegerField(), default=list, editable=False, help_text="All above it; kept by services."
    )
    lookup = ArrayField(
        models.CharField(max_length=100), default=list, editable=False, help_text="Normalised names."
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.OWN)
    threshold = models.FloatField(default=0.5)
    active = models.BooleanField(default=True)
    derive_pending = models.BooleanField(
        default=False, editable=False, help_text="Its meaning changed; claims and search ids are to follow."
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(threshold__gte=0) & Q(threshold__lte=1), name="tag_threshold_is_a_probability"
            ),
        )
        indexes = (GinIndex(fields=["lookup"], name="tag_lookup"),)

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """A version of a model that answered or may answer."""

    name = models.CharField(max_length=100)
    version = models.PositiveBigIntegerField()
    alias = models.CharField(max_length=64, blank=True)
    preprocess_id = models.CharField(max_length=128)
    vocabulary_id = models.CharField(max_length=128)
    embedding_id = models.CharField(max_length=128)
    metrics = models.JSONField(default=dict, blank=True)
    registry_version = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Its number in the model registry, which may be another one."
    )
    withdrawn_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then nothing that people see follows from its answers."
    )
    followed_to = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="Assets up to this id follow its withdrawal or its return already; null: all do.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["name", "version"], name="modelversion_unique"),)

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Prediction(models.Model):
    """The raw answer of a model version for an asset version. A fact: never edited."""

    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="predictions")
    asset_version = models.ForeignKey(
        "assets.AssetVersion", on_delete=models.CASCADE, related_name="predictions"
    )
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="predictions", db_index=False
    )
    generation = models.PositiveIntegerField()
    purpose = models.CharField(max_length=10)
    tag_ids = ArrayField(models.IntegerField(), help_text="Labels above the worker's floor, best first.")
    scores = ArrayField(models.FloatField(), help_text="Their probabilities, in the same order.")
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS, null=True)
    predict_ms = models.FloatField(
        null=True, help_text="The model server's time for this picture: that of its batch, divided."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["asset_version", "model_version", "generation"], name="prediction_unique"
            ),
        )
        indexes = (
            models.Index(fields=["asset", "-generation"], name="prediction_newest"),
            # What a version answered, asset by asset: undoing it goes through them in this order.
            models.Index(fields=["model_version", "asset"], name="prediction_by_model"),
        )

    def __str__(self) -> str:
        return f"prediction of generation {self.generation} for asset {self.asset_id}"


class Likeness(models.Model):
    """What an asset's current file looks like: the columns by which similar pictures are found.

    Derived, as ``Asset.tag_ids`` is: the embedding from the newest live prediction, the fingerprint from the
    pixels that the worker saw.
    """

    asset = models.OneToOneField(
        "assets.Asset", primary_key=True, on_delete=models.CASCADE, related_name="likeness"
    )
    embedding_id = models.CharField(max_length=128, blank=True, help_text="The space of the embedding.")
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS, null=True)
    fingerprint = models.BigIntegerField(
        null=True, help_text="A difference hash of 64 bits, as a signed number; null until a worker made it."
    )
    bands = ArrayField(
        models.IntegerField(),
        default=list,
        help_text="The fingerprint's four bands of 16 bits, each with its place above them.",
    )
    paired_at = models.DateTimeField(
        null=True, help_text="When it was last compared with the rest of the library."
    )

    class Meta:
        indexes = (
            HnswIndex(
                name="likeness_embedding",
                fields=["embedding"],
                m=24,
                ef_construction=128,
                opclasses=["halfvec_ip_ops"],
            ),
            GinIndex(fields=["bands"], name="likeness_bands"),
            models.Index(
                fields=["asset"],
                condition=Q(paired_at__isnull=True, fingerprint__isnull=False),
                name="likeness_unpaired",
            ),
        )

    def __str__(self) -> str:
        return f"likeness of asset {self.asset_id}"


class Decision(models.Model):
    """What a person said about a tag of an asset. Never changed by a machine."""

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        ADDED = "added"

    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="decisions")
    tag = models.ForeignKey(Tag, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=10, choices=Verdict)
    decided_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField()
    model_version = models.ForeignKey(
        ModelVersion,
        null=True,
        on_delete=models.PROTECT,
        related_name="decisions",
        help_text="Whose answer the person saw.",
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=["asset", "tag"], name="decision_unique"),)
        indexes = (models.Index(fields=["model_version", "decided_at"], name="decision_by_model"),)

    def __str__(self) -> str:
        return f"{self.tag} {self.verdict} for asset {self.asset_id}"


class Claim(models.Model):
    """What people see of a tag on an asset: derived, with its provenance. Never edited by hand."""

    class State(models.TextChoices):
        SUGGESTED = "suggested"
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    class Source(models.TextChoices):
        MODEL = "model"
        PERSON = "person"

    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="claims")
    tag = models.ForeignKey(Tag, on_delete=models.PROTECT, related_name="claims")
    state = models.CharField(max_length=10, choices=State)
    source = models.CharField(max_length=10, choices=Source)
    score = models.FloatField(null=True, help_text="The model's probability, if it gave one.")
    threshold = models.FloatField(null=True, help_text="In force when the claim was derived.")
    # The prediction that it was derived from names the same version under a foreign key, which was checked:
    # checking it again for each claim costs the writer a tenth of its speed.
    model_version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.PROTECT, related_name="claims", db_constraint=False
    )
    decided_by = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["asset", "tag"], name="claim_unique"),)
        indexes = (models.Index(fields=["tag", "state"], name="claim_by_tag"),)

    def __str__(self) -> str:
        return f"{self.tag} {self.state} for asset {self.asset_id}"
