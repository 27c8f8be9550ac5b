"""Requests, answers, pages, and trying again."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests

from vitrine_client.errors import ConnectionFailedError, UnexpectedAnswerError, problem_error
from vitrine_client.reading import read

T = TypeVar("T")

API = "/api/v1/"
PROBLEM = "application/problem+json"
_TRY_AGAIN = frozenset({502, 503, 504})
_LONGEST_PAUSE_S = 30.0
_CHUNK = 256 * 1024


class _Bearer(requests.auth.AuthBase):
    """As a header alone, a password for this host in a file of the home folder would take its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """A server, and who asks it. One per thread, as :class:`requests.Session`."""

    def __init__(self, url: str, token: str, *, timeout: float, retries: int) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(f"{url!r} is no address of a server: it begins with http:// or https://.")
        self._url = url.rstrip("/") + "/"
        self._timeout = timeout
        self._retries = retries
        self.session = requests.Session()
        self.session.auth = _Bearer(token)
        self.session.headers["Accept"] = "application/json, application/problem+json;q=0.9, */*;q=0.1"

    def close(self) -> None:
        """Close the connections now: a session leaves that to whoever still holds an answer or its error."""
        for adapter in self.session.adapters.values():
            if isinstance(adapter, requests.adapters.HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    for key in manager.pools.keys():  # noqa: SIM118  # it cannot be iterated over
                        manager.pools[key].close()
        self.session.close()

    def send(  # noqa: PLR0913  # all by name
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        etag: str = "",
        stream: bool = False,
    ) -> requests.Response:
        """One request; a GET is tried again while the server is not available.

        Args:
            method: of HTTP.
            path: below ``/api/v1/``, or from the root of the server.
            params: of the address; None is left out.
            json: the body.
            data: the fields of a form.
            files: its files.
            etag: change it only if it is still what was read with this.
            stream: leave the body unread; close the answer.

        Raises:
            ProblemError: the server said no.
            ConnectionFailedError: it did not answer.
            UnexpectedAnswerError: that was no answer of Vitrine.
        """
        sent = {key: value for key, value in (params or {}).items() if value is not None}
        arguments: dict[str, Any] = {
            "params": sent,
            "json": json,
            "data": data,
            "files": files,
            "headers": {"If-Match": etag} if etag else {},
            "stream": stream,
            "timeout": self._timeout,
        }
        again = self._retries if method == "GET" else 0
        for attempt in range(again + 1):
            try:
                answer = self.session.request(method, self.address(path), **arguments)
            except requests.RequestException as error:
                if attempt == again:
                    raise ConnectionFailedError(f"{self._url} does not answer: {error}") from error
                time.sleep(_pause(attempt, None))
                continue
            if answer.status_code not in _TRY_AGAIN or attempt == again:
                return _checked(answer)
            with answer:
                pause = _pause(attempt, answer.headers.get("Retry-After"))
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def address(self, path: str) -> str:
        """The whole address of a path."""
        return urljoin(self._url, path if path.startswith("/") else API + path)

    def get(self, kind: type[T], path: str, **params: Any) -> T:
        """What is read there."""
        return self._read(kind, self.send("GET", path, params=params))

    def change(self, kind: type[T], method: str, path: str, **arguments: Any) -> T:
        """What the answer to a change says; see :meth:`send`."""
        return self._read(kind, self.send(method, path, **arguments))

    def each(self, kind: type[T], path: str, **params: Any) -> Iterator[T]:
        """All entries of a list, fetched page by page as they are needed."""
        cursor: str | None = None
        while True:
            page = json_of(self.send("GET", path, params={**params, "cursor": cursor}))
            for one in page["results"]:
                yield read(kind, one)
            cursor = page.get("next")
            if cursor is None:
                return

    def save(self, path: str, target: str | os.PathLike[str], **params: Any) -> Path:
        """Stream what is there into a file, which appears when it is whole; a folder gets the name sent."""
        answer = self.send("GET", path, params=params, stream=True)
        with answer:
            place = Path(target)
            if place.is_dir():
                place /= _name_of(answer)
            draft = place.with_name(f".{place.name}.{os.getpid()}.part")
            try:
                with draft.open("wb") as file:
                    for chunk in answer.iter_content(_CHUNK):
                        file.write(chunk)
                draft.replace(place)
            except requests.RequestException as error:
                raise ConnectionFailedError(f"The download ended early: {error}") from error
            finally:
                draft.unlink(missing_ok=True)
        return place

    def _read(self, kind: type[T], answer: requests.Response) -> T:
        record = read(kind, json_of(answer))
        etag = answer.headers.get("ETag", "")
        if etag and "etag" in getattr(kind, "__dataclass_fields__", {}):
            changed: Any = record
            return replace(changed, etag=etag)  # type: ignore[no-any-return]
        return record


def json_of(answer: requests.Response) -> Any:
    """The body.

    Raises:
        UnexpectedAnswerError: it is no JSON.
    """
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise UnexpectedAnswerError(f"{answer.url} answers, but not with JSON.") from error


def _checked(answer: requests.Response) -> requests.Response:
    if answer.ok:
        return answer
    with answer:
        problem: Any = {}
        if answer.headers.get("Content-Type", "").startswith(PROBLEM):
            with contextlib.suppress(requests.JSONDecodeError):
                problem = answer.json()
        if not isinstance(problem, dict) or not problem:
            # Of a server in front of Vitrine, which says no in its own way.
            problem = {"title": answer.reason, "detail": f"{answer.status_code} {answer.reason}"}
    raise problem_error({**problem, "status": answer.status_code})


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds before the next attempt: what the server asked for, else longer each time."""
    seconds = float(asked) if asked is not None and asked.isdigit() else 0.5 * 2.0**attempt
    return min(seconds, _LONGEST_PAUSE_S)


def _name_of(answer: requests.Response) -> str:
    name = ""
    for part in answer.headers.get("Content-Disposition", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key.lower() == "filename*":
            name = unquote(value.partition("''")[2])
            break
        if key.lower() == "filename":
            name = value.strip('"').replace('\\"', '"')
    # Never out of the folder that it was meant for.
    return Path(name.replace("\\", "/")).name or "download"
