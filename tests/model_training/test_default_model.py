from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from model_training.default_model import build_default, is_complete
from tests.plugins.processes import stopped, wait_for


def _build(folder: Path) -> str:
    said = io.StringIO()
    build_default(folder, console=Console(file=said, width=200))
    return said.getvalue()


def test_building_again_changes_nothing(version_dir: Path, model_dir: Path) -> None:
    before = (version_dir / "saved_model.pb").stat()
    said = _build(model_dir)
    after = (version_dir / "saved_model.pb").stat()
    assert "is there" in said
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_folder_without_its_extras_is_not_complete(version_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(version_dir, tmp_path / "1")
    assert is_complete(copy)
    (copy / "assets.extra" / "model.json").unlink()
    assert not is_complete(copy)


def test_a_build_that_is_killed_leaves_no_version_and_the_next_one_succeeds(tmp_path: Path) -> None:
    base = tmp_path / "tagger"
    command = [sys.executable, "-m", "model_training", "build-default", "--to", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with stopped(process):
        wait_for(lambda: any(base.glob(".1-*/model")), 240, "the build to begin writing")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (base / "1").exists()
    (abandoned,) = base.glob(".1-*")
    os.utime(abandoned, (0, 0))

    (base / "1").mkdir()  # as if somebody had copied half of it
    said = _build(tmp_path)
    assert "is ready" in said
    assert is_complete(base / "1")
    assert [path.name for path in base.iterdir()] == ["1"]
