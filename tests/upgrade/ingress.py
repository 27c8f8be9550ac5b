"""What stands before the pages in a cluster: it gives each request to a process that is ready.

As an ingress does, it keeps its clients' connections while the processes behind it come and go, sends nothing
more to one that is on its way out, and asks no second process when one fails: the client is to see that.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self

from tests.plugins.processes import wait_for

_PORTION = 65_536
_DRAINED_WITHIN_S = 60


@dataclass(frozen=True)
class _Head:
    """First line and headers of a request or an answer."""

    start: str
    lines: tuple[str, ...]

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> _Head:
        """Raises asyncio.IncompleteReadError at the end of the stream, also within a head."""
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        return cls(start, tuple(lines))

    def value(self, name: str) -> str:
        """The header's value in lower case, or nothing."""
        found = (line.partition(":") for line in self.lines)
        return next((value.strip().lower() for key, _, value in found if key.lower() == name), "")

    def encoded(self, **changed: str) -> bytes:
        """As bytes, with these headers in place of those of the same name."""
        names = {name.replace("_", "-"): value for name, value in changed.items()}
        kept = [line for line in self.lines if line.partition(":")[0].lower() not in names]
        return "\r\n".join([self.start, *kept, *map(": ".join, names.items()), "\r\n"]).encode("latin-1")


class Ingress:
    """Listens on :attr:`port` of this machine while it is entered."""

    def __init__(self) -> None:
        self._backends: list[int] = []
        self._turn = 0
        self.under_way: Counter[int] = Counter()
        """Port → requests that it was given and has not answered yet."""
        self.answered: Counter[int] = Counter()
        """Port → requests that it answered in full."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ingress")
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._ask(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_error: object) -> None:
        self._ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self.port}"

    def admit(self, port: int) -> None:
        """Give requests to that process, too."""
        self._backends = [*self._backends, port]

    def withdraw(self, port: int, *, leaving: int = 0) -> None:
        """Give that process nothing more; returns when no more than ``leaving`` requests are left to it."""
        self._backends = [other for other in self._backends if other != port]
        wait_for(lambda: self.under_way[port] <= leaving, _DRAINED_WITHIN_S, f"{port} to be drained")

    def _ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's requests, one after another."""
        try:
            while True:
                request = await _Head.read(reader)
                writer.write(await self._answer(request, reader))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.transport.abort()

    async def _answer(self, request: _Head, body: asyncio.StreamReader) -> bytes:
        port = self._choose()
        self.under_way[port] += 1
        try:
            answer = await self._asked(port, request, body)
        except (OSError, asyncio.IncompleteReadError) as error:
            said = f"{request.start} to {port}: {error!r}".encode()
            return _Head("HTTP/1.1 502 Bad Gateway", ()).encoded(content_length=str(len(said))) + said
        finally:
            self.under_way[port] -= 1
        self.answered[port] += 1
        return answer

    def _choose(self) -> int:
        self._turn += 1
        return self._backends[self._turn % len(self._backends)]

    async def _asked(self, port: int, request: _Head, body: asyncio.StreamReader) -> bytes:
        """The whole answer of that process.

        Raises:
            OSError: it takes no connection, or breaks one.
            asyncio.IncompleteReadError: it ended its answer too early.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encoded(connection="close"))
            left = int(request.value("content-length") or 0)
            while left:
                portion = await body.read(min(left, _PORTION))
                if not portion:
                    raise ConnectionResetError("the client went in the middle of its request")
                left -= len(portion)
                writer.write(portion)
                await writer.drain()
            answer = await _Head.read(reader)
            content = await _content(answer, reader)
            return answer.encoded(connection="keep-alive") + content
        finally:
            writer.transport.abort()


async def _content(answer: _Head, reader: asyncio.StreamReader) -> bytes:
    """The body as it is framed, so that one that is cut off is noticed."""
    if answer.value("transfer-encoding") == "chunked":
        content = b""
        while not content.endswith(b"0\r\n\r\n"):
            size = await reader.readuntil(b"\r\n")
            content += size + await reader.readexactly(int(size, 16) + 2)
        return content
    if answer.start.split()[1] in {"204", "304"}:
        return b""
    return await reader.readexactly(int(answer.value("content-length")))
