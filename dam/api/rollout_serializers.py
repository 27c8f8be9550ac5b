"""The forms of what the API takes and gives about model versions; OpenAPI follows from them."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from dam.api.serializers import ProblemSerializer
from dam.api.serializers_tags import CountSerializer
from dam.rollout.models import Step
from dam.rollout.standing import WatchStanding
from dam.tagging.models import ModelVersion, Tag
from dam.tagging.vocabulary import VocabularyEntry

_LARGEST_INTEGER = 2**63 - 1


def _version_field(**options: Any) -> serializers.PrimaryKeyRelatedField[ModelVersion]:
    return serializers.PrimaryKeyRelatedField(queryset=ModelVersion.objects.all(), **options)


# ---------------------------------------------------------------- asked for


class SharesSerializer(serializers.Serializer[Any]):
    """Shares of live traffic; what is left out stays as it is."""

    shadow_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    canary_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    force = serializers.BooleanField(default=False, help_text="A larger canary although the gate refuses.")
    reason = serializers.CharField(default="", allow_blank=True, max_length=2000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Whoever forces says why."""
        return _forced_with_a_reason(attrs)


class ServingSerializer(serializers.Serializer[Any]):
    """What the labels on the model servers mean now, by the ids of the catalogue."""

    champion = _version_field()
    challenger = _version_field(allow_null=True, default=None)
    predecessor = _version_field(allow_null=True, default=None)


class PromotionSerializer(serializers.Serializer[Any]):
    """Which version is to serve."""

    version = _version_field()
    force = serializers.BooleanField(default=False, help_text="Although the gate refuses; with a reason.")
    reason = serializers.CharField(default="", allow_blank=True, max_length=2000)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # shadows an argument
        [Step.Source.PERSON.value, Step.Source.REGISTRY.value], default=Step.Source.PERSON.value
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Whoever forces says why."""
        return _forced_with_a_reason(attrs)


def _forced_with_a_reason(attrs: dict[str, Any]) -> dict[str, Any]:
    if attrs["force"] and not attrs["reason"]:
        raise serializers.ValidationError({"reason": "Say why it is to be forced."})
    return attrs


class ReasonSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=2000)


class OptionalReasonSerializer(serializers.Serializer[Any]):
    """Why, if there is something to say."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=2000)


class SettleSerializer(serializers.Serializer[Any]):
    """What became of a step."""

    done = serializers.BooleanField()
    detail = serializers.CharField(default="", allow_blank=True, max_length=2000)


class ComparisonQuerySerializer(serializers.Serializer[Any]):
    """Which two versions, by id; those in service if nothing is said."""

    champion = _version_field(required=False)
    challenger = _version_field(required=False)


class StepsQuerySerializer(serializers.Serializer[Any]):
    """How many."""

    limit = serializers.IntegerField(default=20, min_value=1, max_value=200)


class VocabularyEntrySerializer(serializers.Serializer[Any]):
    """One tag, as a model's ``vocabulary.json`` describes it."""

    slug = serializers.SlugField(max_length=100)
    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(
        [Tag.Kind.LEAF.value, Tag.Kind.ANCESTOR.value, Tag.Kind.OWN.value], default=Tag.Kind.LEAF.value
    )
    parents = serializers.ListField(child=serializers.SlugField(max_length=100), default=list)
    synonyms = serializers.ListField(child=serializers.CharField(max_length=100), default=list)
    threshold = serializers.FloatField(min_value=0, max_value=1, default=0.5)


class RegisterSerializer(serializers.Serializer[Any]):
    """A model version that is on the model servers."""

    name = serializers.CharField(max_length=100)
    version = serializers.IntegerField(
        min_value=0, max_value=_LARGEST_INTEGER, help_text="Its number on the model servers."
    )
    registry_version = serializers.IntegerField(
        min_value=0, max_value=_LARGEST_INTEGER, allow_null=True, default=None
    )
    preprocess_id = serializers.CharField(max_length=128)
    vocabulary_id = serializers.CharField(max_length=128)
    embedding_id = serializers.CharField(max_length=128)
    metrics = serializers.DictField(child=serializers.JSONField(), default=dict)
    vocabulary = VocabularyEntrySerializer(many=True, default=list)
    refresh = serializers.BooleanField(
        default=False, help_text="Names and parents of known tags follow too, as is right for a champion."
    )

    def validate_metrics(self, value: dict[str, Any]) -> dict[str, Any]:
        """What PostgreSQL can keep: no NUL, and no half of a character."""
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise serializers.ValidationError("Characters and numbers that JSON has no form for.") from None
        if b"\\u0000" in text:
            raise serializers.ValidationError("NUL is not allowed.")
        return value

    def validate_vocabulary(self, value: list[dict[str, Any]]) -> list[VocabularyEntry]:
        """Each tag once."""
        slugs = [entry["slug"] for entry in value]
        if len(set(slugs)) < len(slugs):
            raise serializers.ValidationError("A tag is named twice.")
        return [VocabularyEntry(**entry) for entry in value]


# -------------------------------------------------------------------- given


