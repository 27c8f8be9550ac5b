"""Every write of tagging: decisions and tags here, answers in ``recording``, claims in ``claims``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, BinaryIO

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from dam.assets.models import Asset, Blob
from dam.assets.services import blob_keep, blob_lock, upload_limits
from dam.assets.storage import blob_store
from dam.audit.services import Target, audit_record
from dam.jobs.models import TaggingJob
from dam.jobs.services import job_enqueue
from dam.tagging.claims import claims_derive, claims_derive_all, version_seen
from dam.tagging.derive import Derived
from dam.tagging.models import Claim, Decision, Tag
from dam.tagging.recording import Answer, Recorded, answers_record, result_record
from dam.tagging.vocabulary import ancestors_refresh, lookup_of
from pipeline.preprocess import read_header

TRY_KEPT_FOR = timedelta(hours=1)

__all__ = [
    "Answer",
    "Recorded",
    "answers_record",
    "claims_derive",
    "claims_derive_all",
    "decision_make",
    "decision_withdraw",
    "result_record",
    "tag_get_or_create",
    "tag_update",
    "tries_sweep",
    "try_create",
]


# ---------------------------------------------------------------- decisions


def decision_make(*, asset: Asset, tag: Tag, verdict: Decision.Verdict, user: User) -> Derived:
    """Record what a person says of a tag, and whose answer they saw; the newest word of people counts.

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
            defaults={
                "verdict": verdict,
                "decided_by": user,
                "decided_at": timezone.now(),
                "model_version_id": version_seen(asset=asset),
            },
        )
        _decision_told(user, asset, tag, _ACTIONS[verdict])
        return claims_derive(asset=asset)


def decision_withdraw(*, asset: Asset, tag: Tag, user: User) -> Derived:
    """Forget what was said of a tag; the model's word counts again."""
    with transaction.atomic():
        Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
        forgotten, _ = Decision.objects.filter(asset=asset, tag=tag).delete()
        if forgotten:
            _decision_told(user, asset, tag, "tag.withdraw")
        return claims_derive(asset=asset)


_ACTIONS = {
    Decision.Verdict.ACCEPTED: "tag.accept",
    Decision.Verdict.REJECTED: "tag.reject",
    Decision.Verdict.ADDED: "tag.add",
}


def _decision_told(user: User, asset: Asset, tag: Tag, action: str) -> None:
    said = {"tag": tag.pk, "name": tag.name}
    target = Target("asset", asset.pk, str(asset), asset.collection_id, said)
    audit_record(actor=user, action=action, targets=[target])


def tag_get_or_create(*, name: str, user: User | None = None) -> tuple[Tag, bool]:
    """The tag of that name, synonym or slug, or a new one of our own, and whether it is new.

    ``user``: who asks for it; None: a program.

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
            if created:
                audit_record(actor=user, action="tag.create", targets=[Target("tag", tag.pk, tag.name)])
            if created or wanted[0] in tag.lookup:
                return tag, created
    raise ValueError(f"no free slug for a tag called {name}")


def tag_update(
    *, tag: Tag, parents: Iterable[Tag] | None = None, user: User | None = None, **changes: Any
) -> Tag:
    """Change a tag as curators do: name, synonyms, threshold, active, parents.

    Claims follow when they are derived again. ``user``: who does it; None: a program. Raises ValueError for
    a circle of parents.
    """
    with transaction.atomic():
        before = Tag.objects.select_for_update(no_key=True).get(pk=tag.pk)
        told: dict[str, Any] = {
            field: [getattr(before, field), value]
            for field, value in changes.items()
            if getattr(before, field) != value
        }
        for field, value in changes.items():
            setattr(tag, field, value)
        tag.lookup = lookup_of(name=tag.name, synonyms=tag.synonyms)
        tag.save()
        if parents is not None:
            above = [sorted(tag.parents.values_list("slug", flat=True))]
            tag.parents.set(parents)
            above.append(sorted(tag.parents.values_list("slug", flat=True)))
            if above[0] != above[1]:
                told["parents"] = above
            ancestors_refresh()
            tag.refresh_from_db()
        if told:
            audit_record(actor=user, action="tag.edit", targets=[Target("tag", tag.pk, tag.name, None, told)])
    return tag


# -------------------------------------------------------------------- tries


def try_create(*, stream: BinaryIO, user: User) -> TaggingJob:
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
            requested_by_id=user.pk,
        )


def tries_sweep(*, should_stop: Callable[[], bool] = bool) -> int:
    """Forget the tries of more than an hour ago, with their bytes where nothing else names them."""
    tries = TaggingJob.objects.filter(purpose=TaggingJob.Purpose.TRY)
    old = tries.filter(created_at__lt=timezone.now() - TRY_KEPT_FOR)
    swept = 0
    for job in old.order_by("id")[:1000]:
        if should_stop():
            break
        with transaction.atomic():
            # An upload of the same bytes takes the same lock before it relies on them.
            blob_lock(job.sha256)
            job.delete()
            still_tried = tries.filter(sha256=job.sha256).exists()
            if not still_tried and not Blob.objects.filter(sha256=job.sha256).exists():
                blob_store().delete(job.blob_key)
            swept += 1
    return swept
