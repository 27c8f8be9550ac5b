"""The catalogue's REST interface, as far as a rollout needs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from model_training.rollout.state import InCatalogue, Known, Wish, WishKind

_TIMEOUT_S = (5.0, 60.0)
"""To connect, and of silence."""
_MOST_CHARACTERS = 2000
_ROLES = ("champion", "challenger", "predecessor")
_LIST_EVERY_S = 30.0


class CatalogueDownError(Exception):
    """It does not answer, or does not let us in now; trying again may help."""


class CatalogueRefusedError(Exception):
    """It understood, and says no. The text says why.

    Args:
        code: of the problem, such as ``gate-refused``.
        text: in words.
        reasons: of the gate.
    """

    def __init__(self, code: str, text: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join(reasons) or text)
        self.code = code
        self.reasons = reasons


GATE_REFUSED = "gate-refused"
_LATER = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Version:
    """What the catalogue is told of a version."""

    name: str
    number: int
    preprocess_id: str
    vocabulary_id: str
    embedding_id: str
    registry_version: int | None
    metrics: Mapping[str, float]
    vocabulary: list[dict[str, Any]]


class Catalogue:
    """A client. Each method raises :class:`CatalogueDownError` and :class:`CatalogueRefusedError`.

    Args:
        address: Such as ``https://vitrine.example.org``.
        token_file: Read for each request: a token may be replaced.
    """

    def __init__(self, address: str, token_file: Path) -> None:
        self._root = f"{address.rstrip('/')}/api/v1/"
        self._token_file = token_file
        self._session = requests.Session()
        # It asks every two seconds, which is when a web server gives up a connection that rests.
        self._session.headers["Connection"] = "close"
        self._listed: list[Known] = []
        self._listed_as: object = None
        self._listed_at = float("-inf")

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()

    # ------------------------------------------------------------ for the controller

    def look(self) -> InCatalogue:
        """What it takes to be in service, what it wants, and all versions."""
        told = self.rollout()
        roles = {role: told[role] and _known(told[role]) for role in _ROLES}
        wish = _wish(told["asked"])
        now = time.monotonic()
        # It counts answers for the list, which is too much for each of our looks.
        if self._listed_as != (roles, wish) or now - self._listed_at > _LIST_EVERY_S:
            self._listed = sorted(map(_known, self.models()), key=lambda each: each.id)
            self._listed_as, self._listed_at = (roles, wish), now
        # One number is one version; of two, the later one took its place.
        known = {each.number: each for each in self._listed}
        return InCatalogue(**roles, wish=wish, known=known)

    def register(self, version: Version, *, refresh: bool) -> Known:
        """Tell it of a version. ``refresh``: its words count for tags that are known already."""
        told = {
            "name": version.name,
            "version": version.number,
            "registry_version": version.registry_version,
            "preprocess_id": version.preprocess_id,
            "vocabulary_id": version.vocabulary_id,
            "embedding_id": version.embedding_id,
            "metrics": dict(version.metrics),
            "vocabulary": version.vocabulary,
            "refresh": refresh,
        }
        self._listed_as = None
        return _known(self._ask("PUT", "models/", told))

    def report(self, champion: int, challenger: int | None, predecessor: int | None) -> None:
        """Tell it what is in service, by the ids of its own versions."""
        roles = {"champion": champion, "challenger": challenger, "predecessor": predecessor}
        self._ask("PUT", "rollout/serving/", roles)

    def settle(self, wish: int, *, done: bool, detail: str) -> None:
        """Tell it what became of its wish."""
        told = {"done": done, "detail": detail[:_MOST_CHARACTERS]}
        self._ask("POST", f"rollout/steps/{wish}/settle/", told)

    # ------------------------------------------------------------ for people too

    def promote(self, version: int, *, source: str, force: bool, reason: str) -> dict[str, Any]:
        """Ask it to make a version champion; returns the step.

        Raises:
            CatalogueRefusedError: with the code :data:`GATE_REFUSED`: the evidence is not enough.
        """
        told = {"version": version, "force": force, "reason": reason[:_MOST_CHARACTERS], "source": source}
        return dict(self._ask("POST", "rollout/promotions/", told))

    def roll_back(self, reason: str) -> dict[str, Any]:
        """Go back to the predecessor; returns the step."""
        return dict(self._ask("POST", "rollout/rollbacks/", {"reason": reason}))

    def rollout(self) -> dict[str, Any]:
        """What is in service, the shares and what is asked for."""
        return dict(self._ask("GET", "rollout/"))

    def models(self) -> list[dict[str, Any]]:
        """All versions."""
        return _listed(self._ask("GET", "models/"))

    def steps(self, limit: int) -> list[dict[str, Any]]:
        """What was done, newest first."""
        return _listed(self._ask("GET", f"rollout/steps/?limit={limit}"))

    def comparison(self) -> dict[str, Any]:
        """Champion and challenger on this library, with the gate's verdict."""
        return dict(self._ask("GET", "rollout/comparison/"))

    # ------------------------------------------------------------ the request

    def _ask(self, method: str, path: str, told: Mapping[str, Any] | None = None) -> Any:
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise CatalogueDownError(f"no token for the catalogue: {error}") from error
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        try:
            answer = self._session.request(
                method,
                self._root + path,
                json=told,
                headers=headers,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
            content = answer.json() if answer.content else None
        except (requests.RequestException, UnicodeError) as error:
            raise CatalogueDownError(f"the catalogue does not answer: {error}") from error
        if answer.ok and not answer.is_redirect:
            return content
        problem = content if isinstance(content, dict) else {}
        said = str(problem.get("detail") or answer.reason)
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code in _LATER:
            raise CatalogueDownError(f"the catalogue answers {path} with {answer.status_code}: {said}")
        reasons = tuple(str(reason) for reason in problem.get("reasons", ()))
        if errors := problem.get("errors"):
            said = f"{said} {errors}"
        raise CatalogueRefusedError(str(problem.get("code", "")), f"{method} {path}: {said}", reasons)


def _listed(answer: Any) -> list[dict[str, Any]]:
    return list(answer["results"] if isinstance(answer, dict) else answer)


def _known(told: Mapping[str, Any]) -> Known:
    return Known(
        id=told["id"],
        name=told["name"],
        number=told["version"],
        registry_version=told["registry_version"],
        withdrawn=bool(told.get("withdrawn", False)),
        metrics=told.get("metrics", {}),
    )


def _wish(told: Mapping[str, Any] | None) -> Wish | None:
    if told is None or told["kind"] not in set(WishKind):
        return None
    return Wish(told["id"], WishKind(told["kind"]), _known(told["version"]))
