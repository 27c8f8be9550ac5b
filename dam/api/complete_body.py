"""Nothing of a half-received request is ever believed.

When a client goes away in the middle of a body, WSGI servers end it as if it were whole. Django's
multipart parser then drops the file that was arriving and keeps what came before: the client would be
told that it sent no file, and a request whose last fields are lost would count as one without them.
Here such a body ends with an error instead: it must have as many bytes as were announced and, for
multipart, its closing boundary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

# The closing boundary is looked for in so many last bytes; what may follow it is a line break.
_TAIL = 1024
_BOUNDARY = re.compile(
    r'multipart/.*?;\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE | re.DOTALL
)


def require_complete_bodies(application: WSGIApplication) -> WSGIApplication:
    """The same application, whose ``wsgi.input`` raises OSError at the end of a body that is not whole."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdigit():
            environ["wsgi.input"] = _CompleteBody(
                environ["wsgi.input"], int(length), _closing(environ.get("CONTENT_TYPE") or "")
            )
        elif environ.get("HTTP_TRANSFER_ENCODING"):
            return _length_required(start_response)
        return application(environ, start_response)

    return guarded


def _closing(content_type: str) -> bytes:
    """The closing boundary of a multipart body, empty for another kind of body."""
    match = _BOUNDARY.match(content_type)
    return b"--" + (match[1] or match[2]).encode("latin-1") + b"--" if match else b""


def _length_required(start_response: StartResponse) -> Iterable[bytes]:
    """Django would take a body of unknown length for an empty one."""
    body = json.dumps(
        {
            "type": "about:blank",
            "title": "Length Required",
            "status": 411,
            "detail": "Send the body with a Content-Length.",
            "code": "length-required",
        }
    ).encode()
    start_response(
        "411 Length Required",
        [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))],
    )
    return [body]


class _CompleteBody:
    """Implements WSGI's input stream."""

    def __init__(self, stream: InputStream, length: int, closing: bytes) -> None:
        self._stream = stream
        self._missing = length
        self._closing = closing
        self._tail = b""
        self._broken: str | None = None

    def read(self, size: int = -1, /) -> bytes:
        self._raise_if_broken()
        return self._checked(self._stream.read(self._bounded(size)), size)

    def readline(self, size: int = -1, /) -> bytes:
        self._raise_if_broken()
        return self._checked(self._stream.readline(self._bounded(size)), size)

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        del hint
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _bounded(self, size: int) -> int:
        return self._missing if size < 0 else min(size, self._missing)

    def _checked(self, data: bytes, size: int) -> bytes:
        if not data and size != 0 and self._missing:
            self._broken = f"the body ended {self._missing} bytes before its announced length"
        self._missing -= len(data)
        if self._closing:
            self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
            if not self._missing and self._closing not in self._tail:
                self._broken = "the body has no closing boundary"
        self._raise_if_broken()
        return data

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise OSError(self._broken)
