"""A stream held for an object store, which has to know its length and its hash before it begins."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from pipeline.blobs import BlobStoreDownError

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Spooled:
    """All of a stream: in ``data`` or, where it is large, in the file ``path`` while the block lasts."""

    size: int
    sha256: str
    data: bytes = b""
    path: Path | None = None


@contextmanager
def spooled(stream: BinaryIO, *, in_memory: int) -> Iterator[Spooled]:
    """Read the stream to its end. What the stream itself raises passes through.

    Args:
        stream: any length.
        in_memory: what is longer than so many bytes waits in a temporary file.

    Raises:
        BlobStoreDownError: the temporary folder takes no more.
    """
    digest, size = hashlib.sha256(), 0
    with ExitStack() as held:
        memory = bytearray()
        file: IO[bytes] | None = None
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if file is None and size > in_memory:
                with _telling_full_disk():
                    file = held.enter_context(tempfile.NamedTemporaryFile(prefix="vitrine-upload-"))
                    file.write(memory)
                memory.clear()
            if file is None:
                memory += chunk
            else:
                with _telling_full_disk():
                    file.write(chunk)
        if file is None:
            yield Spooled(size, digest.hexdigest(), data=bytes(memory))
        else:
            with _telling_full_disk():
                file.flush()
            yield Spooled(size, digest.hexdigest(), path=Path(file.name))


@contextmanager
def _telling_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreDownError(f"the temporary folder {tempfile.gettempdir()} failed: {error}") from error
