"""Closing by ``with``."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closable:
    """What gives something back when its ``with`` block is left."""

    def close(self) -> None:
        """Give back every connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
