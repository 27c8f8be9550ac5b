"""When certificates end: those that endpoints show, whoever issued them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from cryptography.x509 import load_der_x509_certificate

PATIENCE_S = 10.0
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an endpoint shows who connects to it."""

    endpoint: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """An endpoint that shows no certificate."""

    endpoint: str
    why: str


def certificates_read(
    endpoints: Iterable[str], *, within_s: float = PATIENCE_S
) -> tuple[list[Certificate], list[Unread]]:
    """The certificates of ``host:port`` (443 if there is no port), and the endpoints that show none.

    Args:
        endpoints: such as ``pictures.example.com:443`` or ``[::1]:8443``.
        within_s: seconds that each of them is given to answer.
    """
    found, missing = [], []
    for endpoint in endpoints:
        try:
            found.append(Certificate(endpoint, _ends_at(endpoint, within_s)))
        # No connection, no handshake (SSLError is an OSError), no such address.
        except (OSError, ValueError) as error:
            missing.append(Unread(endpoint, str(error) or type(error).__name__))
    return found, missing


def _ends_at(endpoint: str, within_s: float) -> datetime:
    address = urlsplit(f"//{endpoint}")
    if not address.hostname:
        raise ValueError("not of the form host:port")
    # Nothing is sent to it and nothing that it says is believed: a certificate that has ended, or that an
    # authority of the house signed, has to be read as well.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((address.hostname, address.port or _HTTPS), timeout=within_s) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    if shown is None:
        raise ValueError("it shows no certificate")
    return load_der_x509_certificate(shown).not_valid_after_utc
