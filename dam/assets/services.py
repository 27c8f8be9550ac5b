"""Every write of pictures: an upload becomes bytes, an asset and a job, or is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import Case, F, When
from django.utils import timezone

from dam.assets.errors import NotAllowedError
from dam.assets.models import Asset, AssetVersion, Blob, Collection, Grant, Level
from dam.assets.naming import clean_filename
from dam.assets.selectors import assets_visible_to, level_in
from dam.assets.storage import blob_store
from dam.assets.trash_selectors import assets_restorable_by
from dam.assets.versions_facts import file_facts, header_facts
from dam.assets.words import asset_words_write
from dam.audit.services import Target, audit_record
from dam.jobs.models import TaggingJob
from dam.jobs.services import job_enqueue, jobs_enqueue
from dam.telemetry.metrics import UPLOAD_BYTES, UPLOADS
from pipeline.messages import FailureReason
from pipeline.ports import StoredBlob
from pipeline.preprocess import Header, Limits, RefusedPictureError, read_header

ROOT_COLLECTION = "Library"
MANAGERS = "Content managers"
# Failures that are not the picture's own: its bytes, sent again, deserve another try.
MENDED_BY_UPLOAD = frozenset({FailureReason.MISSING_BLOB, FailureReason.DEAD_LETTERED})


@dataclass(frozen=True)
class Upload:
    """What became of an upload: a new asset, or the one that holds the same bytes."""

    asset: Asset
    created: bool


def upload_limits() -> Limits:
    """The limits at the door, from the settings."""
    return Limits(max_bytes=settings.MAX_UPLOAD_BYTES, max_pixels=settings.MAX_PIXELS)


def root_collection() -> Collection:
    """The root of the tree, made when it is first asked for."""
    root: Collection | None = Collection.objects.filter(depth=1, name=ROOT_COLLECTION).first()
    if root is not None:
        return root
    with transaction.atomic():
        _advisory_lock(ROOT_COLLECTION)
        root = Collection.objects.filter(depth=1, name=ROOT_COLLECTION).first()
        if root is None:
            root = Collection.objects.add_root(create_kwargs={"name": ROOT_COLLECTION})
            # A new library is open to who has an account there; its managers narrow that.
            managers, _ = Group.objects.get_or_create(name=MANAGERS)
            Grant.objects.create(collection=root, level=Level.CONTRIBUTE)
            Grant.objects.create(collection=root, group=managers, level=Level.MANAGE)
        return root


def asset_create(  # noqa: PLR0913  # all by name
    *,
    stream: BinaryIO,
    filename: str,
    user: User,
    collection: Collection | None = None,
    bulk: bool = False,
    revive: bool = True,
) -> Upload:
    """Catalogue the picture in ``stream`` (seekable, at its start) and issue its first job.

    The same bytes again are answered with the picture that has them, if the user may see it: one of that
    collection before others. If there is none, one that was in that collection comes back from the trash, if
    the user may take it out.

    Bytes are stored before the one transaction that makes asset, version and job: a crash between
    leaves at worst bytes that nothing names.

    Args:
        stream: the picture.
        filename: as the person sees it.
        user: whose picture it becomes.
        collection: where it is to live; None: in the root.
        bulk: nobody waits for it.
        revive: take the same bytes out of the trash; else they are answered with what lies there, so that
            a program that sends a folder again does not undo what people threw away.

    Raises:
        RefusedPictureError: the header already says that this is no picture we take; nothing is kept.
        Collection.DoesNotExist: the user may not know of the collection; nothing is kept.
        NotAllowedError: the user may not contribute there; nothing is kept.
        DependencyDownError: the blob store does not answer; nothing is kept.
    """
    place = collection or root_collection()
    try:
        _contributor_required(user, place, named=collection is not None)
        header = read_header(stream, limits=upload_limits())
    except (RefusedPictureError, NotAllowedError, Collection.DoesNotExist):
        UPLOADS.labels("refused").inc()
        raise
    stream.seek(0)
    stored = blob_store().put(stream)
    with transaction.atomic():
        blob_keep(stored=stored, stream=stream)
        blob, _ = Blob.objects.get_or_create(
            sha256=stored.sha256,
            defaults={"size": stored.size, "media_type": header.media_type, "key": stored.key},
        )
        existing = _same_bytes(blob, user, place) or _same_bytes_in_trash(
            blob, user, place if revive else None
        )
        if existing is not None:
            if existing.state == Asset.State.FAILED and existing.reason in MENDED_BY_UPLOAD:
                asset_request_tags(asset=existing, bulk=bulk)
            transaction.on_commit(partial(_count_upload, "existing", stored.size))
            return Upload(asset=existing, created=False)
        # It stays while the picture comes: whoever deletes it looks first whether it is empty.
        Collection.objects.select_for_update(no_key=True, of=("self",)).get(pk=place.pk)
        asset = _asset_insert(
            blob=blob, header=header, filename=clean_filename(filename), user=user, collection=place
        )
        asset_request_tags(asset=asset, bulk=bulk)
        transaction.on_commit(partial(_count_upload, "created", stored.size))
    return Upload(asset=asset, created=True)


def _contributor_required(user: User, collection: Collection, *, named: bool) -> None:
    held = level_in(user, collection.pk)
    if held is None and named:
        raise Collection.DoesNotExist
    if held is None or held < Level.CONTRIBUTE:
        raise NotAllowedError(
            f"You may not put pictures into “{collection}”."
            if named
            else "Say in which collection the picture is to live: you may not put it beside all others."
        )


def _same_bytes(blob: Blob, user: User, place: Collection) -> Asset | None:
    found = assets_visible_to(user).filter(current_version__blob=blob)
    return found.order_by(Case(When(collection=place, then=0), default=1), "id").first()


def _same_bytes_in_trash(blob: Blob, user: User, place: Collection | None) -> Asset | None:
    """One that the user may restore; of ``place`` and restored, unless that is None."""
    found = assets_restorable_by(user).filter(current_version__blob=blob)
    if place is not None:
        found = found.filter(collection=place)
    asset = found.select_for_update(of=("self",)).order_by("-trashed_at").first()
    if asset is not None and place is not None:
        asset.trashed_at = None
        asset.save(update_fields=["trashed_at", "updated_at"])
        _told("asset.restore", asset, user)
    return asset


def _count_upload(outcome: str, size: int) -> None:
    UPLOADS.labels(outcome).inc()
    UPLOAD_BYTES.inc(size)


def blob_keep(*, stored: StoredBlob, stream: BinaryIO) -> None:
    """Make sure that stored bytes stay: hold the lock that a sweep takes too, put them back if swept.

    Call it inside the transaction that names the bytes.
    """
    blob_lock(stored.sha256)
    if not blob_store().exists(stored.key):
        stream.seek(0)
        blob_store().put(stream)


def blob_lock(sha256: str) -> None:
    """Hold the lock of a content until the transaction ends."""
    _advisory_lock(f"blob {sha256}")


def _advisory_lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _asset_insert(
    *,
    blob: Blob,
    header: Header,
    filename: str,
    user: User,
    collection: Collection,
) -> Asset:
    facts = file_facts(header=header, filename=filename, size=blob.size)
    asset = Asset.objects.create(
        collection=collection, uploaded_by=user, licence=_default_licence(collection), **facts.as_fields()
    )
    version = AssetVersion.objects.create(
        asset=asset,
        number=1,
        blob=blob,
        filename=filename,
        header=header_facts(header),
        created_by=user,
    )
    Asset.objects.filter(pk=asset.pk).update(current_version=version)
    asset.current_version = version
    asset_words_write(asset_ids=[asset.pk])
    _told("asset.create", asset, user)
    return asset


def _default_licence(collection: Collection) -> str:
    """That of the nearest collection that has one: this one, or one above."""
    path: str = collection.path
    above = [path[:end] for end in range(Collection.steplen, len(path) + 1, Collection.steplen)]
    found = Collection.objects.filter(path__in=above).exclude(default_licence="").order_by("-depth")
    return found.values_list("default_licence", flat=True).first() or ""


def _told(action: str, asset: Asset, user: User) -> None:
    target = Target("asset", asset.pk, str(asset), asset.collection_id)
    audit_record(actor=user, action=action, targets=[target])


def asset_request_tags(
    *,
    asset: Asset,
    purpose: TaggingJob.Purpose = TaggingJob.Purpose.LIVE,
    bulk: bool = False,
    model_label: str = "",
    request_id: str = "",
) -> TaggingJob:
    """Issue a job of the next generation for the asset's current file, inside a transaction.

    ``request_id``: of the request that is repeated; empty: the one that this thread works for.
    """
    with transaction.atomic():
        held = Asset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
        version = AssetVersion.objects.select_related("blob").get(current_of=held)
        held.generation += 1
        if purpose == TaggingJob.Purpose.LIVE and held.state == Asset.State.FAILED:
            held.state, held.reason, held.detail = Asset.State.PENDING, "", ""
        held.save(update_fields=["generation", "state", "reason", "detail", "updated_at"])
        asset.generation, asset.state = held.generation, held.state
        return job_enqueue(
            asset_id=held.pk,
            asset_version_id=version.pk,
            generation=held.generation,
            purpose=purpose,
            bulk=bulk,
            model_label=model_label,
            blob_key=version.blob.key,
            sha256=version.blob.sha256,
            media_type=version.blob.media_type,
            request_id=request_id,
        )


def assets_request_tags(
    *, asset_ids: Iterable[int], purpose: TaggingJob.Purpose, model_label: str = ""
) -> int:
    """Issue a job of the next generation for the current file of each of these assets; returns how many.

    As :func:`asset_request_tags` for each, in one transaction and a fixed number of queries; nobody waits
    for these jobs. Assets that are gone get none.
    """
    with transaction.atomic():
        # In the order of their ids, as whoever locks several does: nobody waits in a circle.
        locked = Asset.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=list(asset_ids))
        generations = dict(locked.order_by("id").values_list("pk", "generation"))
        held = Asset.objects.filter(pk__in=generations)
        held.update(generation=F("generation") + 1, updated_at=timezone.now())
        if purpose == TaggingJob.Purpose.LIVE:
            failed = held.filter(state=Asset.State.FAILED)
            failed.update(state=Asset.State.PENDING, reason="", detail="")
        versions = AssetVersion.objects.filter(current_of__in=generations).select_related("blob")
        return jobs_enqueue(
            jobs=[
                TaggingJob(
                    asset_id=version.asset_id,
                    asset_version=version,
                    generation=generations[version.asset_id] + 1,
                    purpose=purpose,
                    model_label=model_label,
                    blob_key=version.blob.key,
                    sha256=version.blob.sha256,
                    media_type=version.blob.media_type,
                )
                for version in versions.order_by("asset_id")
            ]
        )
