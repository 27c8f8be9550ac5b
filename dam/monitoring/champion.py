"""Whose answers people see."""

from __future__ import annotations

from dam.rollout.models import Rollout
from dam.tagging.claims import LIVE_PURPOSES
from dam.tagging.models import ModelVersion, Prediction


def champion() -> ModelVersion | None:
    """The version in service, as the controller reported it; without one, the one that answered last.

    None: nothing was ever answered.
    """
    reported = Rollout.objects.select_related("champion").filter(pk=1).first()
    if reported is not None and reported.champion is not None:
        return reported.champion
    live = Prediction.objects.filter(purpose__in=LIVE_PURPOSES).select_related("model_version")
    newest = live.order_by("-pk").first()
    return None if newest is None else newest.model_version
