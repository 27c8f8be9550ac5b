"""The commands, as a person or a script calls them."""

from __future__ import annotations

import io
import json
from pathlib import Path

from django.core.management import call_command
from PIL import Image


def run(*words: str, code: int = 0) -> str:
    """What a command prints; it ends with that exit code."""
    out = io.StringIO()
    ended: str | int | None = 0
    try:
        call_command(*words, stdout=out)
    except SystemExit as ending:
        ended = ending.code
    assert ended == code
    return out.getvalue()


def run_json(*words: str, code: int = 0):
    return json.loads(run(*words, "--json", code=code))


def paint(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), (number % 256, number // 256, 7)).save(path)
    return path
