"""Code of earlier commits, taken out of the history into folders of their own, and what runs there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from dam.embedded.state import ROOT

_COMMAND_WITHIN_S = 300
_FOREIGN = ("VITRINE_", "DJANGO_", "PYTEST_", "DATABASE_URL", "PYTHONPATH")


@dataclass(frozen=True)
class Earlier:
    """A commit whose code still runs with the dependencies of today, and what its tables are."""

    name: str
    commit: str
    """All forty digits: a short name may come to mean two."""
    newest: Mapping[str, str]
    """App → its newest migration there."""


FIRST = Earlier(
    "first",
    "67055953dc2a5dc0b1ee195d71b5dcf204b03707",
    {"assets": "0001_initial", "jobs": "0001_initial", "tagging": "0001_initial"},
)
"""The first tables that were never changed in place: no source files, no dead letters."""

BEFORE_ROLLOUT = Earlier(
    "before-rollout",
    "4e894b408fc8ee19ac624a5649b685ef9dc9ecf4",
    {
        "assets": "0002_source_files",
        "jobs": "0002_dead_letters",
        "tagging": "0002_claims_check_their_model_once",
    },
)
"""One model version and nothing to undo; pages without a port of their own for health."""

BEFORE_TRACES = Earlier(
    "before-traces",
    "80e308f805b1a7bd217c1b96eb79f26a186911c6",
    {
        "assets": "0002_source_files",
        "jobs": "0003_routing",
        "rollout": "0001_initial",
        "tagging": "0003_versions_withdrawn",
    },
)
"""Rollouts, and no trace in a job."""

BEFORE_CLOUD = Earlier(
    "before-cloud",
    "5837f7312289d9ec5186a5785fe86a99df1bace0",
    {
        "assets": "0002_source_files",
        "jobs": "0005_failed_jobs",
        "rollout": "0001_initial",
        "tagging": "0003_versions_withdrawn",
    },
)
"""Images and chart, and nothing that checks what lies in the blob store."""

FROM = "VITRINE_UPGRADE_FROM"
"""Variable with the name of another of them to begin with."""
ALL = {earlier.name: earlier for earlier in (FIRST, BEFORE_ROLLOUT, BEFORE_TRACES, BEFORE_CLOUD)}


def take_out(earlier: Earlier, folder: Path) -> Path:
    """The tree of that commit, in that folder; the test is skipped where there is no such history."""
    found = subprocess.run(
        ["git", "archive", "--format=tar", earlier.commit, "dam", "pipeline", "workers"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if found.returncode != 0:
        # A source archive, or a shallow clone: nothing is wrong with it.
        pytest.skip(f"no commit {earlier.commit} here: {found.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def environment(tree: Path, home: Path, database_url: str) -> dict[str, str]:
    """Of processes that run the code in that tree, which goes before the installed one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"PYTHONPATH": str(tree), "VITRINE_HOME": str(home), "DATABASE_URL": database_url}


def run(tree: Path, env: Mapping[str, str], *words: str) -> str:
    """What a program of that tree prints; it has to end well.

    Args:
        tree: its working folder.
        env: its whole environment.
        words: of the interpreter's command line.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words],
        cwd=tree,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=_COMMAND_WITHIN_S,
    )
    assert done.returncode == 0, f"{' '.join(words)} in {tree}: {done.stdout}{done.stderr}"
    return done.stdout
