"""The programs of ``make deploy-tools`` for tests: helm, kubectl, checkov and their kin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_PROGRAMS = Path(__file__).resolve().parents[2] / ".venv-deploy" / "bin"


@pytest.fixture(scope="session")
def deploy_tool() -> Callable[[str], str]:
    """Path of a program. Without it the test is skipped, or fails where REQUIRE_SERVICES asks for it."""

    def find(name: str) -> str:
        found = shutil.which(name, path=str(_PROGRAMS))
        if found is None:
            reason = f"{name} is not installed: make deploy-tools"
            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return found

    return find
