"""Pictures in other sizes and formats: made by a short-lived process, never by the one that serves pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings

import pipeline
from dam.assets.storage import blob_store
from dam.sharing.errors import CannotConvertError, ConverterBusyError
from pipeline.preprocess.convert import EXIT_BAD, EXIT_TOO_LARGE

log = structlog.get_logger(__name__)

# One at a time in each process that serves pages: its memory and its cores are for pages first.
_turn = threading.Semaphore(1)
_WAIT_FOR_TURN_S = 30
_CPU_SECONDS = 60
_LASTS_AT_MOST_S = 120
_COPY_BYTES = 1 << 20
_SAID_AT_MOST = 300


def converted(key: str, *, format_name: str, long_side: int | None) -> BinaryIO:
    """A picture of the blob store in another size and format: a temporary file, at its beginning.

    Waits for its turn, and until it is done.

    Args:
        key: of what is converted.
        format_name: ``jpeg``, ``png`` or ``webp``.
        long_side: in pixels; None: as it is.

    Raises:
        BlobMissingError, DependencyDownError: of the store.
        CannotConvertError: the picture's fault.
        ConverterBusyError: others take too long.
    """
    words = ["--format", format_name, "--memory-bytes", str(settings.CONVERT_MEMORY_BYTES)]
    words += ["--seconds", str(_CPU_SECONDS)]
    if long_side is not None:
        words += ["--long-side", str(long_side)]
    with _seekable(blob_store().open(key)) as source:
        if not _turn.acquire(timeout=_WAIT_FOR_TURN_S):
            raise ConverterBusyError("Other pictures are being converted. Try again in a moment.")
        try:
            return _run(words, source, key)
        finally:
            _turn.release()


def _run(words: list[str], source: BinaryIO, key: str) -> BinaryIO:
    result = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the caller's
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pipeline.preprocess.convert", *words],
            stdin=source,
            stdout=result,
            stderr=subprocess.PIPE,
            env=_environment(),
            timeout=_LASTS_AT_MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        result.close()
        raise _too_long() from None
    except BaseException:
        result.close()
        raise
    if ended.returncode == 0:
        result.seek(0)
        return result
    result.close()
    raise _failure(ended.returncode, ended.stderr.decode(errors="replace").strip(), key)


def _failure(status: int, said: str, key: str) -> CannotConvertError:
    last = said.rpartition("\n")[2][:_SAID_AT_MOST]
    if status == EXIT_BAD:
        return CannotConvertError(last, "cannot-decode")
    if status == EXIT_TOO_LARGE:
        return CannotConvertError(f"{last} Ask for the original.", "too-large")
    # Killed for its time by the kernel, or for its memory; or a decoder fell over the picture.
    log.warning("a conversion failed", key=key, status=status, said=last)
    if status < 0:
        return _too_long()
    return CannotConvertError("This picture cannot be converted. Ask for the original.", "cannot-decode")


def _too_long() -> CannotConvertError:
    return CannotConvertError(
        "Converting this picture takes more time or memory than there is. Ask for the original.",
        "took-too-long",
    )


def _environment() -> dict[str, str]:
    """What a stranger's file may know: where Python finds our code, and nothing of ours besides."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(pipeline.__path__[0]).parent), "OPENBLAS_NUM_THREADS": "1"}


def _seekable(stream: BinaryIO) -> BinaryIO:
    """A file that another process can read; what comes over the network is fetched first."""
    try:
        stream.fileno()
    except OSError:
        with stream:
            local = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the caller's
            shutil.copyfileobj(stream, local, _COPY_BYTES)
            # The other process reads the same descriptor, and sees what was flushed alone.
            local.flush()
            local.seek(0)
            return local
    return stream
