"""A blob store that tells how often it was read."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.blobs import FolderBlobStore


class CountingBlobStore(FolderBlobStore):
    """Counts how often originals are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0
        self._lock = threading.Lock()

    def read(self, key: str) -> bytes:
        with self._lock:
            self.reads += 1
        return super().read(key)
