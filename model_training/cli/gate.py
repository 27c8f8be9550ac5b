"""The command that says whether a run may take the champion's place."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from model_training.cli.runs import NEEDS, PREPARED
from model_training.tracking import MlflowTracker, remembered_run

if TYPE_CHECKING:
    from model_training.evaluation.gate import Verdict
    from model_training.evaluation.rivals import Rival
    from model_training.training.run_folder import RunFacts


def add(commands: Any) -> None:
    """Add the parser of this command."""
    text = "say whether an evaluated run may take the champion's place"
    gate = commands.add_parser(
        "gate",
        help=text,
        description=f"{text.capitalize()}: on the pictures that it held out, it must not be surely worse. "
        "Exit code 1 if it may not; RUN/gate.json says why.",
    )
    gate.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="RUN", help="of train")
    gate.add_argument("--data", type=Path, help="prepared data of the run; left out: RUN/prepared")
    rival = gate.add_mutually_exclusive_group()
    rival.add_argument(
        "--champion",
        type=Path,
        metavar="FOLDER",
        help="version folder of the champion; left out: MLflow's champion of the model that the run is "
        "registered as, or nobody where there is none",
    )
    rival.add_argument("--against", type=Path, metavar="RUN", help="another run in the champion's place")
    rival.add_argument("--alone", action="store_true", help="compare with nobody")
    gate.add_argument(
        "--rival-data",
        type=Path,
        metavar="PREPARED",
        help="prepared data that the champion was trained on: what it learned from is left out of the "
        "comparison (for --against: its RUN/prepared, if it is there)",
    )
    gate.add_argument(
        "--most-lost", type=_share, default=0.02, help="so much less mAP is let pass (default: 0.02)"
    )
    gate.add_argument("--min-map", type=_share, help="fails if its own mAP is lower")
    gate.add_argument("--resamples", type=_positive, default=1000, help="for intervals (default: 1000)")
    gate.add_argument("--untracked", action="store_true", help="tell MLflow nothing")
    gate.add_argument("--json", action="store_true", help="one JSON object on standard output")
    gate.set_defaults(run=_gate, needs=NEEDS)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("must be within 0 and 1")
    return share


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _gate(arguments: argparse.Namespace) -> None:
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415 - each command loads its own
    from model_training.evaluation.errors import GateClosedError  # noqa: PLC0415
    from model_training.evaluation.gate import Rules, judge, tables  # noqa: PLC0415
    from model_training.evaluation.run import printed  # noqa: PLC0415
    from model_training.training.run_folder import read_run  # noqa: PLC0415

    console = Console(stderr=arguments.json)
    run = arguments.run_folder
    facts = read_run(run)
    prepared = load_prepared(arguments.data or run / PREPARED)
    rules = Rules(arguments.most_lost, arguments.min_map, arguments.resamples)
    with _rival(arguments, facts) as rival:
        verdict = judge(run, prepared, _knowing_its_data(rival, arguments), rules, console)
    if not arguments.untracked:
        _note(run, facts, verdict)
    for table in tables(verdict):
        console.print(printed(table))
    if arguments.json:
        print(json.dumps(verdict.as_dict()))  # noqa: T201 - what was asked for
    if not verdict.passes:
        raise GateClosedError(f"{run} does not pass: {'; '.join(verdict.reasons)}")
    against = "nobody to compare with" if verdict.duel is None else f"against {verdict.duel.rival}"
    console.print(
        f"[green]✓[/] {escape(str(run))} passes, {escape(against)}", highlight=False, soft_wrap=True
    )


def _knowing_its_data(rival: Rival | None, arguments: argparse.Namespace) -> Rival | None:
    """The rival with what it learned from, as far as anybody says."""
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415
    from model_training.evaluation.rivals import learned_from  # noqa: PLC0415

    folder: Path | None = arguments.rival_data
    if folder is None and arguments.against is not None and (arguments.against / PREPARED).is_dir():
        folder = arguments.against / PREPARED
    if rival is None or folder is None:
        return rival
    return replace(rival, learned=learned_from(load_prepared(folder)))


@contextmanager
def _rival(arguments: argparse.Namespace, facts: RunFacts) -> Iterator[Rival | None]:
    from model_training.evaluation.rivals import (  # noqa: PLC0415
        exported_rival,
        registered_champion,
        trained_rival,
    )

    if arguments.alone:
        yield None
    elif arguments.champion is not None:
        yield exported_rival(arguments.champion)
    elif arguments.against is not None:
        yield trained_rival(arguments.against)
    else:
        with registered_champion(facts.config.tracking.registered_model) as champion:
            yield champion


def _note(run: Path, facts: RunFacts, verdict: Verdict) -> None:
    """Tag the MLflow run, if there is one."""
    if remembered_run(run) is None:
        return
    tags = {"gate": "passed" if verdict.passes else "closed", "gate.reasons": "; ".join(verdict.reasons)}
    if verdict.duel is not None:
        gain = verdict.duel.gain
        tags["gate.rival"] = verdict.duel.rival
        tags["gate.map_gain"] = f"{gain.value:+.4f} ({gain.low:+.4f} … {gain.high:+.4f})"
    with MlflowTracker(facts.config.tracking.experiment, name="gate", folder=run, resume=True) as tracker:
        tracker.tags(tags)