class ConflictSerializer(ProblemSerializer):
    """Why a wish does not fit what stands now."""

    reasons = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Of the gate, for `gate-refused`: sentences."
    )
    step = serializers.IntegerField(
        required=False, help_text="That keeps what was known, for `gate-refused`."
    )


class VersionSerializer(serializers.Serializer[ModelVersion]):
    """A model version."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    version = serializers.IntegerField(help_text="Its number on the model servers.")
    registry_version = serializers.IntegerField(allow_null=True)
    withdrawn = serializers.SerializerMethodField()

    def get_withdrawn(self, version: ModelVersion) -> bool:
        """Whether nothing that people see follows from its answers."""
        return version.withdrawn_at is not None


class StepSerializer(serializers.Serializer[Step]):
    """Something that was done, asked for or refused."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(Step.Kind.choices)
    state = serializers.ChoiceField(Step.State.choices)
    source = serializers.ChoiceField(Step.Source.choices)  # type: ignore[assignment]  # shadows an argument
    version = VersionSerializer(help_text="Which it is about; of a roll-back, the one that has to go.")
    before = VersionSerializer(allow_null=True, help_text="The champion when it was asked for.")
    forced = serializers.BooleanField()
    reason = serializers.CharField()
    detail = serializers.CharField(help_text="Why it was refused or failed.")
    evidence = serializers.DictField(child=serializers.JSONField(allow_null=True))
    by = serializers.CharField(source="by.username", allow_null=True, default=None)
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)


class StepListSerializer(serializers.Serializer[Any]):
    """Newest first."""

    results = StepSerializer(many=True)


class CheckSerializer(serializers.Serializer[Any]):
    """One of the things that a new champion is watched for: shares, or milliseconds for `time`."""

    name = serializers.ChoiceField(["precision", "errors", "time"])
    before = serializers.FloatField(allow_null=True)
    before_of = serializers.IntegerField()
    now = serializers.FloatField(allow_null=True)
    now_of = serializers.IntegerField()
    needed = serializers.IntegerField(help_text="Of `now_of`: fewer are not judged.")
    change = serializers.FloatField(allow_null=True, help_text="Difference, or for `time` how many times.")
    low = serializers.FloatField(allow_null=True, help_text="95 % interval.")
    high = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField()
    room = serializers.FloatField(allow_null=True, help_text="How far from a breach; null: not judged.")
    judged = serializers.BooleanField()
    breached = serializers.BooleanField()


class WatchSerializer(serializers.Serializer[WatchStanding]):
    """How a new champion stands beside what served before."""

    champion = VersionSerializer()
    predecessor = VersionSerializer()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    checks = CheckSerializer(many=True)
    breaches = serializers.ListField(child=serializers.CharField(), help_text="Sentences.")


class ShadowSerializer(serializers.Serializer[Any]):
    """What the challenger has been shown."""

    answered = CountSerializer()
    open = serializers.IntegerField()
    wanted = serializers.IntegerField(help_text="Pictures of the sample that are still to be asked of it.")


class RolloutSerializer(serializers.Serializer[Any]):
    """What is in service."""

    champion = VersionSerializer(allow_null=True)
    challenger = VersionSerializer(allow_null=True)
    predecessor = VersionSerializer(allow_null=True)
    shadow_share = serializers.FloatField()
    canary_share = serializers.FloatField()
    asked = StepSerializer(allow_null=True, help_text="What the controller has to do.")
    watch = WatchSerializer(allow_null=True)
    shadow = ShadowSerializer(allow_null=True)
    promoted_at = serializers.DateTimeField(allow_null=True)
    challenged_at = serializers.DateTimeField(allow_null=True)
    reported_at = serializers.DateTimeField(allow_null=True, help_text="When the controller was heard last.")


class VersionStandingSerializer(serializers.Serializer[Any]):
    """A model version and what became of its answers."""

    id = serializers.IntegerField(source="version.pk")
    name = serializers.CharField(source="version.name")
    version = serializers.IntegerField(source="version.version")
    registry_version = serializers.IntegerField(source="version.registry_version", allow_null=True)
    alias = serializers.CharField(source="version.alias", help_text="Its label; empty: it has none.")
    preprocess_id = serializers.CharField(source="version.preprocess_id")
    vocabulary_id = serializers.CharField(source="version.vocabulary_id")
    embedding_id = serializers.CharField(source="version.embedding_id")
    metrics = serializers.DictField(
        source="version.metrics", child=serializers.JSONField(allow_null=True), help_text="Of its training."
    )
    created_at = serializers.DateTimeField(source="version.created_at")
    withdrawn = serializers.SerializerMethodField()
    withdrawn_at = serializers.DateTimeField(source="version.withdrawn_at", allow_null=True)
    followed = serializers.FloatField(
        allow_null=True, help_text="The part of the library that follows its withdrawal; null: all of it."
    )
    predictions = CountSerializer()
    claims = CountSerializer(help_text="Of its tags that people see now.")
    decisions = CountSerializer(help_text="Of people who saw its answers.")

    def get_withdrawn(self, standing: Any) -> bool:
        """Whether nothing that people see follows from its answers."""
        return standing.version.withdrawn_at is not None


class VersionListSerializer(serializers.Serializer[Any]):
    """Newest first."""

    results = VersionStandingSerializer(many=True)
