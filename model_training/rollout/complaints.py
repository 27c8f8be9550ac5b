"""What does not work is logged once when it begins, and once when it is over."""

from __future__ import annotations

import structlog

_log = structlog.get_logger(__name__)


class Complaints:
    """What was said of each neighbour last."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def tell(self, of: str, error: Exception) -> None:
        """It does not work; the same words are not repeated."""
        text = f"{type(error).__name__}: {error}"
        if self._said.get(of) != text:
            _log.warning("waiting", of=of, why=str(error))
        self._said[of] = text

    def remark(self, of: str, text: str) -> None:
        """Something that is no fault."""
        if self._said.get(of) != text:
            _log.info(text)
        self._said[of] = text

    def over(self, of: str) -> None:
        """It works."""
        if self._said.pop(of, None) is not None:
            _log.info("it answers", of=of)
