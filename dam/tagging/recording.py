"""Answers recorded: any number of them at once, in one transaction, each once.

Locks are taken in one order everywhere: which versions are withdrawn, then jobs by id, then assets by id,
then the words and the models that the catalogue lacks, by name. So several writers, relays and people never
wait for each other in a circle.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import NamedTuple, Self

from django.db import connection, transaction
from django.utils import timezone
from pgvector import HalfVector

from dam.jobs.models import TaggingJob
from dam.tagging import recording_sql
from dam.tagging.bulk_sql import DOUBLE, INTEGER, array_bytes, rows_copy, rows_read, rows_update
from dam.tagging.claims import LIVE_PURPOSES, AssetClaims, claims_store, decisions_of
from dam.tagging.derive import Derived, derive
from dam.tagging.known_models import KnownModels, key_of, models_hold
from dam.tagging.likeness import likeness_forget_failed, likeness_keep
from dam.tagging.vocabulary import Vocabulary, labels_take_in
from dam.telemetry.metrics import TIME_TO_TAGGED_SECONDS, lane_of
from pipeline.messages import ModelIdentity, Outcome, PictureFacts, Rendition, TagResult

_DONE, _FAILED = TaggingJob.State.DONE.value, TaggingJob.State.FAILED.value


class Recorded(StrEnum):
    """What an answer did."""

    TAGGED = "tagged"
    FAILED = "failed"
    ANSWERED = "answered"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"
    WITHDRAWN = "withdrawn"
    """Of a version that was: the job stays open, to be asked again of another one."""


class Answer(NamedTuple):
    """What is kept of an answer until its batch is recorded.

    It is small: the objects of 250 messages would fill the processor's cache and keep the garbage
    collector busy, which costs more than the work itself.
    """

    job_id: int
    generation: int
    sha256: str
    """Of the picture that it is about; empty: it does not say."""
    failed: bool
    reason: str
    detail: str
    model: ModelIdentity | None
    scores: dict[str, float]
    """Label → probability, best first."""
    embedding: bytes | None
    """As the database keeps it: half precision, in its binary form."""
    predict_ms: float | None
    picture: PictureFacts | None
    renditions: tuple[Rendition, ...]

    @classmethod
    def of(cls, result: TagResult) -> Self:
        """Take from a message what recording needs. Asks nothing of the database.

        Raises:
            ValueError: its embedding is not what it should be.
        """
        embedding = result.embedding()
        best_first = sorted(result.scores, key=attrgetter("score"), reverse=True)
        return cls(
            job_id=result.job_id,
            generation=result.generation,
            sha256=result.sha256,
            failed=result.outcome is Outcome.FAILED,
            reason=result.reason.value if result.reason else "unknown",
            detail=result.detail[:500],
            model=result.model,
            scores={each.label: each.score for each in best_first},
            embedding=None if embedding is None else HalfVector(embedding).to_binary(),
            predict_ms=result.predict_share_ms,
            picture=result.picture,
            renditions=result.renditions,
        )


class _Job(NamedTuple):
    """An open job, locked."""

    id: int
    generation: int
    sha256: str
    purpose: str
    asset_id: int | None
    asset_version_id: int | None
    bulk: bool
    created_at: datetime

    @property
    def is_live(self) -> bool:
        """Whether people see what follows."""
        return self.purpose in LIVE_PURPOSES

    def is_meant_by(self, answer: Answer) -> bool:
        """Whether the answer is to this job, and not to one that had its number before a restore."""
        return self.generation == answer.generation and answer.sha256 in {"", self.sha256}


class _Asset(NamedTuple):
    """An asset, locked. ``waits``: it has no tags so far."""

    version_id: int | None
    waits: bool


class _Accepted(NamedTuple):
    """An answer that counts. ``is_seen``: of its asset's current file, and people see what follows."""

    job: _Job
    answer: Answer
    is_seen: bool

    @property
    def asset_id(self) -> int:
        """The asset's; not of a try."""
        assert self.job.asset_id is not None
        return self.job.asset_id


def result_record(*, result: TagResult, words: Vocabulary) -> Recorded:
    """Record one answer; see :func:`answers_record`."""
    (recorded,) = answers_record(answers=[Answer.of(result)], words=words)
    return recorded


