"""The catalogue's blob store."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from pipeline.blobs import blob_store_from_url
from pipeline.ports import BlobStore


@cache
def blob_store() -> BlobStore:
    """The store that ``VITRINE_BLOB_URL`` names; one for the whole process."""
    return blob_store_from_url(settings.BLOB_URL)
