"""``vitrine --version``: ours, also where nothing is set up."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


@pytest.mark.parametrize("word", ["--version", "version"])
def test_it_says_vitrine_s_version_and_reads_no_settings(word: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "dam.cli", word],
        env={"DATABASE_URL": "no address", "VITRINE_MAX_PIXELS": "many"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["vitrine", tomllib.loads(_PROJECT.read_text())["project"]["version"]]
