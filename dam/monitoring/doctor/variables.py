"""The environment variables: misspelt ones, and values that nobody can read.

Knows nothing of Django, because what stands here can keep Django's settings from loading at all.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from dam.monitoring.doctor.findings import (
    Area,
    Check,
    Finding,
    failure,
    ok,
    warning,
)
from pipeline.secret_files import SecretFileError, secret, secret_source

KNOWN = frozenset(
    f"VITRINE_{name}"
    for name in (
        # The catalogue: dam/settings.py, dam/embedded.
        *("ALLOWED_HOSTS", "BLOB_URL", "CONVERT_MEMORY_BYTES", "DEBUG", "HOME", "HTTPS", "LOG_FORMAT"),
        *("MAX_PIXELS", "MAX_UPLOAD_BYTES", "MODEL_NAME", "PORT", "QUEUE_URL", "QUEUE_URL_FILE"),
        *("SECRET_KEY", "SECRET_KEY_FILE", "SHUTDOWN_DEADLINE_S", "SUPERVISED", "TRASH_DAYS"),
        *("TRUSTED_ORIGINS", "UPLOAD_TEMP_DIR"),
        # Every process: pipeline/telemetry/settings.py.
        *("HEALTH_HOST", "HEALTH_PORT"),
        # The monitor: dam/monitoring/settings.py.
        *("MONITOR_CERTIFICATES", "MONITOR_EVERY_S", "MONITOR_LEDGER_EVERY_S", "MONITOR_PLACES_EVERY_S"),
        "MONITOR_QUALITY_EVERY_S",
        # The broker and the object store: pipeline/rabbitmq/access.py, pipeline/s3_settings.py.
        *("QUEUE_CA_FILE", "QUEUE_CERT_FILE", "QUEUE_KEY_FILE", "QUEUE_PASSWORD", "QUEUE_PASSWORD_FILE"),
        *("QUEUE_USER", "QUEUE_USER_FILE"),
        *("S3_ACCESS_KEY", "S3_ACCESS_KEY_FILE", "S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "S3_REGION"),
        *("S3_SECRET_KEY", "S3_SECRET_KEY_FILE", "S3_SSE", "S3_SSE_KMS_KEY_ID"),
        # Backups: dam/backup.
        *("BACKUP_S3_ACCESS_KEY", "BACKUP_S3_ACCESS_KEY_FILE", "BACKUP_S3_ENDPOINT", "BACKUP_S3_REGION"),
        *("BACKUP_S3_SECRET_KEY", "BACKUP_S3_SECRET_KEY_FILE", "BACKUP_S3_SSE", "BACKUP_S3_SSE_KMS_KEY_ID"),
        "PG_PROGRAMS",
        # The worker: workers/settings.py.
        *("BATCH_SIZE", "DECODE_MEMORY_MB", "DECODE_THREADS", "HEARTBEAT_FILE", "LINGER_MS", "MAX_SCORES"),
        *("MODEL_CA_FILE", "MODEL_SERVERS", "PICTURE_DEADLINE_S", "PREDICT_DEADLINE_S", "QUEUES"),
        *("SCORE_FLOOR", "UNKNOWN_LABEL_PATIENCE_S"),
        # Training, rollout and the schedule of both: model_training, airflow.
        *("ALERT_MAIL", "BIN", "CATALOGUE_TOKEN_FILE", "CATALOGUE_URL", "DATA", "DEADLINES", "MODELS"),
        *("MIRROR_FROM", "MIRROR_TO", "MODELS_CONFIG", "PYTHON", "RETRAIN_CONFIG", "RETRAIN_SCHEDULE"),
        *("RUNS", "SERVED_AS"),
        # The tests.
        "CHROMIUM",
    )
)
"""Every variable that any part of Vitrine reads; a test holds this against the code."""

FLAGS = ("VITRINE_DEBUG", "VITRINE_HTTPS")
_FLAG_WORDS = {"", "0", "1", "true", "false", "yes", "no", "on", "off"}
_NUMBERS: Mapping[str, tuple[Callable[[str], float], float, float]] = {
    "VITRINE_MAX_UPLOAD_BYTES": (int, 1, 2**63),
    "VITRINE_MAX_PIXELS": (int, 1, 2**63),
    "VITRINE_TRASH_DAYS": (int, 1, 36_500),
    "VITRINE_CONVERT_MEMORY_BYTES": (int, 1, 2**63),
    "VITRINE_SHUTDOWN_DEADLINE_S": (float, 0, 86_400),
    "VITRINE_HEALTH_PORT": (int, 0, 65_535),
    "VITRINE_PORT": (int, 1, 65_535),
    # gunicorn's name for it.
    "WEB_CONCURRENCY": (int, 1, 1_000),
}
SECRETS = (
    *("DATABASE_URL", "VITRINE_QUEUE_URL", "VITRINE_SECRET_KEY", "VITRINE_QUEUE_USER"),
    *("VITRINE_QUEUE_PASSWORD", "VITRINE_S3_ACCESS_KEY", "VITRINE_S3_SECRET_KEY"),
    *("VITRINE_BACKUP_S3_ACCESS_KEY", "VITRINE_BACKUP_S3_SECRET_KEY"),
)
"""What may also lie in a file, named by a variable of this name and ``_FILE``."""

_LOG_FORMATS = ("console", "json")


def misspelt(environment: Mapping[str, str] = os.environ) -> Finding:
    """Variables that nobody reads, with the name that was probably meant."""
    ours = {name for name in environment if name.startswith("VITRINE_")}
    unknown = sorted(ours - KNOWN)
    if not unknown:
        return ok(f"{len(ours)} set, all of them known" if ours else "none set: the defaults hold")
    meant = {name: difflib.get_close_matches(name, KNOWN, n=1) for name in unknown}
    said = ", ".join(f"{name} (meant: {close[0]}?)" if close else name for name, close in meant.items())
    return warning(
        f"nobody reads {said}",
        mend="Rename it, or take it out of the environment of every process: as it stands it has no effect.",
    )


def readable(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Values that are no number, no flag or no choice where one has to be."""
    bad = [
        *(_number(name, environment.get(name, "")) for name in _NUMBERS),
        *(_flag(name, environment.get(name, "")) for name in FLAGS),
        _choice("VITRINE_LOG_FORMAT", environment.get("VITRINE_LOG_FORMAT", ""), _LOG_FORMATS),
        *(_secret(name, environment) for name in SECRETS),
        _database_address(environment),
    ]
    return [one for one in bad if one is not None] or [ok("every number, flag and choice can be read")]


