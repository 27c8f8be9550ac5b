"""The expressions that panels have in common."""

from __future__ import annotations

from panels import Query

WINDOW = "$__rate_interval"


def rate(metric: str, *, by: str = "", where: str = "") -> str:
    """How fast a counter of all processes together grows, per second."""
    return (
        f"{_sum(by)} (rate({metric}{{{where}}}[{WINDOW}]))"
        if where
        else f"{_sum(by)} (rate({metric}[{WINDOW}]))"
    )


def mean(histogram: str, *, by: str = "") -> str:
    """Mean of what was observed."""
    return f"{rate(f'{histogram}_sum', by=by)} / ({rate(f'{histogram}_count', by=by)} > 0)"


def quantile(share: float, histogram: str, *, by: str = "", where: str = "") -> str:
    """Below this value lies such a share of what was observed."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', by=labels, where=where)})"


def quantiles(histogram: str, *, where: str = "", scale: str = "") -> tuple[Query, ...]:
    """Half, 95 % and 99 %."""
    return tuple(
        Query(quantile(share, histogram, where=where) + scale, name)
        for share, name in ((0.5, "half"), (0.95, "95 %"), (0.99, "99 %"))
    )


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
