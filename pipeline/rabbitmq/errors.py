"""What goes wrong with a broker, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import (
    AMQPError,
    ChannelClosed,
    ConnectionClosed,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from pipeline.ports import TransportDownError


@contextmanager
def told_as_outage() -> Iterator[None]:
    """Turn what pika raises into :class:`pipeline.ports.TransportDownError`."""
    try:
        yield
    except (AMQPError, AMQPConnectorException, OSError) as error:
        raise TransportDownError(in_words(error)) from error


def in_words(error: BaseException) -> str:
    """One line that says what happened; pika's own are often empty or nested."""
    if isinstance(error, ProbableAuthenticationError):
        return "the broker refused the user name or the password"
    if isinstance(error, ProbableAccessDeniedError):
        return "the broker has no such virtual host, or the user may not use it"
    if isinstance(error, ConnectionClosed):
        return f"the broker ended the connection: {error.reply_text}"
    if isinstance(error, ChannelClosed):
        return f"the broker closed a channel: {error.reply_text}"
    inner = _innermost(error)
    if isinstance(inner, ProbableAuthenticationError | ProbableAccessDeniedError):
        return in_words(inner)
    text = str(inner).strip() or type(inner).__name__
    return f"the broker does not answer: {text}"


def _innermost(error: BaseException) -> BaseException:
    """The exception that pika wrapped, however deep."""
    seen = error
    while True:
        nested = getattr(seen, "exception", None) or next(
            (one for one in getattr(seen, "exceptions", ()) or seen.args if isinstance(one, BaseException)),
            None,
        )
        if nested is None or nested is seen:
            return seen
        seen = nested
