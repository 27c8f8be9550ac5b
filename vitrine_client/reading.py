"""From JSON to dataclasses. What the server has learnt to say since is passed over."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from vitrine_client.errors import UnexpectedAnswerError

T = TypeVar("T")


def read(kind: type[T], data: Any) -> T:
    """A value of that type.

    Args:
        kind: a dataclass of :mod:`vitrine_client.records`.
        data: JSON.

    Raises:
        UnexpectedAnswerError: it does not fit.
    """
    try:
        value: T = _read(kind, data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswerError(f"This is no {kind.__name__} as this client knows it: {error}") from error
    return value


def _read(kind: Any, data: Any) -> Any:  # noqa: PLR0911  # one for each kind of type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        if data is None:
            return None
        (inner,) = (one for one in arguments if one is not type(None))
        return _read(inner, data)
    if origin is tuple:
        return tuple(_read(arguments[0], one) for one in data)
    if origin is dict:
        return {key: _read(arguments[1], one) for key, one in data.items()}
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is date:
        return date.fromisoformat(data)
    if is_dataclass(kind):
        return _record(kind, data)
    return data


def _record(kind: Any, data: Any) -> Any:
    values = {}
    for name, (hint, required) in _shape(kind).items():
        if required or name in data:
            values[name] = _read(hint, data[name])
    return kind(**values)


@cache
def _shape(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    }
