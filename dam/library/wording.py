"""Stable words of the ledger in the words of people."""

from __future__ import annotations

from datetime import timedelta

from dam.jobs.models import TaggingJob
from pipeline.messages import FailureReason

# A member of a StrEnum is its text, so plain text from the database finds it.
_SHORT: dict[str, str] = {
    FailureReason.CORRUPT: "Damaged file",
    FailureReason.TOO_LARGE: "Too large",
    FailureReason.UNSUPPORTED: "Unsupported",
    FailureReason.MISSING_BLOB: "File missing",
    FailureReason.DEAD_LETTERED: "Set aside",
}
_LONG: dict[str, str] = {
    FailureReason.CORRUPT: "The file is damaged: it begins like a picture, but could not be read to its end. "
    "A fresh copy from its source usually helps.",
    FailureReason.TOO_LARGE: "The picture has more pixels than this installation takes.",
    FailureReason.UNSUPPORTED: "This kind of file, or a feature that it uses, cannot be read here.",
    FailureReason.MISSING_BLOB: "The file is no longer where it was stored. Upload it again, "
    "or restore it from a backup.",
    FailureReason.DEAD_LETTERED: "Tagging was tried several times and never came to an end, "
    "so the picture was set aside. The file itself is kept.",
}
# An idle system answers within a second; after this long something is slow, and people may know it.
_SLOW = timedelta(seconds=60)


def reason_short(reason: str) -> str:
    """Two words for a badge."""
    return _SHORT.get(reason, "Failed")


def reason_long(reason: str) -> str:
    """A sentence or two on why a picture failed, and what to do."""
    return _LONG.get(reason) or f"The reason is given as “{reason}”."


def waiting_text(job: TaggingJob | None, *, age: timedelta) -> str:
    """What a pending asset waits for; ``age`` is that of its newest open job."""
    if job is None:
        return "It waits for a job; the administrator's ledger shows why there is none."
    if age < _SLOW:
        return "This usually takes a second or two. The tags appear here by themselves."
    minutes = max(1, round(age.total_seconds() / 60))
    since = f"{minutes} minute{'s' if minutes != 1 else ''}" if minutes < 120 else f"{minutes // 60} hours"
    if job.state == TaggingJob.State.QUEUED:
        return f"It has been waiting for {since}: the relay does not take it, so it may not be running."
    if job.bulk:
        return f"It has been waiting for {since} behind a large import, and gets its turn."
    return f"It has been waiting for {since}: tagging is busy or stopped. Nothing is lost."
