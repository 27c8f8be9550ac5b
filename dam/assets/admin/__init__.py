"""Pictures, collections, albums and what became of them, in the Django admin."""

from dam.assets.admin.albums import AlbumAdmin
from dam.assets.admin.assets import AssetAdmin
from dam.assets.admin.audit import AuditEntryAdmin
from dam.assets.admin.collections import CollectionAdmin
from dam.assets.admin.dead_letters import DeadLetterAdmin
from dam.assets.admin.jobs import TaggingJobAdmin

__all__ = [
    "AlbumAdmin",
    "AssetAdmin",
    "AuditEntryAdmin",
    "CollectionAdmin",
    "DeadLetterAdmin",
    "TaggingJobAdmin",
]
