"""What the settings say: secrets, hosts, https, limits, addresses."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings

from dam.embedded.state import is_key_of_one_replica
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, warning
from pipeline.s3_settings import S3Settings
from pipeline.secret_files import secret_source
from pipeline.transports import transport_from_url

# What Django's own check asks for (security.W009).
_KEY_LENGTH, _KEY_CHARACTERS = 50, 5
_HARMLESS_UPLOAD_BYTES = 10 << 30
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


def secret_key() -> Finding:
    """Long and random enough to sign sessions with."""
    key = settings.SECRET_KEY
    place = secret_source("VITRINE_SECRET_KEY") or f"{settings.VITRINE_HOME}/secret_key"
    make = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    if len(set(key)) < _KEY_CHARACTERS or len(key) < _KEY_LENGTH:
        tell = failure if len(key) < _KEY_LENGTH // 2 or len(set(key)) < _KEY_CHARACTERS else warning
        return tell(
            f"{len(key)} characters in {place}: it may be guessed, and with it anybody's session made",
            mend=f"Make a new one with `{make}` and set it for every web process; everybody signs in anew.",
        )
    if is_key_of_one_replica():
        return failure(
            f"VITRINE_SECRET_KEY is not set: each replica signs sessions with the key in its own {place}, "
            "which the others do not know",
            mend=f"Make one with `{make}` and set it for every web process; everybody signs in anew.",
        )
    return ok(f"{len(key)} characters, from {place}")


def debug() -> Finding:
    """Off: error pages would show settings and code."""
    if not settings.DEBUG:
        return ok("off")
    tell = failure if _is_public() else warning
    return tell(
        "on: error pages show code and settings to whoever sees them",
        mend="Unset VITRINE_DEBUG and restart the web process.",
    )


def allowed_hosts() -> Finding:
    """The names under which the site answers."""
    hosts = settings.ALLOWED_HOSTS
    if not hosts:
        return failure(
            "none: every request is refused", mend="Set VITRINE_ALLOWED_HOSTS to the names of the site."
        )
    if any(host in {"*", "."} for host in hosts):
        return warning(
            "any name is answered, so addresses in pages can be forged",
            mend="Set VITRINE_ALLOWED_HOSTS to the names under which people open the site.",
        )
    named = {name for origin in settings.CSRF_TRUSTED_ORIGINS if (name := urlsplit(origin).hostname)}
    unheard = sorted(name for name in named if not any(_covers(host, name) for host in hosts))
    if unheard:
        return failure(
            f"{', '.join(unheard)} is a trusted origin, and requests to it are refused",
            mend=f"Add it: VITRINE_ALLOWED_HOSTS={','.join([*hosts, *unheard])}",
        )
    return ok(", ".join(hosts))


def https() -> list[Finding]:
    """Cookies only over https, and origins that fit."""
    secure, found = settings.SESSION_COOKIE_SECURE, []
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        scheme = urlsplit(origin).scheme
        if scheme not in {"http", "https"}:
            found.append(
                failure(
                    f"the trusted origin {origin} has no scheme, so nothing starts",
                    mend=f"Write it as VITRINE_TRUSTED_ORIGINS=https://{origin}",
                )
            )
        elif scheme == "http" and secure:
            found.append(
                warning(
                    f"{origin} is trusted without encryption",
                    mend=f"Write it as https://{origin.partition('://')[2]} in VITRINE_TRUSTED_ORIGINS.",
                )
            )
    if not secure and _is_public():
        found.append(
            warning(
                "off, and the site has a name that others may reach: passwords and sessions travel openly",
                mend="Put a proxy with a certificate in front, set VITRINE_HTTPS=1 and "
                "VITRINE_TRUSTED_ORIGINS=https://NAME, and restart the web process.",
            )
        )
    return found or [ok("on" if secure else "off; the site answers on this machine only")]


def limits() -> Finding:
    """What is accepted at the door."""
    most, pixels = settings.MAX_UPLOAD_BYTES, settings.MAX_PIXELS
    said = f"files up to {most / 1e6:,.0f} MB, pictures up to {pixels:,} pixels"
    if most > _HARMLESS_UPLOAD_BYTES:
        return warning(
            f"{said}: one upload may fill the disk",
            mend="Set VITRINE_MAX_UPLOAD_BYTES (the same for web and worker) to what your pictures need.",
        )
    return ok(said)


def addresses() -> list[Finding]:
    """The addresses of queue and blob store can be read."""
    return [
        _read("queue", "VITRINE_QUEUE_URL", lambda: transport_from_url(settings.QUEUE_URL)),
        _read("blob store", "VITRINE_BLOB_URL", _blob_address),
    ]


def _blob_address() -> None:
    """Raises ValueError for what no blob store is made from; makes none, for that would make its folder."""
    scheme = urlsplit(settings.BLOB_URL).scheme
    if scheme == "s3":
        S3Settings()
    elif scheme not in {"", "file"}:
        raise ValueError("The blob store is a folder, file:///path or s3://bucket/prefix.")


def _read(name: str, variable: str, read: Callable[[], object]) -> Finding:
    try:
        read()
    except ValueError as error:
        return failure(
            # Of a validation error the first line only counts; the last one says what is wrong.
            str(error).strip().splitlines()[-1],
            mend=f"Set {variable} as docs/{'queue' if name == 'queue' else 'storage'}.md says.",
        ).of(name)
    return ok("can be read").of(name)


def _is_public() -> bool:
    """Whether people elsewhere may know its name; one without a dot is of a network of containers or pods."""
    return any(
        host not in _LOOPBACK and (host == "*" or "." in host or ":" in host)
        for host in settings.ALLOWED_HOSTS
    )


def _covers(host: str, name: str) -> bool:
    return host == name or (host.startswith(".") and (name.endswith(host) or name == host[1:]))


CONFIGURATION = Area(
    "Configuration",
    (
        Check("secret key", secret_key),
        Check("debugging", debug),
        Check("allowed hosts", allowed_hosts),
        Check("https", https),
        Check("limits of uploads", limits),
        Check("addresses", addresses),
    ),
)
