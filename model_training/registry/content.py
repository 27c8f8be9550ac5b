"""What a version folder is, whatever it is called: a hash over all of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path

CONTENT = "content_sha256"
"""The tag of a registered version that says which content it has."""

_PIECE = 1 << 20


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and the bytes of all files of a folder, whatever the folder is called."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(f"{len(name)} {path.stat().st_size} ".encode() + name)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()
