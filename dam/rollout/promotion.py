"""Asking for more of a version: a canary's share of live traffic, or all of it. Both pass the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from dam.rollout.comparison import compare
from dam.rollout.errors import (
    AlreadyServesError,
    BusyError,
    ConflictError,
    GateRefusedError,
    NoChallengerError,
    WithdrawnError,
)
from dam.rollout.facts import facts_read
from dam.rollout.gate import Verdict, judge
from dam.rollout.models import Rollout, Step
from dam.rollout.serving import rollout_hold, rollout_route
from dam.tagging.models import ModelVersion

log = structlog.get_logger()

_ONE_ASKED = "step_one_asked_at_a_time"


def promotion_ask(
    *,
    version: ModelVersion,
    user: User | None,
    source: Step.Source = Step.Source.PERSON,
    force: bool = False,
    reason: str = "",
) -> Step:
    """Ask the controller to make a version the champion, if the gate lets it pass or it is forced.

    The first champion needs no gate: there is nothing to compare it with. A withdrawn version comes back
    by force only, and is reinstated when it serves. Call it outside a transaction: a refusal is kept.

    Raises:
        GateRefusedError: the evidence is not enough; the step that keeps it is refused.
        AlreadyServesError: it is the champion.
        BusyError: another step is asked for.
        ConflictError: the champion changed meanwhile.
        ValueError: forced without a reason.
    """
    if force and not reason.strip():
        raise ValueError("whoever forces a promotion says why")
    rollout = _rollout()
    before = rollout.champion
    if before == version:
        withdrawn = ", though withdrawn: take that back" if version.withdrawn_at else ""
        raise AlreadyServesError(f"{version} is the champion already{withdrawn}.")
    # Whoever has to wait learns it before the comparison; who is right is decided by the constraint.
    if Step.objects.filter(state=Step.State.ASKED).exists():
        raise BusyError(_busy())
    evidence, verdict = _evidence(rollout, version)
    if not verdict.passes and not force:
        raise _refused(Step.Kind.PROMOTE, version, rollout, evidence, verdict, source=source, user=user)
    with transaction.atomic():
        held = rollout_hold()
        if held.champion != before:
            raise ConflictError("The champion changed meanwhile: ask again.")
        try:
            with transaction.atomic():
                step = Step.objects.create(
                    kind=Step.Kind.PROMOTE,
                    state=Step.State.ASKED,
                    source=source,
                    version=version,
                    before=before,
                    forced=force,
                    reason=reason[:2000],
                    evidence=evidence,
                    by=user,
                )
        except IntegrityError as error:
            if _ONE_ASKED not in str(error):
                raise
            raise BusyError(_busy()) from error
    log.info("promotion asked", version=str(version), before=str(before), forced=force, step=step.pk)
    return step


def canary_set(*, share: float, user: User | None, force: bool = False, reason: str = "") -> Step:
    """Let the challenger answer a share of live traffic; a larger one passes the gate, or is forced.

    Raises:
        NoChallengerError: nothing is being tried.
        WithdrawnError: the challenger is withdrawn.
        GateRefusedError: the evidence is not enough; the step that keeps it is refused.
        ConflictError: the challenger changed meanwhile.
        ValueError: no share, or forced without a reason.
    """
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    if force and not reason.strip():
        raise ValueError("whoever forces a canary says why")
    rollout = _rollout()
    challenger = rollout.challenger
    if challenger is None:
        raise NoChallengerError("There is no challenger.")
    if share and challenger.withdrawn_at is not None:
        raise WithdrawnError(f"{challenger} is withdrawn.")
    evidence: dict[str, Any] = {}
    if share > rollout.canary_share:
        evidence, verdict = _evidence(rollout, challenger)
        if not verdict.passes and not force:
            raise _refused(Step.Kind.CANARY, challenger, rollout, evidence, verdict, user=user)
    with transaction.atomic():
        held = rollout_hold()
        if held.challenger != challenger:
            raise ConflictError("The challenger changed meanwhile: ask again.")
        held.canary_share = share
        held.save(update_fields=["canary_share"])
        rollout_route(held)
        step = Step.objects.create(
            kind=Step.Kind.CANARY,
            state=Step.State.DONE,
            source=Step.Source.PERSON,
            version=challenger,
            before=held.champion,
            forced=force,
            reason=reason[:2000],
            evidence=evidence | {"share": share},
            by=user,
            settled_at=timezone.now(),
        )
    log.info("canary", version=str(challenger), share=share, forced=force, step=step.pk)
    return step


def shadow_set(*, share: float, user: User | None) -> Rollout:
    """Show the challenger this share of live traffic.

    Raises:
        ValueError: no share.
    """
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    with transaction.atomic():
        held = rollout_hold()
        held.shadow_share = share
        held.save(update_fields=["shadow_share"])
    log.info("shadow", share=share, by=user and user.get_username())
    return held


def rules_set(*, user: Any, rules: Mapping[str, Any]) -> None:
    """Change rules of the gate, of the watch or of what a challenger is shown; what is in service stays."""
    with transaction.atomic():
        held = rollout_hold()
        for name, value in rules.items():
            setattr(held, name, value)
        held.save(update_fields=list(rules))
    log.info("rules", by=user.get_username(), **rules)


def _rollout() -> Rollout:
    return Rollout.objects.select_related("champion", "challenger").filter(pk=1).first() or Rollout()


def _evidence(rollout: Rollout, version: ModelVersion) -> tuple[dict[str, Any], Verdict]:
    if rollout.champion is None:
        return {}, Verdict(passes=True)
    comparison = compare(facts_read(champion=rollout.champion, challenger=version, user=None))
    verdict = judge(comparison, rollout)
    return {"comparison": comparison.summary(), "verdict": verdict.as_dict()}, verdict


def _refused(  # noqa: PLR0913  # one argument for each fact that is kept
    kind: Step.Kind,
    version: ModelVersion,
    rollout: Rollout,
    evidence: dict[str, Any],
    verdict: Verdict,
    *,
    user: User | None,
    source: Step.Source = Step.Source.PERSON,
) -> GateRefusedError:
    step = Step.objects.create(
        kind=kind,
        state=Step.State.REFUSED,
        source=source,
        version=version,
        before=rollout.champion,
        evidence=evidence,
        detail=" ".join(verdict.reasons)[:2000],
        by=user,
        settled_at=timezone.now(),
    )
    log.info("refused", kind=kind.value, version=str(version), why=verdict.reasons, step=step.pk)
    return GateRefusedError(verdict.reasons, step)


def _busy() -> str:
    asked = Step.objects.select_related("version").filter(state=Step.State.ASKED).first()
    what = f"The {asked.get_kind_display()} of {asked.version}" if asked else "Another step"
    return f"{what} is asked for already, and the controller has not done it yet."
