"""The file history of a picture: a file replaces another, and an earlier one comes back as the newest.

What people decided on tags stays. The tags that a model suggested for the file before stay until the new
one is tagged, which its own job does.
"""

from __future__ import annotations

from typing import BinaryIO

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max, QuerySet

from dam.assets.editing_checks import assets_hold, assets_told, changeable_required
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset, AssetVersion, Blob
from dam.assets.naming import clean_filename
from dam.assets.selectors import Person, assets_visible_to, can_change
from dam.assets.services import asset_request_tags, blob_keep, blob_lock, upload_limits
from dam.assets.storage import blob_store
from dam.assets.versions_facts import FileFacts, file_facts, header_facts
from dam.assets.words import asset_words_write
from pipeline.preprocess import read_header


def versions_of(*, asset: Asset, user: Person) -> QuerySet[AssetVersion]:
    """The files that a picture had, the newest first, with bytes and who brought them.

    For those who may change the picture. To others only the current one is known: that another was
    replaced, and what it showed, is not for everybody.
    """
    versions = AssetVersion.objects.filter(asset=asset).select_related("blob", "created_by")
    if not can_change(user, asset):
        versions = versions.filter(current_of=asset)
    return versions.order_by("-number")


def version_add(*, asset: Asset, stream: BinaryIO, filename: str, user: User) -> AssetVersion:
    """Replace the file of a picture by the one in ``stream`` (seekable, at its start), and have it tagged.

    Facts of the picture follow the new file; when and with what it was taken stays if the new file does not
    say, because programs that edit pictures like to forget it.

    Raises:
        Asset.DoesNotExist: the person may not see the picture.
        NotAllowedError: they neither curate its collection nor contributed it.
        InvalidChangeError: it is the current file already.
        RefusedPictureError: the header already says that this is no picture we take; nothing is kept.
        DependencyDownError: the blob store does not answer; nothing is kept.
    """
    # First, before bytes are stored; asked again under the lock.
    changeable_required(user, [assets_visible_to(user).defer("words").get(pk=asset.pk)])
    header = read_header(stream, limits=upload_limits())
    stream.seek(0)
    stored = blob_store().put(stream)
    with transaction.atomic():
        blob_keep(stored=stored, stream=stream)
        held = _hold(asset, user)
        blob, _ = Blob.objects.get_or_create(
            sha256=stored.sha256,
            defaults={"size": stored.size, "media_type": header.media_type, "key": stored.key},
        )
        facts = file_facts(header=header, filename=clean_filename(filename), size=blob.size)
        version = AssetVersion(
            asset=held, blob=blob, filename=facts.filename, header=header_facts(header), created_by=user
        )
        return _replace(held, version, facts, user, action="asset.replace")


def version_restore(*, asset: Asset, number: int, user: User) -> AssetVersion:
    """Make an earlier file the current one: as a new version, so that the history shows that it happened.

    Raises:
        Asset.DoesNotExist: the person may not see the picture.
        AssetVersion.DoesNotExist: it has no version of that number.
        NotAllowedError: they neither curate its collection nor contributed it.
        InvalidChangeError: it is the current file already.
        RefusedPictureError: its file is no picture that we would still take.
        DependencyDownError: the blob store does not answer.
        BlobMissingError: its bytes are gone.
    """
    with transaction.atomic():
        held = _hold(asset, user)
        earlier = AssetVersion.objects.select_related("blob").get(asset=held, number=number)
        blob_lock(earlier.blob.sha256)
        with blob_store().open(earlier.blob.key) as stream:
            header = read_header(stream, limits=upload_limits())
        facts = file_facts(header=header, filename=earlier.filename, size=earlier.blob.size)
        version = AssetVersion(
            asset=held,
            blob=earlier.blob,
            filename=earlier.filename,
            header=earlier.header,
            placeholder=earlier.placeholder,
            renditions=earlier.renditions,
            created_by=user,
        )
        return _replace(held, version, facts, user, action="asset.revert", of=number)


def _hold(asset: Asset, user: User) -> Asset:
    (held,) = assets_hold(assets_visible_to(user), [asset.pk])
    changeable_required(user, [held])
    return held


def _replace(  # noqa: PLR0913  # of this module only
    asset: Asset,
    version: AssetVersion,
    facts: FileFacts,
    user: User,
    *,
    action: str,
    of: int | None = None,
) -> AssetVersion:
    before = AssetVersion.objects.get(current_of=asset)
    if before.blob_id == version.blob_id:
        raise InvalidChangeError(
            "This is the current file of the picture already.", field="file", code="same-bytes"
        )
    newest = AssetVersion.objects.filter(asset=asset).aggregate(newest=Max("number"))["newest"]
    version.number = newest + 1
    version.save()
    fields = facts.as_fields()
    fields["taken_at"] = facts.taken_at or asset.taken_at
    fields["camera"] = facts.camera or asset.camera
    for field, value in fields.items():
        setattr(asset, field, value)
    asset.current_version = version
    # Until its own answer: the one that it had is of another file.
    asset.state, asset.reason, asset.detail = Asset.State.PENDING, "", ""
    asset.save(update_fields=[*fields, "current_version", "state", "reason", "detail", "updated_at"])
    asset_words_write(asset_ids=[asset.pk])
    asset_request_tags(asset=asset)
    changes = {
        "version": [before.number, version.number],
        "filename": [before.filename, version.filename],
        **({"of": of} if of is not None else {}),
    }
    assets_told(user=user, action=action, assets=[asset], changes=lambda _asset: changes)
    return version
