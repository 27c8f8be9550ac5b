"""Airflow in its own environment, with a metadata database of the session, and commands for it to run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dam.embedded.state import ROOT

DAGS = ROOT / "airflow" / "dags"
_ENVIRONMENT = ROOT / ".venv-airflow"
_WITHIN_S = 600


@dataclass(frozen=True)
class Run:
    """How a run of a DAG ended, as ``airflow dags test`` tells it."""

    code: int
    log: str

    def commands(self) -> list[str]:
        """What the tasks ran in a shell, in their order."""
        found = re.findall(r"Running command: (\[.*\]) +\[airflow", self.log)
        return [ast.literal_eval(words)[-1] for words in found]


@dataclass(frozen=True)
class Airflow:
    """The command ``airflow`` on a home of its own."""

    home: Path
    runs: Path
    """``VITRINE_RUNS`` of the tasks."""

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Of whatever runs: nothing of the tests' own database or home, unless it is named."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "DATABASE_URL" and not name.startswith(("AIRFLOW", "PYTEST_", "DJANGO_", "VITRINE_"))
        }
        return {
            **kept,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "PYTHONDONTWRITEBYTECODE": "1",
            "VITRINE_DEADLINES": "off",
            "VITRINE_RUNS": str(self.runs),
            **more,
        }

    def call(
        self, *words: str, program: str = "airflow", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs."""
        return subprocess.run(
            [str(_ENVIRONMENT / "bin" / program), *words],
            cwd=self.home,
            env=self.environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )

    def run(self, dag: str, params: Mapping[str, Any], **environment: str) -> Run:
        """``airflow dags test``: all tasks of a run, one after the other."""
        done = self.call("dags", "test", dag, "--conf", json.dumps(params), **environment)
        return Run(done.returncode, done.stdout)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Airflow. Without its environment the test is skipped, or fails where REQUIRE_SERVICES asks for it."""
    if not (_ENVIRONMENT / ".ready").exists():
        reason = "Airflow's environment is not installed: make airflow"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("airflow")
    made = Airflow(folder / "home", folder / "runs")
    made.home.mkdir()
    migrated = made.call("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout
    return made


def write_program(path: Path, lines: Sequence[str]) -> str:
    """Write a shell script that can be executed; returns its path."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def vitrine_program(path: Path) -> str:
    """The command ``vitrine`` of this environment, as ``VITRINE_BIN`` names it."""
    return write_program(path, [f'cd "{ROOT}" && exec "{sys.executable}" -m dam.cli "$@"'])
