"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dam.assets.storage import blob_store
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
    """Whether requests should come here: 200 or 503, and what was looked at."""
    del request
    checks = {name: _checked(check) for name, check in _CHECKS.items()}
    ready = all(check["ok"] for check in checks.values())
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


def _checked(check: Callable[[], str]) -> dict[str, object]:
    try:
        problem = check()
    except (Error, DependencyDownError, ImproperlyConfigured) as error:
        # The first line says what is down; what follows may tell more than strangers need to know.
        problem = str(error).strip().partition("\n")[0] or type(error).__name__
    return {"ok": not problem, "detail": problem}


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    return "" if _all_migrations_applied() else "There are migrations to apply: run `vitrine migrate`."


def _all_migrations_applied() -> bool:
    # Reading all migrations takes tens of milliseconds, and what is applied stays so.
    if not _applied.is_set():
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            _applied.set()
    return _applied.is_set()


def forget_applied_migrations() -> None:
    """Look again at the next question."""
    _applied.clear()


def _blob_store() -> str:
    # Any key does: what counts is that the store answers.
    blob_store().exists(original_key("0" * 64))
    return ""


_CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "blob store": _blob_store,
}
