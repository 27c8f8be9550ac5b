"""Putting right what a crash or an outage left behind; doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from dam.assets.orphans import orphans_sweep
from dam.assets.replays import forgotten_assets, forgotten_assets_request_tags
from dam.jobs.services import jobs_publish_again

PUBLISHED_BEFORE = timedelta(hours=1)
ORPHANS_BEFORE = timedelta(days=1)


@dataclass(frozen=True)
class Reconciled:
    """What was done, or would be done, as numbers."""

    published_again: int = 0
    """Jobs that went back to the queue, for they were published too long ago."""
    requested: int = 0
    """Pending assets that got the job which they lacked."""
    orphan_originals: int = 0
    """Originals deleted that nothing names."""
    orphan_rows: int = 0
    """Blob rows deleted that no asset uses, with their bytes."""
    refusal: str = ""
    """Of a dry run: why the bytes would be left alone."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def reconcile_jobs(
    *,
    published_before: timedelta = PUBLISHED_BEFORE,
    dry_run: bool = False,
    should_stop: Callable[[], bool] = bool,
) -> Reconciled:
    """Publish again what was published too long ago, and issue the jobs that are missing."""
    published_again = jobs_publish_again(published_before=published_before, dry_run=dry_run)
    if dry_run:
        requested = forgotten_assets().count()
    else:
        requested = forgotten_assets_request_tags(should_stop=should_stop)
    return Reconciled(published_again=published_again, requested=requested)


def reconcile_blobs(
    *,
    orphans_before: timedelta = ORPHANS_BEFORE,
    dry_run: bool = False,
    force: bool = False,
    should_stop: Callable[[], bool] = bool,
) -> Reconciled:
    """Delete bytes that nothing names; ``force``: however many they are.

    Raises:
        SweepRefusedError: they are too many; nothing was deleted.
        DependencyDownError: the blob store does not answer.
    """
    swept = orphans_sweep(older_than=orphans_before, dry_run=dry_run, force=force, should_stop=should_stop)
    return Reconciled(orphan_originals=swept.originals, orphan_rows=swept.rows, refusal=swept.refusal)


def reconcile(
    *,
    published_before: timedelta,
    orphans_before: timedelta,
    dry_run: bool = False,
    force_orphans: bool = False,
) -> Reconciled:
    """Both; the jobs first, for somebody waits for them.

    Raises:
        SweepRefusedError: there are too many bytes that nothing names; the jobs are done.
        DependencyDownError: the blob store does not answer; the jobs are done.
    """
    jobs = reconcile_jobs(published_before=published_before, dry_run=dry_run)
    blobs = reconcile_blobs(orphans_before=orphans_before, dry_run=dry_run, force=force_orphans)
    return Reconciled(
        published_again=jobs.published_again,
        requested=jobs.requested,
        orphan_originals=blobs.orphan_originals,
        orphan_rows=blobs.orphan_rows,
        refusal=blobs.refusal,
    )
