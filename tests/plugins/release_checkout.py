"""A copy of the files that name Vitrine's version, for releases that nobody sees."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = ROOT / "deploy" / "release" / "release.py"
IMAGES = ("catalogue", "worker", "training")
NAMING = (
    "pyproject.toml",
    "dam/settings.py",
    "deploy/k8s/examples/restore.yaml",
    "docker/compose.yaml",
    "docker/compose.local.yaml",
    *(f"docker/{name}.Dockerfile" for name in IMAGES),
)
NOTES = "### Added\n\n- A button.\n\n### Fixed\n\n- Another button."
CHANGELOG = (
    f"# Changelog\n\nThe form.\n\n## [Unreleased]\n\n{NOTES}\n\n## [0.0.9] - 2026-01-02\n\n- The first one.\n"
)


@dataclass(frozen=True)
class Checkout:
    """A copy of the files that name the version."""

    root: Path

    def release(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(_SCRIPT), "--root", str(self.root), *words],
            check=False,
            text=True,
            capture_output=True,
            timeout=240,
        )

    @property
    def changelog(self) -> Path:
        return self.root / "CHANGELOG.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with something to release."""
    root = tmp_path / "checkout"
    for name in NAMING:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "deploy" / "k8s" / "chart", root / "deploy" / "k8s" / "chart")
    (root / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    return Checkout(root)


@pytest.fixture
def released(checkout: Checkout) -> Checkout:
    """A checkout of version 7.8.9."""
    done = checkout.release("version", "7.8.9", "--date", "2026-12-24")
    assert done.returncode == 0, done.stderr
    return checkout
