"""The form of a comparison of two model versions, for OpenAPI; ``Comparison.as_dict`` fills it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class IntervalSerializer(serializers.Serializer[Any]):
    """An estimate and its 95 % interval."""

    estimate = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class RateSerializer(serializers.Serializer[Any]):
    """A share and its 95 % interval (Wilson); null where there was nothing to share."""

    right = serializers.IntegerField()
    of = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class MeasureSerializer(serializers.Serializer[Any]):
    """A share of both; `difference` is challenger − champion (paired bootstrap over pictures)."""

    champion = RateSerializer()
    challenger = RateSerializer()
    difference = IntervalSerializer(allow_null=True)


class OfBothSerializer(serializers.Serializer[Any]):
    """A number of both versions."""

    champion = serializers.IntegerField()
    challenger = serializers.IntegerField()


class TimesSerializer(serializers.Serializer[Any]):
    """Median milliseconds for a picture, and the ratio of the means without the slowest tenth."""

    champion = serializers.FloatField(allow_null=True)
    challenger = serializers.FloatField(allow_null=True)
    ratio = serializers.FloatField(allow_null=True)


class ComparedVersionSerializer(serializers.Serializer[Any]):
    """Which version."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    version = serializers.IntegerField()


class TagChangeSerializer(serializers.Serializer[Any]):
    """A tag: on how many pictures it is shown, and on which by one version alone."""

    id = serializers.IntegerField()
    slug = serializers.CharField()
    name = serializers.CharField()
    shown = OfBothSerializer()
    gained = serializers.IntegerField()
    lost = serializers.IntegerField()
    gained_on = serializers.ListField(
        child=serializers.IntegerField(), help_text="Some assets that you may see."
    )
    lost_on = serializers.ListField(child=serializers.IntegerField())


class TagEvidenceSerializer(TagChangeSerializer):
    """A tag on which people decided."""

    reviews = serializers.IntegerField()
    precision = MeasureSerializer()
    recall = MeasureSerializer()


class GateVerdictSerializer(serializers.Serializer[Any]):
    """What the gate says."""

    passes = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Sentences against it.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="Sentences worth knowing.")


class ComparisonSerializer(serializers.Serializer[Any]):
    """Two versions on the pictures that both have answered."""

    champion = ComparedVersionSerializer()
    challenger = ComparedVersionSerializer()
    pictures = serializers.IntegerField()
    cut = serializers.BooleanField(help_text="There are more pictures that both answered.")
    reviewed_pictures = serializers.IntegerField()
    reviews = serializers.IntegerField(help_text="Decisions of people on these pictures.")
    left_out = serializers.IntegerField(help_text="Decisions on tags that neither version knows.")
    precision = MeasureSerializer()
    recall = MeasureSerializer()
    unknown = OfBothSerializer(help_text="Tags shown that nobody decided on.")
    gained = serializers.IntegerField()
    lost = serializers.IntegerField()
    predict_ms = TimesSerializer()
    tags = TagEvidenceSerializer(many=True, help_text="Those that people decided on.")
    unreviewed_tags = TagChangeSerializer(many=True, help_text="Those that only machines spoke of.")
    verdict = GateVerdictSerializer()
