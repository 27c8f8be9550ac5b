"""Stores the derived sizes of a picture beside its original."""

from __future__ import annotations

from pipeline.messages import Rendition
from pipeline.ports import BlobStore
from pipeline.preprocess import Renditions


def store_renditions(blobs: BlobStore, original_key: str, made: Renditions) -> tuple[Rendition, ...]:
    """Store every file; storing again replaces it by the same.

    Raises:
        BlobMissingError: the original is gone.
        DependencyDownError: the store does not answer.
    """
    keys = blobs.put_renditions(original_key, {file.name: file.data for file in made.files})
    return tuple(
        Rendition(
            name=file.name.partition(".")[0],
            key=keys[file.name],
            media_type=file.media_type,
            width=file.width,
            height=file.height,
        )
        for file in made.files
    )
