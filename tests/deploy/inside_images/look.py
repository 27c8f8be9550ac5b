"""Runs in a container of an image: what a process sees of it, as JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

LIBRARY = Path("/opt/vitrine/lib")
# By PEP 552: 1 is a hash of the source that is never looked at.
NEVER_COMPARED = 1
PROGRAMS = ("pip", "pip3", "cc", "gcc", "g++", "ld", "make", "git", "curl")


def flags(source: Path) -> int | None:
    compiled = Path(cache_from_source(str(source)))
    return int.from_bytes(compiled.read_bytes()[4:8], "little") if compiled.exists() else None


def can_write(folder: str) -> bool:
    try:
        (Path(folder) / "written").touch()
    except OSError:
        return False
    return True


def of(names: str) -> list[str]:
    return [name for name in names.split() if find_spec(name)]


sources = list(LIBRARY.rglob("*.py"))
print(
    json.dumps(
        {
            "ids": [os.getuid(), os.getgid(), os.getgroups()],
            "home": os.path.expanduser("~"),  # noqa: PTH111 - as programs ask for it
            "prefix": sys.prefix,
            "writable": [one for one in ("/", "/opt/vitrine", "/tmp", "/var/lib/vitrine") if can_write(one)],
            "sources": len(sources),
            "to be compiled": [str(path) for path in sources if flags(path) != NEVER_COMPARED],
            "of the library to be compiled": [
                one for one in (json.__file__, os.__file__) if flags(Path(one)) is None
            ],
            "tests": [str(path) for path in LIBRARY.rglob("numpy/**/tests")],
            "installers": of("pip setuptools ensurepip"),
            "ours": of("dam model_training pipeline workers"),
            "heavy": of("django tensorflow mlflow cv2 IPython"),
            "programs": [
                one
                for one in ["pip", "pip3", "cc", "gcc", "g++", "ld", "make", "git", "curl"]
                if shutil.which(one)
            ],
        }
    )
)
