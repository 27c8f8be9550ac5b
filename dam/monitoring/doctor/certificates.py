"""Certificates: how long those that we meet are good for."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from dam.monitoring.certificates import certificates_read
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, skipped, warning

WARN_DAYS, FAIL_DAYS = 21, 7
"""Renewals usually happen thirty days before the end: below three weeks one has failed."""

_PATIENCE_S = 3.0
_PORTS = {"https": 443, "amqps": 5671}
_DAY_S = 86_400


def endpoints() -> list[Finding]:
    """What the servers show that Vitrine speaks to by TLS, and the site itself by its public name."""
    found = [_endpoint(parts, authority).of(name) for name, parts, authority in _endpoints(os.environ)]
    named = os.environ.get("VITRINE_MONITOR_CERTIFICATES", "")
    known = {one.name for one in found}
    # Those may be signed by anybody: only how long they are good for is looked at.
    shown, missing = certificates_read(
        [one for part in named.split(",") if (one := part.strip()) and one not in known],
        within_s=_PATIENCE_S,
    )
    found += [judged(one.ends_at.timestamp(), now=time.time()).of(one.endpoint) for one in shown]
    found += [skipped(f"cannot be read: {one.why}").of(one.endpoint) for one in missing]
    return found or [skipped("nothing that is named here speaks TLS")]


def _endpoints(environment: Mapping[str, str]) -> list[tuple[str, SplitResult, str | None]]:
    """Name, address and file of trusted certificates, once for each host and port."""
    named = [
        *((origin, None) for origin in settings.CSRF_TRUSTED_ORIGINS if "*" not in origin),
        (settings.QUEUE_URL, environment.get("VITRINE_QUEUE_CA_FILE")),
        (environment.get("VITRINE_S3_ENDPOINT", ""), None),
        (environment.get("VITRINE_S3_PUBLIC_ENDPOINT", ""), None),
        (environment.get("MLFLOW_TRACKING_URI", ""), None),
    ]
    servers: dict[str, tuple[SplitResult, str | None]] = {}
    for address, authority in named:
        parts = urlsplit(address)
        if parts.scheme in _PORTS and parts.hostname:
            servers.setdefault(f"{parts.hostname}:{_port(parts)}", (parts, authority or None))
    return [(name, *one) for name, one in servers.items()]


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _endpoint(parts: SplitResult, authority: str | None) -> Finding:
    host = str(parts.hostname)
    try:
        context = ssl.create_default_context(cafile=authority)
        with (
            socket.create_connection((host, _port(parts)), timeout=_PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            shown = encrypted.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return failure(
            f"its certificate is refused: {error.verify_message}",
            mend="Renew it, or name the authority that signed it (VITRINE_QUEUE_CA_FILE, SSL_CERT_FILE).",
        )
    except OSError as error:
        # Whether it answers is another check's business; a site may not be reachable by its public name.
        return skipped(f"cannot be reached from here: {error}")
    return judged(ssl.cert_time_to_seconds(str(shown["notAfter"])), now=time.time())


def files() -> list[Finding]:
    """The authorities in the files that settings name."""
    found = []
    for variable in ("VITRINE_QUEUE_CA_FILE", "VITRINE_MODEL_CA_FILE", "SSL_CERT_FILE"):
        if not (named := os.environ.get(variable)):
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=Path(named))
        except OSError as error:
            found.append(
                failure(f"{named} cannot be used: {error}", mend=f"Mend the path in {variable}.").of(variable)
            )
            continue
        ends = [ssl.cert_time_to_seconds(str(one["notAfter"])) for one in context.get_ca_certs()]
        if ends:
            # In a bundle of many some are always old; the one that signs is told by the servers above.
            found.append(judged(min(ends) if len(ends) == 1 else max(ends), now=time.time()).of(variable))
    return found or [skipped("none are named")]


def judged(ends: float, *, now: float) -> Finding:
    """A certificate that ends at such a time, in seconds since 1970."""
    days = (ends - now) / _DAY_S
    if days < 0:
        return failure(f"ended {-days:.0f} days ago", mend="Renew it now: nobody who checks it gets in.")
    said = f"good for {days:.0f} days"
    mend = "Renew it, and find out why that did not happen by itself (`certbot renew --dry-run`)."
    if days < FAIL_DAYS:
        return failure(said, mend=mend)
    return warning(said, mend=mend) if days < WARN_DAYS else ok(said)


CERTIFICATES = Area("Certificates", (Check("server", endpoints), Check("authority", files)))
