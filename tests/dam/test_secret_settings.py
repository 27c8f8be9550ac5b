"""Where a secret cannot be read, the catalogue's commands and its pages say so in a sentence, and end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dam.embedded.state import ROOT

WITHIN_S = 120
VITRINE = ("-m", "dam.cli")
PAGES = (
    *("-m", "gunicorn", "--config", "python:dam.gunicorn_conf"),
    *("--bind", "127.0.0.1:0", "dam.wsgi:application"),
)


def start(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VITRINE_") and name != "DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=kept | {"VITRINE_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )


def test_the_database_may_be_named_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"postgresql://me:hush@/nowhere?host={tmp_path}\n")
    done = start(tmp_path, *VITRINE, "search", "dog", DATABASE_URL_FILE=str(tmp_path / "url"))
    assert done.returncode == 1
    assert done.stderr.startswith("The database of DATABASE_URL_FILE cannot be reached: ")
    assert str(tmp_path) in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        ((*VITRINE, "relay"), {"VITRINE_QUEUE_PASSWORD_FILE": "/no/such"}, "QUEUE_PASSWORD_FILE cannot be"),
        ((*VITRINE, "migrate"), {"DATABASE_URL_FILE": "/dev/null"}, "DATABASE_URL_FILE names an empty file"),
        (PAGES, {"VITRINE_SECRET_KEY_FILE": "/no/such"}, "VITRINE_SECRET_KEY_FILE cannot be read"),
        (PAGES, {"VITRINE_HEALTH_PORT": "70000"}, "VITRINE_HEALTH_PORT is '70000'"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    done = start(tmp_path, *words, **environment)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_system_says_that_its_database_is_named_twice(tmp_path: Path) -> None:
    twice = {"DATABASE_URL": "postgresql://me:hush@db/", "DATABASE_URL_FILE": "/run/secrets/url"}
    done = start(tmp_path, "-m", "dam.embedded", **twice)
    assert done.returncode == 1
    assert "set DATABASE_URL or DATABASE_URL_FILE, not both" in done.stdout
    assert "hush" not in done.stdout + done.stderr
