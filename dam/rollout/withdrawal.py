"""Undoing versions: nothing that people see follows from a withdrawn one, and nobody is sent to it."""

from __future__ import annotations

from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from dam.rollout.errors import BusyError, NoWayBackError, WithdrawnError
from dam.rollout.models import Rollout, Step
from dam.rollout.serving import asked_give_up, rollout_hold, rollout_route, way_back, withdrawn_ask_again
from dam.tagging.models import ModelVersion
from dam.tagging.undo import version_reinstate, version_withdraw

log = structlog.get_logger()


def rollback(
    *,
    reason: str,
    user: User | None = None,
    source: Step.Source = Step.Source.PERSON,
    evidence: dict[str, Any] | None = None,
    of: ModelVersion | None = None,
) -> Step:
    """Withdraw the champion and send live jobs to its predecessor, at once; the controller moves the labels.

    A promotion that is asked for meanwhile is given up: the way back goes first.

    Args:
        reason: for people.
        user: who wants it.
        source: whether a person or the watch.
        evidence: what was known.
        of: the champion that is meant; None means whichever it is.

    Raises:
        NoWayBackError: there is no predecessor that could serve.
        BusyError: a roll-back is asked for already, or the champion is another one by now.
    """
    with transaction.atomic():
        rollout = rollout_hold()
        champion = rollout.champion
        if champion is None or way_back(rollout) is None:
            raise NoWayBackError("There is no version before the champion that could serve.")
        if of is not None and of != champion:
            raise BusyError(f"The champion is {champion} by now.")
        if _asked(Step.Kind.ROLL_BACK, champion):
            raise BusyError("A roll-back is asked for already.")
        asked_give_up(why="A roll-back came first.")
        if champion.withdrawn_at is None:
            version_withdraw(version=champion)
            champion.refresh_from_db()
        _canary_end(rollout)
        rollout_route(rollout)
        step = Step.objects.create(
            kind=Step.Kind.ROLL_BACK,
            state=Step.State.ASKED,
            source=source,
            version=champion,
            before=champion,
            reason=reason[:2000],
            evidence=(evidence or {}) | {"way_back": str(way_back(rollout))},
            by=user,
        )
    log.warning("rolled back", version=str(champion), source=source.value, step=step.pk)
    withdrawn_ask_again()
    return step


def version_undo(*, version: ModelVersion, user: User | None, reason: str) -> Step:
    """Undo all that a version did: a roll-back if it is the champion, else it is withdrawn.

    Raises:
        NoWayBackError: it serves, and no other version could.
        BusyError: a roll-back is asked for already.
        WithdrawnError: it is withdrawn already.
    """
    if Rollout.objects.filter(champion=version).exists():
        return rollback(reason=reason, user=user, of=version)
    with transaction.atomic():
        rollout = rollout_hold()
        version.refresh_from_db()
        if version == rollout.champion:
            raise BusyError(f"{version} became the champion at this moment.")
        if version.withdrawn_at is not None:
            raise WithdrawnError(f"{version} is withdrawn already.")
        if version == rollout.predecessor and rollout.champion and rollout.champion.withdrawn_at is not None:
            raise NoWayBackError(f"{version} serves in the place of the withdrawn champion.")
        if _asked(Step.Kind.PROMOTE, version):
            asked_give_up(why="It was undone meanwhile.")
        version_withdraw(version=version)
        if version == rollout.challenger:
            _canary_end(rollout)
            rollout_route(rollout)
        step = _step_done(Step.Kind.UNDO, version, rollout, user=user, reason=reason)
        version.refresh_from_db()
    log.warning("undone", version=str(version), step=step.pk)
    return step


def version_take_back(*, version: ModelVersion, user: User | None, reason: str = "") -> Step:
    """Reinstate a withdrawn version: what people see may follow from its answers again.

    Raises:
        WithdrawnError: it is not withdrawn.
        BusyError: the controller is about to replace it.
    """
    with transaction.atomic():
        rollout = rollout_hold()
        version.refresh_from_db()
        if version.withdrawn_at is None:
            raise WithdrawnError(f"{version} is not withdrawn.")
        if _asked(Step.Kind.ROLL_BACK, version):
            raise BusyError("Its roll-back is asked for, and not done yet.")
        version_reinstate(version=version)
        version.refresh_from_db()
        if rollout.champion is not None:
            rollout_route(rollout)
        step = _step_done(Step.Kind.REINSTATE, version, rollout, user=user, reason=reason)
    log.warning("reinstated", version=str(version), step=step.pk)
    return step


def _asked(kind: Step.Kind, version: ModelVersion) -> bool:
    return Step.objects.filter(state=Step.State.ASKED, kind=kind, version=version).exists()


def _canary_end(rollout: Rollout) -> None:
    rollout.canary_share = 0.0
    rollout.save(update_fields=["canary_share"])


def _step_done(
    kind: Step.Kind, version: ModelVersion, rollout: Rollout, *, user: User | None, reason: str
) -> Step:
    return Step.objects.create(
        kind=kind,
        state=Step.State.DONE,
        source=Step.Source.PERSON,
        version=version,
        before=rollout.champion,
        reason=reason[:2000],
        by=user,
        settled_at=timezone.now(),
    )