def answers_record(*, answers: Sequence[Answer], words: Vocabulary) -> list[Recorded]:
    """Store answers and close their jobs, in one transaction, once; returns what each did.

    An answer to a closed or unknown job, or to another picture than its job's, changes nothing, and neither
    does one of an older generation than a job issued since, beyond closing its own job. Of two answers to one
    job the first counts. One that people would see, of a version that is withdrawn, counts as none: its job
    stays open.

    Raises:
        ValueError: an answer lacks what it needs; none of them is recorded.
        DatabaseError: the same for what the database refuses.
    """
    recorded: list[Recorded] = []
    tagged: list[_Accepted] = []
    failed: list[_Accepted] = []
    superseded: list[_Job] = []
    withdrawn: list[int] = []
    with transaction.atomic():
        models = models_hold()
        jobs = _jobs_lock(answers)
        assets = _assets_lock(jobs.values())
        newest = dict(rows_read(recording_sql.NEWEST_GENERATIONS, list(assets)))
        for answer in answers:
            job = jobs.get(answer.job_id)
            if job is None or not job.is_meant_by(answer):
                recorded.append(Recorded.IGNORED)
                continue
            if job.is_live and newest[job.asset_id] <= job.generation and models.has_withdrawn(answer.model):
                withdrawn.append(job.id)
                recorded.append(Recorded.WITHDRAWN)
                continue
            del jobs[job.id]
            is_seen = job.is_live and assets[job.asset_id].version_id == job.asset_version_id
            if job.is_live and newest[job.asset_id] > job.generation:
                superseded.append(job)
                recorded.append(Recorded.SUPERSEDED)
            elif answer.failed:
                failed.append(_Accepted(job, answer, is_seen))
                recorded.append(Recorded.FAILED)
            else:
                tagged.append(_Accepted(job, answer, is_seen))
                recorded.append(Recorded.TAGGED if is_seen else Recorded.ANSWERED)
        words = _take_in_labels(tagged, words)
        now = timezone.now()
        _jobs_leave_open(withdrawn)
        _jobs_close(superseded, now, reason="superseded")
        _store_failures(failed, now)
        _store_tries((each for each in tagged if each.job.asset_id is None), words, now)
        _store_predictions([each for each in tagged if each.job.asset_id is not None], words, models, now)
        waited = [each.job for each in tagged if each.is_seen and assets[each.job.asset_id].waits]
        transaction.on_commit(partial(_tell_time_to_tagged, waited))
    return recorded


def _tell_time_to_tagged(jobs: Iterable[_Job]) -> None:
    """Of pictures that had no tags so far and have now, for everybody to see."""
    now = timezone.now()
    for job in jobs:
        if job.purpose == TaggingJob.Purpose.LIVE:
            waited = (now - job.created_at).total_seconds()
            TIME_TO_TAGGED_SECONDS.labels(lane_of(bulk=job.bulk)).observe(waited)


# -------------------------------------------------------------------- locks


def _jobs_lock(answers: Iterable[Answer]) -> dict[int, _Job]:
    """The open ones among the jobs that these answer, locked."""
    rows = rows_read(recording_sql.LOCK_OPEN_JOBS, [answer.job_id for answer in answers])
    return {row[0]: _Job(*row) for row in rows}


def _assets_lock(jobs: Iterable[_Job]) -> dict[int | None, _Asset]:
    """The assets of these jobs by id, locked."""
    asset_ids = [job.asset_id for job in jobs if job.asset_id is not None]
    return {row[0]: _Asset(*row[1:]) for row in rows_read(recording_sql.LOCK_ASSETS, asset_ids)}


# ------------------------------------------------------------------ storing


def _jobs_leave_open(job_ids: list[int]) -> None:
    if job_ids:
        with connection.cursor() as cursor:
            cursor.execute(recording_sql.LEAVE_OPEN, [job_ids])


def _jobs_close(jobs: Iterable[_Job], now: datetime, *, reason: str = "") -> None:
    rows = [{"id": job.id, "state": _DONE, "reason": reason, "detail": ""} for job in jobs]
    rows_update(recording_sql.CLOSE_JOBS, rows, now)


def _store_failures(failed: Sequence[_Accepted], now: datetime) -> None:
    """Close as failed; an asset that people see without tags so far fails with its job."""
    jobs = []
    assets = []
    for job, answer, is_seen in failed:
        why = {"reason": answer.reason, "detail": answer.detail}
        jobs.append({"id": job.id, "state": _FAILED, **why})
        if is_seen:
            assets.append({"id": job.asset_id, **why})
    rows_update(recording_sql.CLOSE_JOBS, jobs, now)
    rows_update(recording_sql.FAIL_ASSETS, assets, now)
    likeness_forget_failed(asset_ids=[each.asset_id for each in failed if each.is_seen])


