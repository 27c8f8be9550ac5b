"""What stands about model versions, in the words of the page *Models*."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.timesince import timesince

from dam.library.figures import duration, share
from dam.rollout.models import Rollout, Step
from dam.rollout.selectors import ShadowProgress
from dam.rollout.standing import Check, WatchStanding
from dam.tagging.models import ModelVersion

# The controller reports after each change and every half a minute.
_SILENT_AFTER = timedelta(minutes=1)
_WEEKDAY_ENOUGH = timedelta(days=6)


# ------------------------------------------------------------- the controller


@dataclass(frozen=True, slots=True)
class Heard:
    """When the controller was heard; ``alarm`` says what that means, if it means anything."""

    text: str
    alarm: str = ""


def heard_text(reported_at: datetime | None, *, now: datetime) -> Heard:
    """Whether the controller is there."""
    if reported_at is None:
        return Heard(
            "The controller was never heard.",
            "It brings versions into service. Pictures are tagged without it, but nothing is promoted.",
        )
    age = max(timedelta(), now - reported_at)
    if age <= _SILENT_AFTER:
        seconds = round(age.total_seconds())
        return Heard(f"The controller was heard {seconds} second{'' if seconds == 1 else 's'} ago.")
    return Heard(
        f"The controller was heard {timesince(reported_at, now, depth=1)} ago.",
        "Everything goes on as it is, and promotions wait for it. A roll-back takes effect without it.",
    )


def asked_text(step: Step, way_back: ModelVersion | None) -> str:
    """What is asked of the controller and not done yet."""
    number = step.version.version
    if step.kind == Step.Kind.PROMOTE:
        return f"Promotion of version {number} is under way."
    if way_back is None:
        return f"The roll-back of version {number} is under way."
    return (
        f"Version {number} is rolled back: version {way_back.version} answers in its place already, "
        "until the controller has moved the labels."
    )


def following_text(version: ModelVersion) -> str:
    """What is derived again."""
    what = "undoing" if version.withdrawn_at else "return"
    return f"The pictures follow the {what} of version {version.version}."


# ------------------------------------------------------------------ the watch


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that a champion is watched for; ``state`` is ``ok``, ``bad`` or ``open``."""

    name: str
    now: str
    before: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Watch:
    """The watch over the champion."""

    title: str
    text: str
    measures: tuple[Measure, ...] = ()


def watch_text(rollout: Rollout, standing: WatchStanding | None, *, now: datetime) -> Watch:
    """What the watch says; ``standing`` is None where there is none."""
    if standing is None:
        return _not_watched(rollout, now=now)
    before = standing.predecessor.version
    return Watch(
        title=f"Watched until {moment(standing.until, now=now)}",
        text=f"If it turns out surely worse than version {before}, it is rolled back by itself.",
        measures=tuple(_MEASURES[check.name](check, before) for check in standing.checks),
    )


def moment(value: datetime, *, now: datetime) -> str:
    """``Thursday, 14:00`` of the days to come, else with the date."""
    near = timedelta() <= value - now < _WEEKDAY_ENOUGH
    return formats.date_format(timezone.localtime(value), "l, H:i" if near else "j F Y, H:i")


def _not_watched(rollout: Rollout, *, now: datetime) -> Watch:
    if rollout.champion and rollout.champion.withdrawn_at:
        return Watch("No longer watched", "It is withdrawn.")
    hours = rollout.watch_hours
    if rollout.baseline and rollout.promoted_at and now >= rollout.promoted_at + timedelta(hours=hours):
        return Watch("No longer watched", f"Nothing went wrong in the {hours} hours after its promotion.")
    return Watch("Not watched", "A version is watched when it takes the place of another for the first time.")


def _state(check: Check, *, short: str, fine: str, breach: str) -> tuple[str, str]:
    if check.breached:
        return "bad", breach
    if check.judged:
        return "ok", fine
    return "open", short


def _points(part: float) -> str:
    number = round(part * 100, 1)
    return f"{number:g} point{'' if number == 1 else 's'}"


def _missing(check: Check, *, what: str) -> str:
    if check.now_of < check.needed:
        return f"Judged from {check.needed:,} {what} on"
    return "Not judged: nothing is known of before"


def _precision(check: Check, before: int) -> Measure:
    accepted = round((check.now or 0) * check.now_of)
    said = (
        f"{accepted:,} accepted, {check.now_of - accepted:,} rejected"
        if check.now_of
        else "Nobody has said anything yet"
    )
    limit = _points(check.limit)
    state, text = _state(
        check,
        short=_missing(check, what="decisions"),
        fine=f"Nothing wrong; goes back if surely {limit} lower",
        breach=f"Surely more than {limit} lower",
    )
    return Measure(
        "Suggestions that people accept", share(check.now), _beside(said, check, before), state, text
    )


