"""People and programs that use the pages for as long as a block lasts; every answer is counted."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import requests

_WITHIN_S = 60
_PAUSE_S = 0.1
_QUESTIONS = ("flower", "cat", "dog OR cup", "-person", "photo")


def _different(picture: bytes, number: int) -> bytes:
    """The same picture as other bytes: a JPEG with one more comment."""
    comment = f"number {number}".encode()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]


class Load:
    """Readers with a session, readers with a token, and uploaders, each on a connection that it keeps.

    Args:
        address: of the pages.
        link: that signs a person in.
        api: makes a session with a token.
        pictures: JPEGs, each of which is uploaded again and again as other bytes.
    """

    def __init__(
        self, address: str, *, link: str, api: Callable[[], requests.Session], pictures: Sequence[Path]
    ) -> None:
        self._address, self._link, self._api = address, link, api
        self._pictures = [path.read_bytes() for path in pictures]
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.answers: Counter[tuple[str, int]] = Counter()
        """(what was asked, status) → how often."""
        self.failures: list[str] = []
        self.uploaded: list[int] = []
        """Assets whose upload was answered by 201."""
        self.slowest_s = 0.0
        people = [self._person, self._program, self._uploader, self._uploader]
        self._threads = [threading.Thread(target=self._go_on, args=[who]) for who in people]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, who: Callable[[], Iterator[tuple[str, requests.Response]]]) -> None:
        began = time.monotonic()
        requested = who()
        while not self._stop.wait(_PAUSE_S):
            began = time.monotonic()
            try:
                what, answer = next(requested)
            except requests.RequestException as error:
                self.failures.append(f"{who.__name__}: {error}")
                requested = who()
                continue
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.answers[what, answer.status_code] += 1
            if answer.status_code not in {200, 201, 302}:
                self.failures.append(f"{what}: {answer.status_code} {answer.text[:300]}")
        requested.close()

    def _person(self) -> Iterator[tuple[str, requests.Response]]:
        with requests.Session() as session:
            yield "sign-in", session.get(self._link, timeout=_WITHIN_S)
            while True:
                question = {"q": random.choice(_QUESTIONS)}
                paths = [("library", "/"), ("cards", "/cards/"), ("tags", "/tags/")]
                for what, path in paths:
                    yield what, session.get(self._address + path, params=question, timeout=_WITHIN_S)
                for asset in self.uploaded[-1:]:
                    yield "asset", session.get(f"{self._address}/assets/{asset}/", timeout=_WITHIN_S)

    def _program(self) -> Iterator[tuple[str, requests.Response]]:
        api = f"{self._address}/api/v1"
        with self._api() as session:
            while True:
                question = {"q": random.choice(_QUESTIONS)}
                yield "api search", session.get(f"{api}/assets/", params=question, timeout=_WITHIN_S)
                yield "api ledger", session.get(f"{api}/ledger/", timeout=_WITHIN_S)
                answer = session.get(f"{api}/assets/", params={"q": "-nonsense"}, timeout=_WITHIN_S)
                yield "api assets", answer
                for asset in [hit for hit in answer.json()["results"] if hit["tags"]][:1]:
                    said = {"tag": asset["tags"][0]["slug"], "verdict": "accepted"}
                    address = f"{api}/assets/{asset['id']}/decisions/"
                    yield "api decision", session.post(address, json=said, timeout=_WITHIN_S)
                    address = f"{api}/assets/{asset['id']}/renditions/grid"
                    yield "api file", session.get(address, allow_redirects=False, timeout=_WITHIN_S)

    def _uploader(self) -> Iterator[tuple[str, requests.Response]]:
        with self._api() as session:
            while True:
                number = next(self._numbers)
                picture = _different(self._pictures[number % len(self._pictures)], number)
                files = {"file": (f"photo {number}.jpg", picture)}
                address = f"{self._address}/api/v1/assets/"
                answer = session.post(address, files=files, timeout=_WITHIN_S)
                if answer.status_code == 201:
                    self.uploaded.append(int(answer.json()["id"]))
                yield "upload", answer


class SlowUpload:
    """One upload that stands still in the middle of its bytes until it is told to finish.

    Args:
        address: of the process that gets it.
        api: makes a session with a token.
        picture: what is uploaded.
    """

    def __init__(self, address: str, api: Callable[[], requests.Session], picture: Path) -> None:
        with api() as session:
            prepared = session.prepare_request(
                requests.Request(
                    "POST", f"{address}/api/v1/assets/", files={"file": (picture.name, picture.read_bytes())}
                )
            )
        assert isinstance(prepared.body, bytes)
        self._path, self._headers, self._body = prepared.path_url, prepared.headers, prepared.body
        self._connection = HTTPConnection(address.partition("//")[2], timeout=_WITHIN_S)
        self.asset = 0

    def __enter__(self) -> Self:
        self._connection.putrequest("POST", self._path)
        for name, value in self._headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(self._body[: len(self._body) // 2])
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def finish(self) -> None:
        """Send the rest; the answer has to be that of an upload."""
        self._connection.send(self._body[len(self._body) // 2 :])
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 201, said
        self.asset = int(json.loads(said)["id"])
