"""Pictures: where they live, who may do what there, their file history, their bytes."""

from dam.assets.models.assets import Asset, AssetVersion, Blob
from dam.assets.models.collections import Album, AlbumEntry, Collection, Grant, Level
from dam.assets.models.sources import SourceFile
from dam.assets.models.words import LibraryWord

__all__ = [
    "Album",
    "AlbumEntry",
    "Asset",
    "AssetVersion",
    "Blob",
    "Collection",
    "Grant",
    "Level",
    "LibraryWord",
    "SourceFile",
]
