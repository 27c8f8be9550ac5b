"""Write the dashboards: ``python deploy/monitoring/grafana/build.py [--to FOLDER] [--docs URL]``.

The JSON in ``dashboards/`` is what this writes; change ``boards/`` and run it again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from boards import BOARDS
from layout import PLACEHOLDER_DOCS

_HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write one file for each dashboard."""
    parser = argparse.ArgumentParser(description="Write the dashboards as Grafana reads them.")
    parser.add_argument("--to", type=Path, default=_HERE / "dashboards", help="folder (default: dashboards/)")
    parser.add_argument(
        "--docs",
        default=PLACEHOLDER_DOCS,
        help="goes before docs/runbook.md in links to the runbook; ends with a slash",
    )
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        text = json.dumps(board.json(asked.docs), indent=2, ensure_ascii=False)
        (asked.to / f"{board.uid}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
