"""Bytes from one tree to another, hashed on the way: several at a time, told in the order they came."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from dam.backup.document import Fault
from pipeline.blobs import BlobStoreDownError
from pipeline.ports import BlobMissingError
from pipeline.trees import Tree, Written

THREADS = 8
_WINDOW = 8 * THREADS
_ATTEMPTS = 3
_CHUNK = 1 << 20

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DamagedError(Exception):
    """Bytes that are not those which are wanted, or cannot be read. The text says which."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file to be copied.

    Args:
        key: of the file, as the catalogue has it.
        source: its path where it comes from.
        target: its path where it goes.
        wanted: sha256 that its bytes may have; empty: any.
    """

    key: str
    source: str
    target: str
    wanted: frozenset[str] = frozenset()


def in_order(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int = THREADS
) -> Iterator[_Result]:
    """What comes of each item, in their order; a bounded number of them is under way or waits to be taken.

    Raises:
        Exception: what the work raised of the first item that it did.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="copying") as pool:
        under_way: deque[Future[_Result]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) >= _WINDOW:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def copied(copy: Copy, source: Tree, target: Tree) -> Written | Fault:
    """Copy a file, or say what is wrong with it; what is not as wanted is not written.

    Raises:
        BlobStoreDownError: one of both does not do its part, also not when asked again.
    """

    def once() -> Written:
        with source.open(copy.source) as stream:
            # What reads it is not told before its end whether it is what it should be.
            return target.write(copy.target, _Wanted(stream, copy.wanted))  # type: ignore[arg-type]

    return _tried(copy.key, once)


def read(key: str, path: str, tree: Tree) -> Written | Fault:
    """Read a file to its end, or say what is wrong with it.

    Raises:
        BlobStoreDownError: the place does not do its part, also not when asked again.
    """

    def once() -> Written:
        digest, size = hashlib.sha256(), 0
        with tree.open(path) as stream:
            whole = _Wanted(stream, frozenset())
            while chunk := whole.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return Written(size, digest.hexdigest())

    return _tried(key, once)


def _tried(key: str, once: Callable[[], Written]) -> Written | Fault:
    """An object that is replaced while it is read looks like an outage, too: so it is asked for again."""
    attempt = 1
    while True:
        try:
            return once()
        except BlobMissingError:
            return Fault(key=key, kind="missing")
        except DamagedError as error:
            return Fault(key=key, kind="damaged", detail=str(error))
        except BlobStoreDownError:
            if attempt == _ATTEMPTS:
                raise
            attempt += 1


class _Wanted(io.RawIOBase):
    """A stream that raises at its end, in place of ending, if its bytes are not those that are wanted."""

    def __init__(self, stream: BinaryIO, wanted: frozenset[str]) -> None:
        self._stream = stream
        self._wanted = wanted
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            chunk = self._stream.read(size)
        except OSError as error:
            # A bad sector of a disk: one file, and no reason to leave out all others.
            raise DamagedError(f"cannot be read: {error}") from error
        if self._wanted:
            self._digest.update(chunk)
            if not chunk and (found := self._digest.hexdigest()) not in self._wanted:
                raise DamagedError(f"its bytes have the sha256 {found}")
        return chunk
