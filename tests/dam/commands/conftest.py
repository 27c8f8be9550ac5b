"""An administrator, and a folder as people have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.dam.commands.calling import paint
from tests.dam.factories import StaffFactory


@pytest.fixture
def admin():
    return StaffFactory(username="root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in two folders, two of them equal; a text, an empty file; hidden things, a circle."""
    root = tmp_path / "photos"
    paint(root / "a.png", 1)
    paint(root / "trip" / "b.png", 2)
    paint(root / "trip" / "same as a.png", 1)
    (root / "notes.txt").write_text("not a picture")
    (root / "empty.jpg").write_bytes(b"")
    paint(root / ".hidden" / "c.png", 3)
    paint(root / ".d.png", 4)
    (root / "trip" / "circle").symlink_to(root, target_is_directory=True)
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "itself.jpg").symlink_to(root / "itself.jpg")
    os.mkfifo(root / "pipe")
    return root
