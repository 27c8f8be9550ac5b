"""The one settings module, driven by the environment; its defaults are the embedded system.

=========================  =============================================================
variable                   meaning (default)
=========================  =============================================================
VITRINE_HOME               where state lives (``var/`` of the checkout)
DATABASE_URL               PostgreSQL (the embedded server of VITRINE_HOME)
VITRINE_QUEUE_URL          broker of the tagging queues (DATABASE_URL)
VITRINE_BLOB_URL           blob store: a folder or ``s3://bucket/prefix`` (``VITRINE_HOME/blobs``)
VITRINE_S3_*               object storage, read by ``pipeline.s3``: see ``docs/storage.md``
VITRINE_BACKUP_S3_*        where backups go: see ``docs/backup.md``
VITRINE_PG_PROGRAMS        folder of ``pg_dump`` and ``pg_restore`` (those installed)
VITRINE_MODEL_NAME         name of the served model (``tagger``)
VITRINE_SECRET_KEY         signing key (a generated file in VITRINE_HOME); several replicas need the same
VITRINE_ALLOWED_HOSTS      comma-separated host names (the loopback names)
VITRINE_TRUSTED_ORIGINS    comma-separated origins behind a proxy (none)
VITRINE_HTTPS              1: cookies only over https (0)
VITRINE_MAX_UPLOAD_BYTES   size limit of one file (200 MB)
VITRINE_MAX_PIXELS         limit of width × height by header (200 million)
VITRINE_TRASH_DAYS         how long the trash is kept before `vitrine trash` empties it (30)
VITRINE_CONVERT_MEMORY_BYTES  what converting one download may need (700 MiB)
VITRINE_LOG_FORMAT         ``console`` or ``json`` (console)
VITRINE_HEALTH_PORT        where a process serves ``/metrics`` and its health (0: nowhere)
VITRINE_HEALTH_HOST        address of that port (127.0.0.1)
VITRINE_MONITOR_*          read by ``dam.monitoring.settings``: see ``docs/metrics.md``
VITRINE_SHUTDOWN_DEADLINE_S  seconds that SIGTERM leaves to finish what was delivered (25)
=========================  =============================================================

Secrets may lie in files instead, as orchestrators mount them: DATABASE_URL_FILE, VITRINE_QUEUE_URL_FILE and
VITRINE_SECRET_KEY_FILE name them (``pipeline.secret_files``).
"""

from __future__ import annotations

import os
import secrets
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from dam.embedded.state import database_url, home_folder
from pipeline.secret_files import secret

VITRINE_HOME = home_folder()
_CONNECT_WITHIN_S = 10


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def _names(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _secret_key() -> str:
    """The key from the environment, or one made once and kept where only the owner can read it."""
    if key := secret("VITRINE_SECRET_KEY"):
        return key
    path = VITRINE_HOME / "secret_key"
    try:
        return path.read_text()
    except FileNotFoundError:
        VITRINE_HOME.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secret_key.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            # Unlike a rename, a link fails when another process was first: all read the same key.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_text()


def _database(url: str) -> dict[str, Any]:
    """Django's form of a libpq address; what Django has no word for goes to psycopg as it is."""
    parts: dict[str, Any] = dict(conninfo_to_dict(url))
    if not os.environ.get("PGCONNECT_TIMEOUT"):
        # Where packets are dropped, libpq would wait for minutes, and so would every thread of the pages.
        parts.setdefault("connect_timeout", _CONNECT_WITHIN_S)
    return {
        # Django's, and counts and times statements.
        "ENGINE": "django_prometheus.db.backends.postgresql",
        "NAME": parts.pop("dbname", "vitrine"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
    }


SECRET_KEY = _secret_key()
DEBUG = _flag("VITRINE_DEBUG")
ALLOWED_HOSTS = _names("VITRINE_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = _names("VITRINE_TRUSTED_ORIGINS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _flag("VITRINE_HTTPS")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("VITRINE_HTTPS") else None

DATABASE_URL = secret("DATABASE_URL") or database_url(VITRINE_HOME)
DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

QUEUE_URL = secret("VITRINE_QUEUE_URL") or DATABASE_URL
for _part in ("VITRINE_QUEUE_USER", "VITRINE_QUEUE_PASSWORD"):
    # Used by whoever connects to the broker; a file that cannot be read is told at the start.
    secret(_part)
BLOB_URL = os.environ.get("VITRINE_BLOB_URL") or str(VITRINE_HOME / "blobs")
MODEL_NAME = os.environ.get("VITRINE_MODEL_NAME") or "tagger"
MAX_UPLOAD_BYTES = int(os.environ.get("VITRINE_MAX_UPLOAD_BYTES") or 200_000_000)
SHUTDOWN_DEADLINE_S = float(os.environ.get("VITRINE_SHUTDOWN_DEADLINE_S") or 25)
CONVERT_MEMORY_BYTES = int(os.environ.get("VITRINE_CONVERT_MEMORY_BYTES") or 700 << 20)
MAX_PIXELS = int(os.environ.get("VITRINE_MAX_PIXELS") or 200_000_000)
TRASH_DAYS = int(os.environ.get("VITRINE_TRASH_DAYS") or 30)

INSTALLED_APPS = [
    "dam.audit",
    "dam.jobs",
    "dam.assets",
    "dam.tagging",
    "dam.search",
    "dam.integrity",
    "dam.rollout",
    "dam.curation",
    "dam.sharing",
    "dam.monitoring",
    "dam.api",
    "dam.library",
    "dam.loops",
    "dam.backup",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "treebeard",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "dam.telemetry.middleware.RequestTelemetry",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "dam.audit.context.AuditContext",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dam.telemetry.middleware.RequestMetrics",
]

# From a statement by key to a person's patience, in seconds.
PROMETHEUS_LATENCY_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    float("inf"),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {
        # What was answered with 4xx stands in the line of its request; what failed here comes with its trace.
        "django.request": {"level": "ERROR"},
    },
}

ROOT_URLCONF = "dam.urls"
WSGI_APPLICATION = "dam.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "library"
LOGOUT_REDIRECT_URL = "sign-in"

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
# Served from where the packages keep them: nothing to collect before a start.
WHITENOISE_USE_FINDERS = True

# A file above 2.5 MB is spooled to the disk while it arrives; its limit is enforced as it streams in.
FILE_UPLOAD_TEMP_DIR = os.environ.get("VITRINE_UPLOAD_TEMP_DIR") or None
FILE_UPLOAD_HANDLERS = [
    "dam.api.upload_limit.UploadLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
DATA_UPLOAD_MAX_NUMBER_FILES = 1

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "dam.api.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["dam.api.rendering.QuickJSONRenderer"],
    "EXCEPTION_HANDLER": "dam.api.errors.handle",
}
# Tokens are kept hashed, end only when they are revoked, and are sent as RFC 6750 says.
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": None}
SPECTACULAR_SETTINGS = {
    "TITLE": "Vitrine",
    "DESCRIPTION": "Pictures, the tags they were given, and what became of every upload.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AssetState": "dam.assets.models.Asset.State",
        "ClaimState": "dam.tagging.models.Claim.State",
        "ClaimSource": "dam.tagging.models.Claim.Source",
        "TagKind": "dam.tagging.models.Tag.Kind",
        "Verdict": "dam.tagging.models.Decision.Verdict",
        "StepKind": "dam.rollout.models.Step.Kind",
        "StepState": "dam.rollout.models.Step.State",
        "StepSource": "dam.rollout.models.Step.Source",
    },
}
