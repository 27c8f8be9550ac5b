"""Something to store."""

from __future__ import annotations

import hashlib

from pipeline.blobs import original_key

DATA = b"not really a picture" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = original_key(SHA256)
