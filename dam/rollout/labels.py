"""The labels that the model server always knows."""

from __future__ import annotations

from enum import StrEnum


class Label(StrEnum):
    """Which version a request asks for; where there is no other version, each means the champion."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREDECESSOR = "predecessor"
