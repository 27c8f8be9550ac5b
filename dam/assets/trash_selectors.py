"""What lies in the trash, for whom, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from dam.assets.models import Asset, Level
from dam.assets.selectors import Person, assets_in_trash, collection_ids


def assets_restorable_by(user: Person) -> QuerySet[Asset]:
    """What a person may take out of the trash: where they curate, and what they contributed."""
    if not user.is_authenticated or not user.is_active:
        return Asset.objects.none()
    curated = assets_in_trash(user)
    contributed = collection_ids(user, Level.CONTRIBUTE)
    if contributed is None:
        return curated
    own = Q(trashed_at__isnull=False, collection__in=contributed, uploaded_by=user)
    return curated | Asset.objects.filter(own)


def purge_at(asset: Asset, *, kept_for: timedelta) -> datetime | None:
    """When a picture of the trash is due to be deleted for ever; None: it is not in the trash."""
    return None if asset.trashed_at is None else asset.trashed_at + kept_for


def trash_due(*, older_than: timedelta, user: User | None = None) -> QuerySet[Asset]:
    """What has lain in the trash for so long; with a user, where they manage."""
    due = Asset.objects.filter(trashed_at__lte=timezone.now() - older_than)
    ids = None if user is None else collection_ids(user, Level.MANAGE)
    return due if ids is None else due.filter(collection__in=ids)
