"""Copy into the chart what it ships of ``deploy/monitoring``: ``python deploy/k8s/sync.py [--check]``.

A chart reads no file outside its own folder, and there is one source of the rules and the dashboards. So
``chart/files/`` holds copies: change them where they come from and run this again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_MONITORING = _HERE.parent / "monitoring"
FILES = _HERE / "chart" / "files"

# The folder in chart/files, and what lies in it.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "rules": ("prometheus/rules/*.yml",),
    "dashboards": ("grafana/dashboards/*.json",),
    "tensorflow-serving": ("tensorflow-serving/monitoring.config",),
}


def main() -> int:
    """Returns 1 if ``--check`` finds something stale, else 0."""
    parser = argparse.ArgumentParser(description="Copy rules and dashboards into the chart.")
    parser.add_argument("--check", action="store_true", help="change nothing, say what is stale")
    asked = parser.parse_args()
    wanted = _wanted()
    stale = [path for path, content in wanted.items() if not path.is_file() or path.read_bytes() != content]
    left_over = [path for path in _there() if path not in wanted]
    for path in (*stale, *left_over):
        sys.stdout.write(f"{'stale' if asked.check else 'updated'}: {path.relative_to(_HERE)}\n")
    if asked.check:
        if stale or left_over:
            sys.stdout.write("Run: python deploy/k8s/sync.py\n")
        return int(bool(stale or left_over))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path])
    for path in left_over:
        path.unlink()
    return 0


def _wanted() -> dict[Path, bytes]:
    return {
        FILES / folder / source.name: source.read_bytes()
        for folder, patterns in SOURCES.items()
        for pattern in patterns
        for source in sorted(_MONITORING.glob(pattern))
    }


def _there() -> list[Path]:
    """Files in the folders that are all copies; what else the chart keeps in files/ is not ours."""
    return sorted(path for folder in SOURCES for path in (FILES / folder).glob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
