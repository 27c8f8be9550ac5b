"""What a dead letter says."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from dam.jobs.models import DeadLetter
from pipeline.messages import Purpose, TagRequest, TagResult
from pipeline.topology import RESULTS

# Longer values, such as an embedding, are cut: people read this.
_LONGEST_SHOWN = 200


def dead_letters(*, state: str = "", reason: str = "") -> QuerySet[DeadLetter]:
    """Letters in the order in which they were seen; of that state and reason, if given."""
    letters = DeadLetter.objects.order_by("pk")
    if state:
        letters = letters.filter(state=state)
    if reason:
        letters = letters.filter(reason__icontains=reason)
    return letters


def message_of(letter: DeadLetter) -> TagRequest | TagResult | None:
    """The message in a letter; None if nobody can read it."""
    kind = TagResult if letter.queue.startswith(RESULTS) else TagRequest
    try:
        return kind.model_validate_json(bytes(letter.body))
    except ValueError:
        return None


def purpose_of(letter: DeadLetter) -> Purpose | None:
    """What the message was for; None if nobody can read it."""
    if letter.job is not None:
        return Purpose(letter.job.purpose)
    message = message_of(letter)
    return None if message is None else message.purpose


def body_for_people(letter: DeadLetter) -> str:
    """The message as indented JSON, or as text in which whatever does not print is escaped."""
    body = bytes(letter.body)
    try:
        text = json.dumps(_shortened(json.loads(body)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "backslashreplace")
    # A terminal obeys what is in a message that strangers wrote.
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"{value[:60]}… ({len(value):,} characters)"
    return value
