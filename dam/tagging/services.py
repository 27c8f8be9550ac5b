"""Every write of tagging: answers recorded, decisions taken, claims derived, tries answered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Any, BinaryIO

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.text import slugify

from dam.assets.models import Asset, AssetVersion, Blob
from dam.assets.services import blob_keep, blob_lock, upload_limits
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.jobs.services import job_close, job_enqueue, job_open_for_answer
from dam.tagging.derive import Derived, Said, derive
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from dam.tagging.vocabulary import Vocabulary, ancestors_refresh, labels_take_in, lookup_of, vocabulary
from pipeline.messages import ModelIdentity, Outcome, TagResult
from pipeline.preprocess import read_header

TRY_KEPT_FOR = timedelta(hours=1)
LIVE_PURPOSES = (TaggingJob.Purpose.LIVE, TaggingJob.Purpose.CAMPAIGN)


class Recorded(StrEnum):
    """What an answer did."""

    TAGGED = "tagged"
    FAILED = "failed"
    ANSWERED = "answered"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"


def result_record(*, result: TagResult, words: Vocabulary) -> Recorded:
    """Store an answer and close its job, in one transaction, once.

    An answer to a closed or unknown job changes nothing, and neither does one of an older generation
    than a job issued since, beyond closing its own job.
    """
    with job_open_for_answer(job_id=result.job_id, generation=result.generation) as job:
        if job is None:
            return Recorded.IGNORED
        if job.asset_id is None or job.asset_version is None:
            return _try_answer(job, result, words)
        asset = Asset.objects.select_for_update().get(pk=job.asset_id)
        if _newer_job_exists(job, asset):
            job_close(job=job, reason="superseded")
            return Recorded.SUPERSEDED
        if result.outcome is Outcome.FAILED:
            return _record_failure(job, asset, result)
        return _record_answer(job, asset, job.asset_version, result, words)


def _newer_job_exists(job: TaggingJob, asset: Asset) -> bool:
    return (
        job.purpose in LIVE_PURPOSES
        and TaggingJob.objects.filter(
            asset=asset, generation__gt=job.generation, purpose__in=LIVE_PURPOSES
        ).exists()
    )


def _record_failure(job: TaggingJob, asset: Asset, result: TagResult) -> Recorded:
    reason = result.reason.value if result.reason else "unknown"
    job_close(job=job, failed=True, reason=reason, detail=result.detail)
    was_tagged = asset.predictions.filter(
        asset_version_id=asset.current_version_id, purpose__in=LIVE_PURPOSES
    ).exists()
    if job.purpose in LIVE_PURPOSES and job.asset_version_id == asset.current_version_id and not was_tagged:
        asset.state, asset.reason, asset.detail = Asset.State.FAILED, reason, result.detail[:500]
        asset.save(update_fields=["state", "reason", "detail", "updated_at"])
    return Recorded.FAILED


def _record_answer(
    job: TaggingJob, asset: Asset, version: AssetVersion, result: TagResult, words: Vocabulary
) -> Recorded:
    if result.model is None:
        raise ValueError(f"the answer to job {job.pk} names no model")
    tag_ids, scores = _known_labels(result, words)
    Prediction.objects.create(
        asset=asset,
        asset_version=version,
        model_version=model_version_get(identity=result.model),
        generation=job.generation,
        purpose=job.purpose,
        tag_ids=tag_ids,
        scores=scores,
        embedding=result.embedding(),
    )
    job_close(job=job)
    if job.purpose not in LIVE_PURPOSES or version.pk != asset.current_version_id:
        return Recorded.ANSWERED
    _take_renditions(asset, result)
    asset.state, asset.reason, asset.detail = Asset.State.TAGGED, "", ""
    if result.picture is not None:
        asset.width, asset.height = result.picture.width, result.picture.height
    asset.save(update_fields=["state", "reason", "detail", "width", "height", "updated_at"])
    claims_derive(asset=asset, words=words)
    return Recorded.TAGGED


def _take_renditions(asset: Asset, result: TagResult) -> None:
    if not result.renditions:
        return
    AssetVersion.objects.filter(current_of=asset).update(
        renditions={
            rendition.name: rendition.model_dump(include={"key", "media_type", "width", "height"})
            for rendition in result.renditions
        },
        placeholder=result.picture.placeholder if result.picture else "",
    )


def _known_labels(result: TagResult, words: Vocabulary) -> tuple[list[int], list[float]]:
    unknown = [score.label for score in result.scores if score.label not in words.ids]
    if unknown:
        words = labels_take_in(unknown)
    ordered = sorted(result.scores, key=lambda score: -score.score)
    return [words.ids[score.label] for score in ordered], [score.score for score in ordered]


def model_version_get(*, identity: ModelIdentity) -> ModelVersion:
    """The row of a model version, made when it answers for the first time."""
    row, _ = ModelVersion.objects.get_or_create(
        name=identity.name,
        version=identity.version,
        defaults={
            "preprocess_id": identity.preprocess_id,
            "vocabulary_id": identity.vocabulary_id,
            "embedding_id": identity.embedding_id,
        },
    )
    return row


# ------------------------------------------------------------------- claims


def claims_derive(*, asset: Asset, words: Vocabulary | None = None) -> Derived:
    """Derive the claims of an asset again and store what differs, with its search column."""
    words = words or vocabulary()
    with transaction.atomic():
        Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
        newest = (
            Prediction.objects.filter(
                asset=asset, asset_version_id=asset.current_version_id, purpose__in=LIVE_PURPOSES
            )
            .order_by("-generation")
            .first()
        )
        scores = dict(zip(newest.tag_ids, newest.scores, strict=True)) if newest else {}
        decisions = {
            decision.tag_id: Said(verdict=decision.verdict, by=decision.decided_by_id, at=decision.decided_at)
            for decision in Decision.objects.filter(asset=asset)
        }
        derived = derive(scores=scores, vocabulary=words.rules, decisions=decisions)
        _store_claims(asset, derived, newest.model_version_id if newest else None)
        asset.tag_ids = list(derived.tag_ids)
        Asset.objects.filter(pk=asset.pk).update(tag_ids=asset.tag_ids)
    return derived


def claims_derive_all() -> int:
    """Derive the claims of every asset that has a prediction or a decision; returns how many assets."""
    waiting = list(Tag.objects.filter(derive_pending=True).values_list("pk", flat=True))
    words = vocabulary()
    with_facts = Asset.objects.filter(Exists(Prediction.objects.filter(asset=OuterRef("pk")))) | (
        Asset.objects.filter(Exists(Decision.objects.filter(asset=OuterRef("pk"))))
    )
    count = 0
    for asset in with_facts.order_by("id").iterator(chunk_size=500):
        claims_derive(asset=asset, words=words)
        count += 1
    # Only now: whoever is stopped half-way begins again.
    Tag.objects.filter(pk__in=waiting).update(derive_pending=False)
    return count


def _store_claims(asset: Asset, derived: Derived, model_version_id: int | None) -> None:
    fields = ("state", "source", "score", "threshold", "model_version_id", "decided_by_id", "decided_at")
    wanted = {
        draft.tag_id: Claim(
            asset=asset,
            tag_id=draft.tag_id,
            state=draft.state,
            source=draft.source,
            score=draft.score,
            threshold=draft.threshold,
            model_version_id=model_version_id if draft.score is not None else None,
            decided_by_id=draft.decided_by,
            decided_at=draft.decided_at,
        )
        for draft in derived.claims
    }
    stored = {claim.tag_id: claim for claim in Claim.objects.filter(asset=asset)}
    gone = stored.keys() - wanted.keys()
    if gone:
        Claim.objects.filter(asset=asset, tag_id__in=gone).delete()
    Claim.objects.bulk_create(claim for tag_id, claim in wanted.items() if tag_id not in stored)
    changed = []
    for tag_id in stored.keys() & wanted.keys():
        if any(getattr(stored[tag_id], name) != getattr(wanted[tag_id], name) for name in fields):
            wanted[tag_id].pk = stored[tag_id].pk
            changed.append(wanted[tag_id])
    Claim.objects.bulk_update(changed, fields)


# ---------------------------------------------------------------- decisions


def decision_make(*, asset: Asset, tag: Tag, verdict: Decision.Verdict, user: User) -> Derived:
    """Record what a person says of a tag; the newest word of people counts.

    "Accepted" for a tag that the model did not suggest is the same as "added", and the other way round.
    """
    with transaction.atomic():
        Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
        if verdict != Decision.Verdict.REJECTED:
            proposed = Claim.objects.filter(asset=asset, tag=tag, source=Claim.Source.MODEL).exists()
            verdict = Decision.Verdict.ACCEPTED if proposed else Decision.Verdict.ADDED
        Decision.objects.update_or_create(
            asset=asset,
            tag=tag,
            defaults={"verdict": verdict, "decided_by": user, "decided_at": timezone.now()},
        )
        return claims_derive(asset=asset)


def decision_withdraw(*, asset: Asset, tag: Tag) -> Derived:
    """Forget what was said of a tag; the model's word counts again."""
    with transaction.atomic():
        Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
        Decision.objects.filter(asset=asset, tag=tag).delete()
        return claims_derive(asset=asset)


