"""The one place where TensorFlow is loaded: what must be decided before its import is decided here."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """What C++ writes to stderr meanwhile is shown only if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def load_tensorflow() -> Any:
    """Import TensorFlow for CPUs and return it. Takes 3 to 4 s with byte code compiled.

    oneDNN is asked for by name: its default behaves as off on some CPUs, which costs twice the time.
    GPUs are hidden unless the environment names some, because looking for them takes time.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    # Before its logging is up, TensorFlow reports what it is doing whatever the level says.
    with _stderr_held_back():
        import tensorflow as tf  # noqa: PLC0415 - only now is the environment as it must be

        tf.get_logger().setLevel("ERROR")
        tf.config.list_physical_devices()
    return tf