def _errors(check: Check, before: int) -> Measure:
    failed = round((check.now or 0) * check.now_of)
    said = f"{failed:,} of {check.now_of:,} jobs" if check.now_of else "No job came yet"
    limit = _points(check.limit)
    state, text = _state(
        check,
        short=_missing(check, what="jobs"),
        fine=f"Nothing wrong; goes back if surely {limit} higher",
        breach=f"Surely more than {limit} higher",
    )
    return Measure(
        "Failures not due to the picture", share(check.now), _beside(said, check, before), state, text
    )


def _time(check: Check, before: int) -> Measure:
    said = f"{check.now_of:,} answers" if check.now_of else "No answer came yet"
    if check.before is not None:
        said += f"; version {before} took {duration(check.before)}"
    state, text = _state(
        check,
        short=_missing(check, what="answers"),
        fine=f"Nothing wrong; goes back at {check.limit:g} times as long",
        breach=f"More than {check.limit:g} times as long",
    )
    return Measure("Time for a picture", duration(check.now), said, state, text)


def _beside(said: str, check: Check, before: int) -> str:
    return said if check.before is None else f"{said}; version {before} had {share(check.before)}"


_MEASURES = {"precision": _precision, "errors": _errors, "time": _time}


# ------------------------------------------------------------- the challenger


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of its sample the challenger has seen; ``share`` in [0, 1]."""

    text: str
    share: float


def seen_text(rollout: Rollout, progress: ShadowProgress) -> Seen:
    """What the challenger has answered, of what it is to answer."""
    size = rollout.sample_size
    seen = max(0, size - progress.wanted - progress.open)
    many = progress.answered
    text = f"It has answered {many} picture{'' if many.value == 1 else 's'} of this library. "
    if seen < size:
        text += (
            f"Of the sample of {_pictures(size)} that every challenger is shown, {size - seen:,} are to come."
        )
    else:
        text += f"The sample of {_pictures(size)} that every challenger is shown is complete."
    return Seen(text, seen / size if size else 1.0)


def _pictures(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"


# -------------------------------------------------------------------- history


@dataclass(frozen=True, slots=True)
class Line:
    """A step of the history."""

    text: str
    who: str
    when: datetime
    reason: str
    detail: str
    marks: tuple[str, ...]
    icon: str
    bad: bool


_DONE = {
    Step.Kind.CHALLENGE: "Version {} became the challenger",
    Step.Kind.PROMOTE: "Version {} was promoted",
    Step.Kind.ROLL_BACK: "Version {} was rolled back",
    Step.Kind.UNDO: "Version {} was undone",
    Step.Kind.REINSTATE: "The undoing of version {} was taken back",
}
_WANTED = {
    Step.Kind.CHALLENGE: "Version {} as the challenger",
    Step.Kind.CANARY: "A canary share of version {}",
    Step.Kind.PROMOTE: "Promotion of version {}",
    Step.Kind.ROLL_BACK: "Roll-back of version {}",
    Step.Kind.UNDO: "Undoing of version {}",
    Step.Kind.REINSTATE: "Return of version {}",
}
_ICONS = {
    Step.Kind.CHALLENGE: "try",
    Step.Kind.CANARY: "try",
    Step.Kind.PROMOTE: "layers",
    Step.Kind.ROLL_BACK: "undo",
    Step.Kind.UNDO: "undo",
    Step.Kind.REINSTATE: "retry",
}


def step_line(step: Step) -> Line:
    """A step whose version and person are loaded, as a line of the history."""
    kind, state = Step.Kind(step.kind), Step.State(step.state)
    bad = state in {Step.State.REFUSED, Step.State.FAILED}
    number = step.version.version
    marks = [state.value] if bad else ["under way"] if state == Step.State.ASKED else []
    if state != Step.State.DONE:
        text = _WANTED[kind].format(number)
    elif kind == Step.Kind.CANARY:
        part = step.evidence.get("share")
        text = f"Version {number} answers {share(part) if part else 'nothing'} of live traffic"
    else:
        text = _DONE[kind].format(number)
    return Line(
        text=text,
        who=_who(step),
        when=step.created_at,
        reason=step.reason,
        detail=step.detail,
        marks=(*marks, "forced") if step.forced else tuple(marks),
        icon="warning" if bad else _ICONS[kind],
        bad=bad,
    )


def _who(step: Step) -> str:
    if step.source == Step.Source.WATCH:
        return "By the watch"
    if step.by:
        return step.by.get_full_name() or step.by.get_username()
    # Nobody is named on the command line of the server either.
    return "In the registry" if step.source == Step.Source.REGISTRY else "Somebody"