def tag_get_or_create(*, name: str) -> tuple[Tag, bool]:
    """The tag of that name, synonym or slug, or a new one of our own, and whether it is new.

    Raises:
        ValueError: the name has no letter or digit, has a NUL, or is longer than 100 characters.
    """
    name = " ".join(name.split())
    if len(name) > 100:
        raise ValueError("a tag's name has at most 100 characters")
    wanted = lookup_of(name=name, synonyms=())
    if not wanted or "\0" in name:
        raise ValueError("a tag's name needs a letter or a digit")
    base = slugify(name)
    known: list[dict[str, Any]] = [{"lookup__0": wanted[0]}, {"lookup__contains": wanted}]
    if name == base:
        known.append({"slug": base})
    with transaction.atomic():
        for match in known:
            tag = Tag.objects.filter(**match).order_by("id").first()
            if tag is not None:
                return tag, False
        # A slug has ASCII letters only, so different names may share what is left of them.
        told_apart = f"{base[:80]}-{hashlib.sha256(wanted[0].encode()).hexdigest()[:12]}".lstrip("-")
        for slug in filter(None, (base, told_apart)):
            tag, created = Tag.objects.get_or_create(
                slug=slug, defaults={"name": name, "kind": Tag.Kind.OWN, "lookup": wanted}
            )
            if created or wanted[0] in tag.lookup:
                return tag, created
    raise ValueError(f"no free slug for a tag called {name}")


