"""A stand-in for the catalogue's REST interface of a rollout, as far as the controller asks it.

It is not the catalogue: it judges nothing, and tags nothing. Whether the controller and the catalogue
understand each other is what ``tests/e2e/test_rollout.py`` shows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "token-of-the-tests"


class RolloutCatalogue:
    """What it was told, and what it asks for."""

    def __init__(self, address: str, token_file: Path) -> None:
        self.address = address
        self.token_file = token_file
        self.models: dict[int, dict[str, Any]] = {}
        self.serving: dict[str, int | None] = dict.fromkeys(("champion", "challenger", "predecessor"))
        self.steps: list[dict[str, Any]] = []
        self.refreshed: list[int] = []
        """Numbers of the versions whose words were to count for known tags too."""
        self.gate: list[str] = []
        """Its reasons to refuse; empty: it lets everything pass."""
        self.comparison: dict[str, Any] | None = None
        """What it answers; None: there is no challenger."""
        self.down = False

    # ------------------------------------------------------------ what tests do and look at

    def numbers(self) -> dict[str, int | None]:
        """What it takes to be in service, by the numbers of the model servers."""
        return {role: id_ and self.models[id_]["version"] for role, id_ in self.serving.items()}

    def model(self, number: int) -> dict[str, Any]:
        (found,) = (each for each in self.models.values() if each["version"] == number)
        return found

    def ask(self, kind: str, number: int, **more: Any) -> dict[str, Any]:
        """Ask the controller for something, as people do."""
        step = {
            "id": len(self.steps) + 1,
            "kind": kind,
            "state": "asked",
            "version": self.model(number),
            "detail": "",
            "reason": "",
            "source": "person",
            "forced": False,
            "by": None,
            "created_at": "2026-01-01T12:00:00Z",
            **more,
        }
        self.steps.append(step)
        return step

    def roll_back(self) -> dict[str, Any]:
        """Undo the champion, as people and the watch do."""
        champion = self.models[self.serving["champion"] or 0]
        champion["withdrawn"] = True
        return self.ask("roll-back", champion["version"])

    # ------------------------------------------------------------ its interface

    def answer(self, method: str, path: str, told: dict[str, Any]) -> tuple[int, Any]:
        match method, path.removeprefix("/api/v1/").split("?")[0].strip("/").split("/"):
            case "GET", ["rollout"]:
                found: tuple[int, Any] = 200, self._rollout()
            case "GET", ["models"]:
                found = 200, {"results": list(self.models.values())}
            case "PUT", ["models"]:
                found = 200, self._register(told)
            case "PUT", ["rollout", "serving"]:
                self.serving = told
                self._settle_what_is_so()
                found = 200, self._rollout()
            case "GET", ["rollout", "comparison"]:
                none = {"detail": "There is no challenger.", "code": "no-challenger"}
                found = (200, self.comparison) if self.comparison else (409, none)
            case "POST", ["rollout", "promotions"]:
                found = self._promote(told)
            case "POST", ["rollout", "rollbacks"]:
                found = 201, self.roll_back() | {"reason": told["reason"]}
            case "POST", ["rollout", "steps", step, "settle"]:
                found = 200, self._settle(int(step), told)
            case "GET", ["rollout", "steps"]:
                found = 200, {"results": self.steps[::-1]}
            case _:
                found = 404, {"detail": f"{method} {path}", "code": "not-found"}
        return found

    def _rollout(self) -> dict[str, Any]:
        asked = next((step for step in self.steps if step["state"] == "asked"), None)
        roles = {role: id_ and self.models[id_] for role, id_ in self.serving.items()}
        more = {"shadow_share": 0.1, "canary_share": 0.0, "reported_at": "2026-01-01T12:00:00Z"}
        return {**roles, **more, "asked": asked, "watch": None}

    def _register(self, told: dict[str, Any]) -> dict[str, Any]:
        same = ("name", "version")
        found = [each for each in self.models.values() if all(each[name] == told[name] for name in same)]
        model = found[0] if found else {"id": 100 + len(self.models), "withdrawn": False}
        self.refreshed += [told["version"]] if told["refresh"] else []
        self.models[model["id"]] = model | told
        return self.models[model["id"]]

    def _promote(self, told: dict[str, Any]) -> tuple[int, Any]:
        if self.gate and not told["force"]:
            text = " ".join(self.gate)
            return 409, {"detail": text, "code": "gate-refused", "reasons": self.gate}
        number = self.models[told["version"]]["version"]
        more = {"source": told["source"], "forced": told["force"], "reason": told["reason"]}
        return 201, self.ask("promote", number, **more)

    def _settle(self, step: int, told: dict[str, Any]) -> dict[str, Any]:
        settled = self.steps[step - 1]
        settled.update(state="done" if told["done"] else "failed", detail=told["detail"])
        return settled

    def _settle_what_is_so(self) -> None:
        for step in self.steps:
            serves = step["version"]["id"] == self.serving["champion"]
            if step["state"] == "asked" and serves == (step["kind"] == "promote"):
                step["state"] = "done"


@contextmanager
def rollout_catalogue(work: Path) -> Iterator[RolloutCatalogue]:
    """Runs one on a free port; its token lies in ``work``."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            if catalogue.down:
                status, body = 503, {"detail": "The database does not answer."}
            elif self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, body = 401, {"detail": "Invalid token."}
            else:
                status, body = catalogue.answer(self.command, self.path, told)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - their names are http.server's

        def log_message(self, *_: object) -> None:
            """Into no test's output."""

    token_file = work / "token"
    token_file.write_text(f"{TOKEN}\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        catalogue = RolloutCatalogue(f"http://127.0.0.1:{server.server_port}", token_file)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield catalogue
        finally:
            server.shutdown()
            thread.join()
