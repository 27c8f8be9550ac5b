"""Reading originals for their sha256, several at a time, a MiB of each in memory."""

from __future__ import annotations

import errno
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from dam.integrity.named import Named
from pipeline.blobs import BlobStoreDownError
from pipeline.ports import BlobMissingError
from pipeline.trees import Tree

_CHUNK = 1 << 20
# What a file system says of one file that it cannot give, as opposed to all of them.
_OF_ONE_FILE = frozenset({errno.EIO, errno.EACCES, errno.EPERM, errno.EUCLEAN, errno.EBADMSG})


class _StoppedError(Exception):
    """Somebody asked to stop."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading a file.

    Args:
        file: the file.
        size: bytes that were read.
        trouble: why its bytes are not those that were stored; empty if they are.
        is_gone: it was not there any more.
    """

    file: Named
    size: int = 0
    trouble: str = ""
    is_gone: bool = False


class Reader:
    """Reads what it is given by the threads of ``pool``, and tells of it in the same order.

    Args:
        tree: where the files lie.
        pool: its threads.
        most: files that wait for their turn.
        should_stop: asked for every MiB.
    """

    def __init__(
        self, tree: Tree, pool: ThreadPoolExecutor, *, most: int, should_stop: Callable[[], bool]
    ) -> None:
        self._tree = tree
        self._pool = pool
        self._most = most
        self._should_stop = should_stop
        self._waiting: deque[Future[Read]] = deque()

    def read(self, file: Named) -> Iterator[Read]:
        """Have it read; gives what is known of others meanwhile.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        self._waiting.append(self._pool.submit(self._looked, file))
        while len(self._waiting) > self._most or (self._waiting and self._waiting[0].done()):
            yield from self._next()

    def rest(self) -> Iterator[Read]:
        """What is known of all others, when they are read; nothing of those that were stopped.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        while self._waiting:
            yield from self._next()

    def give_up(self) -> None:
        """Wait for nothing further."""
        for waiting in self._waiting:
            waiting.cancel()
        self._waiting.clear()

    def _next(self) -> Iterator[Read]:
        try:
            yield self._waiting.popleft().result()
        except _StoppedError:
            self.give_up()

    def _looked(self, file: Named) -> Read:
        read = self._read(file)
        # A disk or a network that erred once gives the right bytes the second time.
        return self._read(file) if read.trouble else read

    def _read(self, file: Named) -> Read:
        digest, size = hashlib.sha256(), 0
        try:
            with self._tree.open(file.path) as stream:
                while chunk := stream.read(_CHUNK):
                    if self._should_stop():
                        raise _StoppedError
                    digest.update(chunk)
                    size += len(chunk)
        except BlobMissingError:
            return Read(file, is_gone=True)
        except BlobStoreDownError as error:
            if _is_of_one_file(error.__cause__):
                return Read(file, size, f"cannot be read: {_said(error.__cause__)}")
            raise
        except OSError as error:
            if _is_of_one_file(error):
                return Read(file, size, f"cannot be read: {_said(error)}")
            raise BlobStoreDownError(f"the place for files failed: {error}") from error
        if (found := digest.hexdigest()) != file.sha256:
            return Read(file, size, f"its bytes have the sha256 {found}")
        return Read(file, size)


def _is_of_one_file(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _OF_ONE_FILE


def _said(error: BaseException | None) -> str:
    return str(getattr(error, "strerror", None) or error)
