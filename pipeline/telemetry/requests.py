"""Which request something is done for: its id is in every log line, from the upload to the tag.

One request of a browser or program, one run of ``vitrine import``, one run of ``vitrine watch``: each has one
id. Jobs and messages carry it on to the other processes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

MOST_CHARACTERS = 64


def new_request_id() -> str:
    """An id that nobody else has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def accepted_request_id(given: str) -> str:
    """The id that a caller gave, if it is printable ASCII of at most 64 characters; else a new one."""
    fits = 0 < len(given) <= MOST_CHARACTERS and given.isascii() and given.isprintable()
    return given if fits and given.strip() == given else new_request_id()


@contextmanager
def for_request(request_id: str) -> Iterator[None]:
    """What this thread does in the block, it does for that request."""
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        yield


def current_request_id() -> str:
    """The request that this thread works for; empty if for none."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))