def tag_update(*, tag: Tag, parents: Iterable[Tag] | None = None, **changes: Any) -> Tag:
    """Change a tag as curators do: name, synonyms, threshold, active, parents.

    Claims follow when they are derived again. Raises ValueError for a circle of parents.
    """
    with transaction.atomic():
        for field, value in changes.items():
            setattr(tag, field, value)
        tag.lookup = lookup_of(name=tag.name, synonyms=tag.synonyms)
        tag.save()
        if parents is not None:
            tag.parents.set(parents)
            ancestors_refresh()
            tag.refresh_from_db()
    return tag


# -------------------------------------------------------------------- tries


def try_create(*, stream: BinaryIO, user: User, request_id: str = "") -> TaggingJob:
    """Issue a job for a picture that becomes no asset; its bytes and its answer go after an hour.

    Raises:
        RefusedPictureError: as for an upload.
    """
    header = read_header(stream, limits=upload_limits())
    stream.seek(0)
    stored = blob_store().put(stream)
    with transaction.atomic():
        # An earlier try of the same picture may be swept at this moment.
        blob_keep(stored=stored, stream=stream)
        return job_enqueue(
            purpose=TaggingJob.Purpose.TRY,
            blob_key=stored.key,
            sha256=stored.sha256,
            media_type=header.media_type,
            request_id=request_id,
            requested_by_id=user.pk,
        )


def _try_answer(job: TaggingJob, result: TagResult, words: Vocabulary) -> Recorded:
    if result.outcome is Outcome.FAILED:
        reason = result.reason.value if result.reason else "unknown"
        job_close(job=job, failed=True, reason=reason, detail=result.detail)
        return Recorded.FAILED
    tag_ids, scores = _known_labels(result, words)
    derived = derive(scores=dict(zip(tag_ids, scores, strict=True)), vocabulary=words.rules, decisions={})
    job_close(
        job=job,
        answer={
            "model": result.model.model_dump() if result.model else None,
            "tags": [{"tag_id": claim.tag_id, "score": claim.score} for claim in derived.claims],
        },
    )
    return Recorded.ANSWERED


def tries_sweep() -> int:
    """Forget the tries of more than an hour ago, with their bytes where nothing else names them."""
    old = TaggingJob.objects.filter(
        purpose=TaggingJob.Purpose.TRY, created_at__lt=timezone.now() - TRY_KEPT_FOR
    )
    swept = 0
    for job in old.order_by("id")[:1000]:
        with transaction.atomic():
            # An upload of the same bytes takes the same lock before it relies on them.
            blob_lock(job.sha256)
            job.delete()
            still_tried = TaggingJob.objects.filter(sha256=job.sha256, asset__isnull=True).exists()
            if not still_tried and not Blob.objects.filter(sha256=job.sha256).exists():
                blob_store().delete(job.blob_key)
            swept += 1
    return swept
