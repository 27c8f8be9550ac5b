"""Every read of pictures that people see."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

from dam.assets.models import Asset


def assets_visible_to(user: User | AnonymousUser) -> QuerySet[Asset]:
    """The one condition under which a person may know of an asset: for now, to be signed in."""
    if not user.is_authenticated or not user.is_active:
        return Asset.objects.none()
    return Asset.objects.all()


def can_change(user: User | AnonymousUser, asset: Asset) -> bool:
    """Whether a person may decide on tags and edit the asset: its uploader and staff, for now."""
    return user.is_authenticated and user.is_active and (user.is_staff or asset.uploaded_by_id == user.pk)
