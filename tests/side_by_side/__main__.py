"""``python -m tests.side_by_side``: the whole suite in two processes at the same time."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

from tests.side_by_side.halves import in_halves, read_seconds, suite, write_seconds
from tests.side_by_side.report import read_report, together
from tests.side_by_side.run import side_by_side

_ROOT = Path(__file__).resolve().parents[2]
_WORK = _ROOT / "build" / "tests"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.side_by_side", description=__doc__)
    parser.add_argument(
        "--weigh", action="store_true", help="run nothing; write down what each file took in the last run"
    )
    options = parser.parse_args()
    tell = partial(print, flush=True)
    if options.weigh:
        write_seconds(together(read_report(path) for path in _WORK.glob("*.xml")).seconds)
        return 0
    # Whatever wants this process to end ends the runs as Ctrl-C does; make in the background ignores that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    files = suite(_ROOT)
    runs = dict(zip(("first", "second"), in_halves(files, read_seconds()), strict=True))
    if "DATABASE_URL" in os.environ:
        tell("One after the other: the server of DATABASE_URL is one, and tests look at all that it does.")
        runs = {"only": files}
    return side_by_side(runs, root=_ROOT, work=_WORK, tell=tell)


if __name__ == "__main__":
    sys.exit(main())