def _store_tries(tries: Iterable[_Accepted], words: Vocabulary, now: datetime) -> None:
    """What came of pictures that are no assets stays with their jobs."""
    jobs = []
    for job, answer, _ in tries:
        derived = derive(scores=_by_tag(answer, words), vocabulary=words.rules, decisions={})
        kept = {
            "model": answer.model.model_dump() if answer.model else None,
            "tags": [{"tag_id": claim.tag_id, "score": claim.score} for claim in derived.claims],
            # Similar pictures are found by it, whoever asks for them and when.
            "embedding": base64.b64encode(answer.embedding).decode() if answer.embedding else "",
        }
        jobs.append({"id": job.id, "state": _DONE, "reason": "", "detail": "", "answer": kept})
    rows_update(recording_sql.CLOSE_JOBS, jobs, now)


def _store_predictions(
    accepted: Sequence[_Accepted], words: Vocabulary, models: KnownModels, now: datetime
) -> None:
    """Predictions of all, and for those that people see what follows from them.

    No newer job was issued whose answer people see, so such an answer is the newest of its asset.
    """
    if not accepted:
        return
    _jobs_close((each.job for each in accepted), now)
    rows = models.rows_of(_model(each.answer) for each in accepted)
    scores = [_by_tag(each.answer, words) for each in accepted]
    rows_copy(
        "tagging_prediction",
        recording_sql.PREDICTION_COLUMNS,
        (
            (
                job.asset_id,
                job.asset_version_id,
                rows[key_of(_model(answer))],
                job.generation,
                job.purpose,
                array_bytes(list(by_tag), INTEGER),
                array_bytes(list(by_tag.values()), DOUBLE),
                answer.embedding,
                answer.predict_ms,
                now,
            )
            for (job, answer, _), by_tag in zip(accepted, scores, strict=True)
        ),
    )
    seen = [each for each in accepted if each.is_seen]
    decisions = decisions_of([each.asset_id for each in seen])
    assets: list[dict[str, object]] = []

    def claims() -> Iterator[AssetClaims]:
        for each, by_tag in zip(accepted, scores, strict=True):
            if not each.is_seen:
                continue
            said = decisions.get(each.asset_id, {})
            derived = derive(scores=by_tag, vocabulary=words.rules, decisions=said)
            assets.append(_tagged(each, derived))
            yield AssetClaims(each.asset_id, derived, rows[key_of(_model(each.answer))])

    claims_store(asset_ids=[each.asset_id for each in seen], claims=claims())
    rows_update(recording_sql.TAG_ASSETS, assets, now)
    likeness_keep([_looks(each, rows[key_of(_model(each.answer))]) for each in seen])
    rows_update(recording_sql.KEEP_RENDITIONS, [_renditions(each) for each in seen if each.answer.renditions])


def _tagged(accepted: _Accepted, derived: Derived) -> dict[str, object]:
    picture = accepted.answer.picture
    return {
        "id": accepted.asset_id,
        "tag_ids": derived.tag_ids,
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        # Every picture has one: a worker that sends none makes none, and those of before stay.
        "colours": list(picture.colours[:4]) if picture and picture.colours else None,
    }


def _looks(accepted: _Accepted, model_id: int) -> dict[str, object]:
    job, picture = accepted.job, accepted.answer.picture
    return {
        "id": accepted.asset_id,
        "version_id": job.asset_version_id,
        "model_id": model_id,
        "generation": job.generation,
        "colours": picture.colours if picture else (),
        "fingerprint": picture.fingerprint if picture else None,
    }


def _renditions(accepted: _Accepted) -> dict[str, object]:
    picture = accepted.answer.picture
    return {
        "id": accepted.job.asset_version_id,
        "placeholder": picture.placeholder if picture else "",
        "renditions": {
            made.name: {
                "key": made.key,
                "media_type": made.media_type,
                "width": made.width,
                "height": made.height,
            }
            for made in accepted.answer.renditions
        },
    }


# --------------------------------------------------------- words and models


def _take_in_labels(accepted: Iterable[_Accepted], words: Vocabulary) -> Vocabulary:
    """The vocabulary with a tag for every label of these."""
    strange = set().union(*[each.answer.scores for each in accepted]) - words.ids.keys()
    return labels_take_in(sorted(strange)) if strange else words


def _by_tag(answer: Answer, words: Vocabulary) -> dict[int, float]:
    """Tag id → probability, best first."""
    ids = words.ids
    return {ids[label]: score for label, score in answer.scores.items()}


def _model(answer: Answer) -> ModelIdentity:
    if answer.model is None:
        raise ValueError(f"the answer to job {answer.job_id} names no model")
    return answer.model
