"""One structured line per event on standard error: JSON in containers, readable on a terminal.

What libraries say by the standard ``logging`` comes out in the same form. Passwords in addresses, and values
whose names say that they are secret, are blotted out of every line.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Literal

import structlog
from structlog.typing import Processor

HIDDEN = "***"

MOST_REQUEST_IDS = 500
"""A line about a batch names so many requests at most: as many as the largest batch has pictures."""

_SECRET_ENDINGS = (
    *("password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie", "cookies"),
    *("credential", "credentials", "apikey", "sessionid", "session"),
)
"""The last word of a secret's name ends so; ``tokens`` and ``session_id`` are none."""
_SECRET_KEYS = frozenset(
    ("access", "account", "api", "encryption", "private", "secret", "session", "signing")
)
"""A name is secret that ends with one of these and ``key``; keys of blobs and of rows are not."""
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")

# Each begins with its fixed part, so that a text of any length is looked through once.
_FORMS = (
    # An address with a password. A user alone stays: it tells who was refused.
    (re.compile(r"://[^/\s@'\"]{0,200}:[^/\s'\"]{0,500}@"), f"://{HIDDEN}@"),
    # Headers; a scheme without the header's name needs a long word after it to be one.
    (
        re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:\w+\s+)?)[^\s'\",]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{20,}"), rf"\1 {HIDDEN}"),
    # libpq's form, the query of an address, the environment's form, and a dictionary as text.
    (
        re.compile(
            r"""((?:passw(?:or)?d|pwd|passphrase|secret|token|signature|credential"""
            r"""|(?:api|access|secret|private)[_-]?key)(?:['"]\s*[:=]\s*|\s*=\s*))"""
            r"""('[^']*'|"[^"]*"|[^\s'"&,;)\]}]+)""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)
_PLAIN = (bool, int, float, type(None))


def configure_logs(service: str, log_format: Literal["json", "console"]) -> None:
    """Let every logger of this process, ours and those of libraries, write such lines.

    Args:
        service: which part of Vitrine this process is; stands in every line.
        log_format: JSON, or lines for people.
    """

    def name_service(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line.setdefault("service", service)
        return line

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_service,
        # An exception becomes text before secrets are looked for.
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    rendering: list[Processor] = (
        [structlog.processors.JSONRenderer(default=str)]
        if log_format == "json"
        else [_on_one_line, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # One write for each line: several threads, and several processes, share standard error.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # Not what else libraries hang on a record: Django, a whole request with its query.
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # It writes a trace of what it then raises, with each attempt to connect; who waits says why in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def request_ids(ids: Iterable[str]) -> list[str]:
    """The different ids of a batch for its line, in their order, without empty ones.

    All pictures of one import share one id, so a line is short where a batch is large.
    """
    return list(dict.fromkeys(one for one in ids if one))[:MOST_REQUEST_IDS]


def hide_secrets(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: blots out secrets, by their names and by their form."""
    for name, value in line.items():
        # Where a library speaks, its record lies among the fields and is taken out later.
        if type(value) not in _PLAIN and name != "_record":
            line[name] = _named(name, value)
    return line


def _named(name: object, value: Any) -> Any:
    """A value with its name. Whether there is something, and how many, is no secret."""
    if type(value) in _PLAIN:
        return value
    return HIDDEN if value and _is_secret(str(name)) else _clean(value)


@lru_cache(maxsize=2048)
def _is_secret(name: str) -> bool:
    *before, last = [word.lower() for word in _WORDS.findall(name)] or [""]
    return last.endswith(_SECRET_ENDINGS) or (last == "key" and not _SECRET_KEYS.isdisjoint(before[-1:]))


def _clean(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {str(name): _named(name, one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(one) for one in value]
    if isinstance(value, bytes | bytearray | memoryview):
        # Contents of files have no place in a log.
        return f"{len(value)} bytes"
    # Whatever else there is would be written as its text, so that is what may hold a secret.
    return _clean_text(str(value))


def _clean_text(text: str) -> str:
    # Whatever is hidden has one of these around it, and most values have none.
    if ":" in text or "=" in text or " " in text:
        for form, instead in _FORMS:
            text = form.sub(instead, text)
    return text


def _on_one_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For a terminal: what a stranger has named must begin no line of its own, nor move the cursor."""
    for name, value in line.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            line[name] = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in value)
    return line