def _number(name: str, value: str) -> Finding | None:
    read, least, most = _NUMBERS[name]
    if not value:
        return None
    try:
        fits = least <= read(value) <= most
    except ValueError:
        fits = False
    if fits:
        return None
    kind = "a whole number" if read is int else "a number"
    limits = f"from {least:g} to {most:g}" if most < 2**63 else f"from {least:g} on"
    return failure(
        f"{name} is {value!r}, which is not {kind} {limits}",
        mend=f"Set it to {kind} {limits}, or unset it for the default; no process starts before.",
    ).of(name)


def _flag(name: str, value: str) -> Finding | None:
    if value.lower() in _FLAG_WORDS:
        return None
    return warning(
        f"{name} is {value!r}, which counts as off", mend=f"Set it to 1 or 0: {name}=1 switches it on."
    ).of(name)


def _choice(name: str, value: str, choices: tuple[str, ...]) -> Finding | None:
    if not value or value in choices:
        return None
    return failure(
        f"{name} is {value!r}, which is none of {', '.join(choices)}",
        mend=f"Set it to {' or '.join(choices)}; the processes refuse to start with anything else.",
    ).of(name)


def _secret(name: str, environment: Mapping[str, str]) -> Finding | None:
    try:
        secret(name, environment)
    except SecretFileError as error:
        return failure(
            str(error),
            mend=f"Unset one of them, or let {name}_FILE name a file of one line that this process may read.",
        ).of(name)
    return None


def _database_address(environment: Mapping[str, str]) -> Finding | None:
    try:
        source = secret_source("DATABASE_URL", environment)
        conninfo_to_dict(secret("DATABASE_URL", environment))
    except SecretFileError:
        # Told already.
        return None
    except ProgrammingError:
        # What libpq says of it repeats it, with the password.
        return failure(
            f"{source} is no address that libpq can read",
            mend="Write it as postgresql://USER@HOST:5432/NAME, a password after USER and a colon, %40 for "
            "an @ in it.",
        ).of(source)
    return None


ENVIRONMENT = Area(
    "Environment",
    (Check("names of variables", misspelt), Check("values of variables", readable)),
)
