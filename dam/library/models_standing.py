"""What is under way with model versions, told again every few seconds while the page *Models* is open."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max
from django.utils import timezone

from dam.assets.models import Asset
from dam.library.models_words import Heard, asked_text, following_text, heard_text
from dam.rollout.models import Rollout
from dam.rollout.selectors import step_asked, steps_list
from dam.rollout.serving import way_back
from dam.tagging.models import ModelVersion


@dataclass(frozen=True, slots=True)
class Following:
    """Pictures that are derived again, after an undoing or its end."""

    text: str
    label: str
    share: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is under way."""

    seen: str
    """What the page was drawn from."""
    controller: Heard
    asked: str
    following: tuple[Following, ...]
    changed: bool = False
    """The page is out of date."""

    @property
    def busy(self) -> bool:
        """Whether something is waited for."""
        return bool(self.asked or self.following)


def standing_of(rollout: Rollout, *, seen: str | None = None) -> Standing:
    """What is under way, in a few small queries; ``seen`` is what the page was drawn from before."""
    newest = next(iter(steps_list(limit=1)), None)
    asked = step_asked()
    following = tuple(ModelVersion.objects.filter(followed_to__isnull=False).order_by("version"))
    marks = (
        rollout.champion_id,
        rollout.challenger_id,
        rollout.predecessor_id,
        newest and f"{newest.pk}{newest.state}",
        asked and asked.pk,
        "+".join(str(version.pk) for version in following),
    )
    now = "-".join(str(mark or 0) for mark in marks)
    return Standing(
        seen=now if seen is None else seen,
        controller=heard_text(rollout.reported_at, now=timezone.now()),
        asked=asked_text(asked, way_back(rollout)) if asked else "",
        following=_following(following),
        changed=seen is not None and seen != now,
    )


def _following(versions: tuple[ModelVersion, ...]) -> tuple[Following, ...]:
    if not versions:
        return ()
    last = Asset.objects.aggregate(last=Max("pk"))["last"] or 1
    return tuple(
        Following(
            text=following_text(version),
            label=f"How far the pictures follow version {version.version}",
            share=min(1.0, (version.followed_to or 0) / last),
        )
        for version in versions
    )
