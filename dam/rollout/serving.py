"""What is in service, as the controller reports it, and which labels live jobs ask for."""

from __future__ import annotations

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from dam.jobs.models import Routing
from dam.jobs.services import jobs_ask_again_withdrawn
from dam.rollout.errors import SettledError
from dam.rollout.labels import Label
from dam.rollout.models import Rollout, Step
from dam.rollout.standing import baseline_take
from dam.tagging.models import ModelVersion, Prediction
from dam.tagging.undo import version_reinstate

log = structlog.get_logger()


def rollout_hold() -> Rollout:
    """The one row, made if it is not there, locked until the caller's transaction ends.

    Whoever changes anything about versions holds it first, so that they come one after another.
    """
    Rollout.objects.get_or_create(pk=1)
    # Its versions are read later, each by itself: a join would show those of before the wait for the lock.
    return Rollout.objects.select_for_update().get(pk=1)


def way_back(rollout: Rollout) -> ModelVersion | None:
    """The version that would serve if the champion had to go."""
    predecessor = rollout.predecessor
    return predecessor if predecessor is not None and predecessor.withdrawn_at is None else None


def live_version(rollout: Rollout) -> ModelVersion | None:
    """The version that live jobs are to be answered by; None where all that is loaded is withdrawn."""
    champion = rollout.champion
    if champion is not None and champion.withdrawn_at is None:
        return champion
    return way_back(rollout) if champion is not None else None


def rollout_route(rollout: Rollout) -> None:
    """Make live jobs ask for what is to answer them: the canary's share for the challenger, else one label.

    A withdrawn champion keeps its label until the controller has moved it, so its jobs go to the
    predecessor's meanwhile.
    """
    serves = live_version(rollout)
    to_predecessor = serves is not None and serves.pk != rollout.champion_id
    challenger = rollout.challenger
    tries = challenger is not None and challenger.withdrawn_at is None and not to_predecessor
    Routing.objects.update_or_create(
        pk=1,
        defaults={
            "live_label": Label.PREDECESSOR if to_predecessor else Label.CHAMPION,
            "trial_label": Label.CHALLENGER,
            "trial_share": rollout.canary_share if tries else 0.0,
            "salt": str(challenger.pk) if challenger else "",
        },
    )


def withdrawn_ask_again() -> int:
    """Ask again what a withdrawn version answered, if another one would answer; returns how many jobs."""
    rollout = Rollout.objects.select_related("champion", "predecessor").filter(pk=1).first()
    if rollout is None or live_version(rollout) is None:
        return 0
    return jobs_ask_again_withdrawn()


def serving_report(
    *,
    champion: ModelVersion,
    challenger: ModelVersion | None = None,
    predecessor: ModelVersion | None = None,
) -> Rollout:
    """Take in what the labels on the model servers mean now; the same report again changes nothing.

    A label that means the champion because there is no other version counts as none. The step that was
    asked for is settled if what it asked for is so; a change that nobody asked for here is recorded as one
    that came from the registry.
    """
    if challenger == champion:
        challenger = None
    if predecessor == champion:
        predecessor = None
    with transaction.atomic():
        rollout = rollout_hold()
        before, way_back_before = rollout.champion, rollout.predecessor
        rollout.champion, rollout.predecessor = champion, predecessor
        settled = _asked_settle(rollout)
        if champion != before:
            came_back = champion == way_back_before and _is(settled, Step.Kind.ROLL_BACK)
            if not came_back and not _is(settled, Step.Kind.PROMOTE):
                settled = _step_from_registry(Step.Kind.PROMOTE, champion, before)
            _champion_began(rollout, settled, came_back=came_back)
        if rollout.challenger_id != (challenger.pk if challenger else None):
            rollout.challenger = challenger
            _challenger_began(rollout)
        rollout.reported_at = timezone.now()
        rollout.save()
        _aliases_set(rollout)
        rollout_route(rollout)
    withdrawn_ask_again()
    return rollout


def _champion_began(rollout: Rollout, step: Step | None, *, came_back: bool) -> None:
    champion = rollout.champion
    assert champion is not None
    rollout.promoted_at = timezone.now()
    if champion.withdrawn_at is not None and step is not None and step.forced:
        version_reinstate(version=champion)
        champion.refresh_from_db()
    # What came back has served before: there is nothing to watch.
    rollout.baseline = {} if came_back or way_back(rollout) is None else baseline_take(rollout)
    log.info("champion", version=str(champion), step=step and step.pk, came_back=came_back)


def _challenger_began(rollout: Rollout) -> None:
    rollout.canary_share = 0.0
    rollout.sampled = 0
    rollout.challenged_at = None
    if rollout.challenger is not None:
        rollout.challenged_at = timezone.now()
        rollout.shadow_cursor = Prediction.objects.aggregate(newest=Max("pk"))["newest"] or 0
        _step_from_registry(Step.Kind.CHALLENGE, rollout.challenger, rollout.champion)


def _step_from_registry(kind: Step.Kind, version: ModelVersion, before: ModelVersion | None) -> Step:
    return Step.objects.create(
        kind=kind,
        state=Step.State.DONE,
        source=Step.Source.REGISTRY,
        version=version,
        before=before,
        settled_at=timezone.now(),
    )


def _is(step: Step | None, kind: Step.Kind) -> bool:
    return step is not None and step.kind == kind


def _asked_settle(rollout: Rollout) -> Step | None:
    """Settle what was asked for, if it is so; gives the step that is."""
    step = Step.objects.filter(state=Step.State.ASKED).first()
    if step is None:
        return None
    serves = step.version_id == rollout.champion_id
    if serves != (step.kind == Step.Kind.PROMOTE):
        return None
    _settle(step, Step.State.DONE, "")
    return step


def _aliases_set(rollout: Rollout) -> None:
    labelled = (
        (rollout.predecessor, Label.PREDECESSOR),
        (rollout.challenger, Label.CHALLENGER),
        (rollout.champion, Label.CHAMPION),
    )
    wanted = {version.pk: label.value for version, label in labelled if version is not None}
    held = dict(ModelVersion.objects.exclude(alias="").values_list("pk", "alias"))
    for pk in held.keys() | wanted.keys():
        alias = wanted.get(pk, "")
        if held.get(pk, "") != alias:
            ModelVersion.objects.filter(pk=pk).update(alias=alias)


# -------------------------------------------------------------------- steps


def step_settle(*, step: Step, done: bool, detail: str = "") -> Step:
    """Settle a step that was asked for, as the controller does when it could not be done.

    Raises:
        SettledError: it is settled otherwise already.
    """
    state = Step.State.DONE if done else Step.State.FAILED
    with transaction.atomic():
        rollout_hold()
        held = Step.objects.get(pk=step.pk)
        if held.state == Step.State.ASKED:
            _settle(held, state, detail)
        elif held.state != state:
            raise SettledError(f"The step was settled before: {held.get_state_display()}.")
    return held


def asked_give_up(*, why: str) -> Step | None:
    """Settle what is asked for as failed, in the caller's transaction, because something else goes first."""
    step = Step.objects.filter(state=Step.State.ASKED).first()
    if step is not None:
        _settle(step, Step.State.FAILED, why)
    return step


def _settle(step: Step, state: Step.State, detail: str) -> None:
    step.state, step.detail, step.settled_at = state, detail[:2000], timezone.now()
    step.save(update_fields=["state", "detail", "settled_at"])
    log.info("step settled", step=step.pk, kind=step.kind, version=str(step.version), state=state.value)
