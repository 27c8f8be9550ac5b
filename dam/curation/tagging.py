"""One word of a person on a tag, for many pictures at once."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from dam.assets.editing_checks import assets_hold, assets_told, changeable_required
from dam.assets.selectors import assets_visible_to
from dam.tagging.claims import LIVE_PURPOSES, assets_derive
from dam.tagging.models import Claim, Decision, Prediction, Tag
from dam.tagging.vocabulary import vocabulary


def decisions_make(
    *, asset_ids: Collection[int], tag: Tag, verdict: Decision.Verdict | None, user: User
) -> int:
    """Record what a person says of a tag on each of these pictures; returns how many.

    As :func:`dam.tagging.services.decision_make` for each, in one transaction; without a verdict, what was
    said is withdrawn.

    Raises:
        Asset.DoesNotExist: the person may not see one of them.
        NotAllowedError: they may not change one of them.
        InvalidChangeError: they are too many at once.
    """
    with transaction.atomic():
        assets = assets_hold(assets_visible_to(user), asset_ids)
        changeable_required(user, assets)
        ids = [asset.pk for asset in assets]
        if verdict is None:
            Decision.objects.filter(asset__in=ids, tag=tag).delete()
            said = dict.fromkeys(ids, "withdraw")
        else:
            said = _decide(ids, tag, verdict, user)
        assets_derive(asset_ids=ids, words=vocabulary())
        for action in sorted(set(said.values())):
            assets_told(
                user=user,
                action=f"tag.{action}",
                assets=[asset for asset in assets if said[asset.pk] == action],
                changes=lambda _asset: {"tag": tag.pk, "name": tag.name},
            )
    return len(assets)


_ACTIONS = {"accepted": "accept", "rejected": "reject", "added": "add"}


def _decide(ids: list[int], tag: Tag, verdict: Decision.Verdict, user: User) -> dict[int, str]:
    """Store the decisions; asset id → what it came to, for the history."""
    verdicts = dict.fromkeys(ids, verdict)
    if verdict != Decision.Verdict.REJECTED:
        suggested = Claim.objects.filter(asset__in=ids, tag=tag, source=Claim.Source.MODEL)
        proposed = set(suggested.values_list("asset", flat=True))
        verdicts = {pk: Decision.Verdict.ACCEPTED if pk in proposed else Decision.Verdict.ADDED for pk in ids}
    seen = _versions_seen(ids)
    now = timezone.now()
    Decision.objects.bulk_create(
        [
            Decision(
                asset_id=pk,
                tag=tag,
                verdict=verdicts[pk],
                decided_by=user,
                decided_at=now,
                model_version_id=seen.get(pk),
            )
            for pk in ids
        ],
        batch_size=2_000,
        update_conflicts=True,
        unique_fields=["asset", "tag"],
        update_fields=["verdict", "decided_by", "decided_at", "model_version"],
    )
    return {pk: _ACTIONS[each.value] for pk, each in verdicts.items()}


def _versions_seen(ids: list[int]) -> dict[int, int]:
    """Asset id → the model version whose answer people see, as ``claims.version_seen`` for each."""
    counts = Q(model_version__withdrawn_at__isnull=True) | Q(model_version__followed_to__lt=F("asset_id"))
    newest = (
        Prediction.objects.filter(
            asset__in=ids, asset_version=F("asset__current_version"), purpose__in=LIVE_PURPOSES
        )
        .filter(counts)
        .order_by("asset_id", "-generation")
        .distinct("asset_id")
    )
    return dict(newest.values_list("asset_id", "model_version_id"))
