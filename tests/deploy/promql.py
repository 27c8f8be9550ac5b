"""What PromQL names, as far as tests have to know it."""

from __future__ import annotations

import re

_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_BRACED = re.compile(r"\{[^{}]*\}|\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*")
_CALL = re.compile(r"(?<![\w:.])[a-zA-Z_]\w*(?=\s*\()")
_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "by"}

SUFFIXES = ("_bucket", "_sum", "_count", "_total")


def metrics_in(expression: str) -> set[str]:
    """Names of all metrics in an expression, as they stand there."""
    bare = _BRACED.sub(" ", _STRING.sub('""', expression))
    bare = _CALL.sub(" ", _GROUPING.sub(" ", bare))
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


def base_name(metric: str) -> str:
    """The name without what a histogram or a counter adds."""
    for suffix in SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric
