"""How to get in: address, credentials and TLS, from the URL and the environment.

==========================  =======================================================================
variable                    meaning
==========================  =======================================================================
VITRINE_QUEUE_USER          user name, if the address holds none
VITRINE_QUEUE_PASSWORD      password, if the address holds none
VITRINE_QUEUE_USER_FILE,    instead of either: a file that holds it, such as a mounted secret
VITRINE_QUEUE_PASSWORD_FILE (``pipeline.secret_files``)
VITRINE_QUEUE_CA_FILE       certificates that the broker's must be signed by (those of the system)
VITRINE_QUEUE_CERT_FILE     our own certificate, for brokers that ask for one
VITRINE_QUEUE_KEY_FILE      its key, if it is not in the same file
==========================  =======================================================================
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

import pika

from pipeline.secret_files import secret

# Twice as long without a byte and a connection counts as dead: a cable that was cut is noticed within
# half a minute. They are answered by a thread that does nothing else, so work of any length is no risk.
HEARTBEAT_S = 10
_SOCKET_TIMEOUT_S = 10.0
_HANDSHAKE_TIMEOUT_S = 20.0


def connection_parameters(url: str, environment: Mapping[str, str] = os.environ) -> pika.URLParameters:
    """Parameters for a connection to ``amqp(s)://user:password@host:port/vhost?heartbeat=…``.

    Args:
        url: an address as the AMQP URI specification describes it; its query may set what pika's
            ``URLParameters`` knows.
        environment: see the table of this module.

    Raises:
        ValueError: an address or a certificate that cannot be used; the message holds no password.
    """
    try:
        parts = urlsplit(url)
        # pika would refuse a name without a password.
        parameters = pika.URLParameters(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    except (ValueError, TypeError, IndexError):
        raise ValueError("The queue's address must look like amqp://user:password@host:5672/vhost.") from None
    asked = parse_qs(parts.query)
    if "heartbeat" not in asked:
        parameters.heartbeat = HEARTBEAT_S
    parameters.socket_timeout = _SOCKET_TIMEOUT_S
    parameters.stack_timeout = _HANDSHAKE_TIMEOUT_S
    # Whoever uses a connection decides when to try again.
    parameters.connection_attempts = 1
    if user := unquote(parts.username or "") or secret("VITRINE_QUEUE_USER", environment):
        password = unquote(parts.password or "") or secret("VITRINE_QUEUE_PASSWORD", environment)
        parameters.credentials = pika.PlainCredentials(user, password)
    if parts.scheme == "amqps":
        parameters.ssl_options = pika.SSLOptions(_tls(environment), parts.hostname)
    return parameters


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """The broker's name and certificate are always verified."""
    try:
        context = ssl.create_default_context(cafile=environment.get("VITRINE_QUEUE_CA_FILE") or None)
        if certificate := environment.get("VITRINE_QUEUE_CERT_FILE"):
            context.load_cert_chain(certificate, environment.get("VITRINE_QUEUE_KEY_FILE") or None)
    except OSError as error:  # SSLError is one
        raise ValueError(f"A certificate of VITRINE_QUEUE_… cannot be used: {error}") from None
    return context
