"""What does not work is logged once when it begins, and once when it is over; it is counted each time."""

from __future__ import annotations

import structlog

from pipeline.telemetry.metrics import DEPENDENCY_FAILURES

_log = structlog.get_logger(__name__)


class Complaints:
    """What was said of each neighbour last."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self.standing: dict[str, str] = {}
        """What does not work now, by what it is."""

    def tell(self, of: str, error: Exception) -> None:
        """It does not work; the same words are not repeated."""
        DEPENDENCY_FAILURES.labels(of).inc()
        text = f"{type(error).__name__}: {error}"
        self.standing[of] = str(error)
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
        self.standing.pop(of, None)
        if self._said.pop(of, None) is not None:
            _log.info("it answers", of=of)
