"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dam.assets.storage import blob_store
from dam.monitoring.lately import Lately
from dam.monitoring.queues import queues_read
from dam.schema import schema_trouble
from pipeline.blobs import original_key
from pipeline.ports import DependencyDownError

_applied = Event()


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; asks nobody else, so that an outage elsewhere restarts nothing here."""
    del request
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether requests should come here: 200 or 503, what was looked at, and why it matters.

    What does not gate is reported all the same: who looks at one outage sees the others beside it.
    """
    del request
    checks = {check.name: check.answer() for check in _CHECKS}
    ready = all(answer["ok"] or not answer["gates"] for answer in checks.values())
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


@dataclass(frozen=True, slots=True)
class _Check:
    """Something that requests depend on; ``look`` gives what is wrong with it, or nothing."""

    name: str
    look: Callable[[], str]
    why: str
    gates: bool = True

    def answer(self) -> dict[str, object]:
        problem = _problem(self.look)
        return {"ok": not problem, "detail": problem, "why": self.why, "gates": self.gates}


def _problem(look: Callable[[], str]) -> str:
    try:
        return look()
    # An address that no store is made from is a ValueError.
    except (Error, DependencyDownError, ImproperlyConfigured, ValueError) as error:
        # The first line says what is down; what follows may tell more than strangers need to know.
        return str(error).strip().partition("\n")[0] or type(error).__name__


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    # Reading all migrations takes tens of milliseconds, and what is applied stays so.
    if not _applied.is_set():
        if trouble := schema_trouble():
            return trouble
        _applied.set()
    return ""


def forget_applied_migrations() -> None:
    """Look again at the next question."""
    _applied.clear()


def _blob_store() -> str:
    # Any key does: what counts is that the store answers.
    blob_store().exists(original_key("0" * 64))
    return ""


# Asked beside the requests, so one that hangs holds up none.
_queues: Lately[object] = Lately(queues_read, every_s=10.0, patience_s=0.5)


_CHECKS = (
    _Check("database", _database, "Every page and every upload reads and writes it."),
    _Check("migrations", _migrations, "This code reads columns that older tables do not have."),
    _Check("blob store", _blob_store, "Uploads are written there before they count, pictures read from it."),
    _Check(
        "broker",
        lambda: _queues.known().trouble,
        "Pictures wait for their tags while it is down. Uploads go on: their jobs are kept in the database.",
        gates=False,
    ),
)
