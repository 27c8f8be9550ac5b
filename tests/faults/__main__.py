"""``python -m tests.faults``: import pictures while everything fails, and prove that nothing was lost."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.faults.run import Outcome, run
from tests.faults.tables import recovery_table, run_table
from tests.plugins.model_server import default_models


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="repeat the run of this seed (default: another one each time)"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="so many runs, with seeds from SEED on"
    )
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--outages", type=float, default=1.0, metavar="SCALE", help="shorten outages to that")
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder of a run; one that failed is kept"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    options = parser.parse_args()
    # Seeds are told and typed by people.
    first = options.seed if options.seed is not None else random.randrange(1, 10_000)
    say = partial(print, flush=True)
    outcomes: list[Outcome] = []
    for seed in range(first, first + options.seeds):
        home = Path(tempfile.mkdtemp(prefix=f"vitrine-faults-{seed}-"))
        outcome = run(
            home,
            models=default_models(),
            seed=seed,
            pictures=options.pictures,
            outage_scale=options.outages,
            tell=say,
        )
        outcomes.append(outcome)
        for complaint in outcome.complaints:
            say(f"  WRONG: {complaint}")
        if outcome.complaints:
            say(outcome.last_words)
        if outcome.complaints or options.keep:
            say(f"  kept: {home}")
        else:
            shutil.rmtree(home)
        say(f"seed {seed}: {'wrong' if outcome.complaints else 'right'} after {outcome.wall_s:.0f} s")
    tables = f"{recovery_table(outcomes)}\n\n{run_table(outcomes)}\n"
    say(f"\n{tables}")
    if options.markdown is not None:
        options.markdown.write_text(tables, encoding="utf-8")
    return os.EX_SOFTWARE if any(outcome.complaints for outcome in outcomes) else os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
