"""Asking again: for what the queue gave up, for what failed, for what nobody would tag."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from dam.assets.models import Asset
from dam.assets.services import asset_request_tags
from dam.jobs.dead_letters import purpose_of
from dam.jobs.models import DeadLetter, TaggingJob
from pipeline.messages import Purpose

_OPEN = (TaggingJob.State.QUEUED, TaggingJob.State.PUBLISHED)
_LIVE = (TaggingJob.Purpose.LIVE, TaggingJob.Purpose.CAMPAIGN)
_CHUNK = 500


class ReplayRefusedError(Exception):
    """A dead letter that cannot be replayed; the text is a clause for people that says why."""


@dataclass(frozen=True)
class Replay:
    """What became of a replay. ``new``: False if the job was issued before."""

    job: TaggingJob
    new: bool


def dead_letter_replay(*, letter: DeadLetter, force: bool = False) -> Replay:
    """Issue a job of the next generation for the picture of a dead letter, once.

    The job is one of a bulk: what killed workers before shall not stand before people's pictures.

    Args:
        letter: of any state; one that was replayed before is answered with the job of then.
        force: also if the picture was answered meanwhile.

    Raises:
        ReplayRefusedError: nothing was issued.
    """
    with transaction.atomic():
        held = DeadLetter.objects.select_for_update(of=("self",)).get(pk=letter.pk)
        job = _job_to_replay(held)
        if held.state == DeadLetter.State.REPLAYED:
            if held.replayed_job is None:
                raise ReplayRefusedError("it was replayed, and the job is gone since")
            return Replay(held.replayed_job, new=False)
        assert job.asset_id is not None, "only a try has none"
        # Held until the new job stands, so that of two replays of one picture the second sees it.
        asset = Asset.objects.select_for_update(of=("self",)).get(pk=job.asset_id)
        later = _jobs_like(job).filter(generation__gt=job.generation)
        open_job = later.filter(state__in=_OPEN).order_by("-generation").first()
        if open_job is None and not force:
            _refuse_if_answered(job, later)
        issued = open_job or asset_request_tags(
            asset=asset,
            purpose=TaggingJob.Purpose(job.purpose),
            bulk=True,
            # A new picture asks for what is in service now, even if it was given to a version on trial.
            model_label="" if job.purpose == TaggingJob.Purpose.LIVE else job.model_label,
            request_id=job.request_id,
        )
        held.state, held.replayed_job, held.settled_at = DeadLetter.State.REPLAYED, issued, timezone.now()
        held.save(update_fields=["state", "replayed_job", "settled_at"])
    return Replay(issued, new=open_job is None)


def _job_to_replay(letter: DeadLetter) -> TaggingJob:
    if letter.state == DeadLetter.State.DROPPED:
        raise ReplayRefusedError("it was dropped")
    purpose = purpose_of(letter)
    if purpose is None:
        raise ReplayRefusedError("nobody can read it, so nobody knows what it asked for")
    if purpose is Purpose.TRY:
        raise ReplayRefusedError("it is a try: whoever asked has long gone, and its picture is forgotten")
    if letter.job is None:
        raise ReplayRefusedError("its picture was deleted")
    return letter.job


def _jobs_like(job: TaggingJob) -> QuerySet[TaggingJob]:
    """The jobs of the same picture whose answers are seen by the same."""
    jobs = TaggingJob.objects.filter(asset=job.asset)
    if job.purpose in _LIVE:
        return jobs.filter(purpose__in=_LIVE)
    return jobs.filter(purpose=job.purpose, model_label=job.model_label)


def _refuse_if_answered(job: TaggingJob, later: QuerySet[TaggingJob]) -> None:
    # A job that a newer one took the place of is closed as done, with that as its reason.
    answered = later.filter(state=TaggingJob.State.DONE, reason="").exists()
    if answered or (job.state == TaggingJob.State.DONE and not job.reason):
        raise ReplayRefusedError("its picture was tagged meanwhile")


@dataclass
class Replays:
    """What became of many: how many new jobs, letters that a job was issued for before, refusals by id."""

    issued: int = 0
    before: int = 0
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def replayed(self) -> int:
        """Letters that have a job now."""
        return self.issued + self.before


def dead_letters_replay(*, letters: Iterable[DeadLetter], force: bool = False) -> Replays:
    """Replay each; one that is refused stops no other."""
    replays = Replays()
    for letter in letters:
        try:
            replay = dead_letter_replay(letter=letter, force=force)
        except ReplayRefusedError as error:
            replays.refused[letter.pk] = str(error)
            continue
        if replay.new:
            replays.issued += 1
        else:
            replays.before += 1
    return replays


def asset_replay(*, asset: Asset, bulk: bool = False) -> TaggingJob | None:
    """Issue a job of the next generation for a failed picture; None if it is not failed (any more)."""
    with transaction.atomic():
        held = Asset.objects.select_for_update(of=("self",)).filter(pk=asset.pk).first()
        if held is None or held.state != Asset.State.FAILED:
            return None
        return asset_request_tags(asset=held, bulk=bulk, request_id=_request_of(held))


def forgotten_assets() -> QuerySet[Asset]:
    """Pending pictures that no open job is for; the ledger counts them."""
    jobs = TaggingJob.objects.filter(asset=OuterRef("pk"), state__in=_OPEN, purpose__in=_LIVE)
    return Asset.objects.filter(~Exists(jobs), state=Asset.State.PENDING, current_version__isnull=False)


def forgotten_assets_request_tags(*, should_stop: Callable[[], bool] = bool) -> int:
    """Issue a job for every pending picture without one, until asked to stop; returns how many."""
    count = 0
    for asset in _in_chunks(forgotten_assets()):
        if should_stop():
            break
        with transaction.atomic():
            Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
            if forgotten_assets().filter(pk=asset.pk).exists():
                asset_request_tags(asset=asset, bulk=True, request_id=_request_of(asset))
                count += 1
    return count


def _request_of(asset: Asset) -> str:
    """The request that asked for its tags the last time; what is asked again goes on under its id."""
    asked = (
        TaggingJob.objects.filter(asset=asset).order_by("-generation").values_list("request_id", flat=True)
    )
    return asked.first() or ""


def _in_chunks(assets: QuerySet[Asset]) -> Iterator[Asset]:
    last = 0
    while chunk := list(assets.filter(pk__gt=last).order_by("pk").only("pk")[:_CHUNK]):
        yield from chunk
        last = chunk[-1].pk
