"""What an evaluation refuses. Apart, since the running system evaluates nothing and knows these names."""

from __future__ import annotations


class GateClosedError(Exception):
    """The run does not pass. The text says why."""


class RivalError(Exception):
    """What a run is to be compared with cannot answer. The text says why."""
