"""A TCP proxy between a process and its server, for the faults of networks: silence, resets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self

_PORTION = 65_536


class _Connection:
    """One connection through the proxy: two directions, each forwarded while the gate is open."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.lost = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What one side closes is closed on the other, but not through a cut: that is what makes it half-open.
        while True:
            portion = await reader.read(_PORTION)
            await self.gate.wait()
            if not portion:
                writer.close()
                return
            writer.write(portion)
            await writer.drain()

    def abort(self) -> None:
        for writer in (self.client, self.server):
            # Zero seconds of linger: a reset instead of a goodbye.
            with contextlib.suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()


class TcpProxy:
    """Forwards connections to ``port`` of this machine until it is told otherwise.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp proxy")
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

    def cut(self) -> int:
        """Drop the connections there are in silence, for ever: neither side is told. New ones work.

        As a firewall does that has forgotten them. Returns how many.
        """
        return self._ask(self._cut())

    def silence(self) -> None:
        """Forward nothing, on no connection, until :meth:`heal`."""
        self._ask(self._set_silent(silent=True))

    def reset(self) -> int:
        """Reset every connection on both sides; returns how many."""
        return self._ask(self._reset())

    def heal(self) -> None:
        """Forward what was held back by :meth:`silence`, and everything to come."""
        self._ask(self._set_silent(silent=False))

    def _ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connected(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, to_server)
        if self._silent:
            connection.gate.clear()
        self._connections.add(connection)
        try:
            await asyncio.gather(
                connection.forward(reader, to_server), connection.forward(from_server, writer)
            )
        except OSError:
            # One side is gone without a goodbye; so is the other, then, unless the two are cut.
            await connection.gate.wait()
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _cut(self) -> int:
        found = [connection for connection in self._connections if not connection.lost]
        for connection in found:
            connection.lost = True
            connection.gate.clear()
        return len(found)

    async def _set_silent(self, *, silent: bool) -> None:
        self._silent = silent
        for connection in self._connections:
            if silent:
                connection.gate.clear()
            elif not connection.lost:
                connection.gate.set()

    async def _reset(self) -> int:
        found = len(self._connections)
        for connection in list(self._connections):
            connection.abort()
        return found

    async def _close(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
