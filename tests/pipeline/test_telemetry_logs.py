"""One line per event on standard error, and no secrets in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pipeline.telemetry.logs import HIDDEN, MOST_REQUEST_IDS, hide_secrets, request_ids


def cleaned(**line: Any) -> dict[str, Any]:
    return dict(hide_secrets(None, "info", line))


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PGPASSWORD", "db_password", "token", "access_token", "secret", "client-secret"),
        *("api_key", "X-Api-Key", "secretAccessKey", "access_key", "session_key", "Authorization"),
        *("cookie", "Set-Cookie", "sessionid", "csrftoken", "credentials"),
    ],
)
def test_a_value_whose_name_says_that_it_is_secret_is_hidden_however_deep_it_lies(name: str) -> None:
    assert cleaned(**{name: "abc"}) == {name: HIDDEN}
    assert cleaned(settings={"of": [{name: "abc"}]}) == {"settings": {"of": [{name: HIDDEN}]}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("tokens", 7), ("max_tokens", "7"), ("session_id", "s"), ("token_file", "/run/token")],
        *[("password_changed", "today"), ("has_password", True), ("blob_key", "ab/cd"), ("key", "k")],
        *[("secret_name", "vitrine"), ("password", ""), ("password", None), ("total_ms", 1.5)],
    ],
)
def test_what_is_no_secret_stays(name: str, value: object) -> None:
    assert cleaned(**{name: value}) == {name: value}


class Something:
    """What a line would show by its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://vitrine:hush@mq/v is down", f"amqp://{HIDDEN}@mq/v is down"),
        ("a://u:hush@h, b://u:hush@h", f"a://{HIDDEN}@h, b://{HIDDEN}@h"),
        ("redis://:hush@h/0", f"redis://{HIDDEN}@h/0"),
        ("host=x password='hush hush' user=y", f"host=x password={HIDDEN} user=y"),
        ("PGPASSWORD=hush", f"PGPASSWORD={HIDDEN}"),
        ("Authorization: Token hush", f"Authorization: Token {HIDDEN}"),
        ("sent Bearer abcdefghijklmnopqrst", f"sent Bearer {HIDDEN}"),
        ("https://s3/b?X-Amz-Signature=hush&x=1", f"https://s3/b?X-Amz-Signature={HIDDEN}&x=1"),
        ("{'secret_key': 'hush', 'size': 3}", f"{{'secret_key': {HIDDEN}, 'size': 3}}"),
    ],
)
def test_secrets_are_known_by_their_form_in_any_text(text: str, shown: str) -> None:
    assert cleaned(error=text) == {"error": shown}
    assert cleaned(error=ValueError(text)) == {"error": shown}
    assert cleaned(seen=[text]) == {"seen": [shown]}
    assert cleaned(seen=Something(text)) == {"seen": shown}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://vitrine@/vitrine?host=/run",
        "unexpected token: {",
        "tokens=5 max_tokens=3",
        "Basic information is missing",
        "Token authentication failed",
        "http://127.0.0.1:8000/x@y",
        "2026-11-22T10:00:00Z",
    ],
)
def test_innocent_text_stays(text: str) -> None:
    assert cleaned(event=text) == {"event": text}


def test_contents_of_files_are_told_by_their_size() -> None:
    assert cleaned(data=b"\x89PNG", parts=[bytearray(3)]) == {"data": "4 bytes", "parts": ["3 bytes"]}


def test_a_batch_names_each_request_once_and_not_without_end() -> None:
    assert request_ids(["b", "", "a", "b"]) == ["b", "a"]
    assert len(request_ids(str(number) for number in range(2 * MOST_REQUEST_IDS))) == MOST_REQUEST_IDS


_SAYING = """
import logging, sys, structlog
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.requests import for_request
configure_logs("relay", sys.argv[1])
log = structlog.get_logger()
with for_request("r-1"):
    log.info("published", count=3, password="hush")
log.info("of a stranger", name="first\\nsecond \\x1b[2J")
log.debug("too much")
logging.getLogger("library").warning("cannot reach %s", "amqp://u:hush@h", extra={"request": "hush"})
logging.getLogger("library").info("too much")
try:
    raise ValueError("postgresql://u:hush@h")
except ValueError:
    log.exception("failed")
"""


def said(log_format: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SAYING, log_format], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, "hush" in done.stderr) == ("", False)
    return done.stderr.splitlines()


def test_every_line_in_a_container_is_json_also_those_of_libraries() -> None:
    published, stranger, library, failed = map(json.loads, said("json"))

    assert {line["service"] for line in (published, stranger, library, failed)} == {"relay"}
    assert (published["event"], published["level"], published["count"]) == ("published", "info", 3)
    assert published["request_id"] == "r-1"
    assert published["timestamp"].endswith("Z")
    assert "request_id" not in stranger
    assert (library["event"], library["logger"]) == (f"cannot reach amqp://{HIDDEN}@h", "library")
    assert (library["level"], "request" in library) == ("warning", False)
    assert failed["exception"].endswith(f"ValueError: postgresql://{HIDDEN}@h")


def test_on_a_terminal_nobody_can_forge_a_line() -> None:
    lines = said("console")

    (line,) = [line for line in lines if "of a stranger" in line]
    assert "first\N{REPLACEMENT CHARACTER}second \N{REPLACEMENT CHARACTER}[2J" in line
    assert any("cannot reach" in line for line in lines)
    assert lines[-1].startswith("ValueError")
