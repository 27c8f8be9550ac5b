"""Commands from labelled pictures to a registered version. Each says with ``--dry-run`` what it would do."""

from __future__ import annotations

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from model_training.config import Config, ConfigError, load_config, with_decisions
from model_training.tracking import MlflowTracker, NoTracker, Tracker

if TYPE_CHECKING:
    from model_training.datasets.prepared import Prepared

PREPARED = "prepared"
"""Where data is prepared when no folder is named: inside the run."""

# Of the extra `train`. The running system serves models and has none of them.
NEEDS = ("jinja2", "matplotlib", "mlflow", "nbclient", "nbformat", "optuna", "sklearn")


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    prepare = _command(commands, "prepare", _prepare, "read, check and split labelled pictures")
    _config(prepare)
    prepare.add_argument("--to", type=Path, required=True, help="folder of the prepared data")

    train = _command(commands, "train", _train, "train a network")
    _config(train)
    train.add_argument("--data", type=Path, help="prepared data; left out: prepare it in RUN/prepared")
    train.add_argument("--to", type=Path, required=True, metavar="RUN", help="folder of the run")
    train.add_argument("--resume", action="store_true", help="go on after the last finished epoch in RUN")
    _untracked(train)

    search = _command(commands, "search", _search, "try hyperparameters and keep the best")
    _config(search)
    search.add_argument("--data", type=Path, help="prepared data; left out: prepare it in DIR/prepared")
    search.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the search; goes on with what is there",
    )
    search.add_argument("--jobs", type=_positive, default=1, help="trials at a time (default: 1)")
    _untracked(search)

    evaluate = _command(commands, "evaluate", _evaluate, "calibrate a trained network and measure it")
    _run(evaluate)
    evaluate.add_argument("--data", type=Path, help="prepared data; left out: RUN/prepared")
    evaluate.add_argument(
        "--folds", type=_positive, help="cross-validate over so many parts; left out: on what is held out"
    )
    _untracked(evaluate)

    compare = _command(commands, "compare-runs", _compare, "compare two evaluated runs, paired, by source")
    _run(compare)
    compare.add_argument("--with", dest="other", type=Path, required=True, metavar="RUN", help="the other")
    compare.add_argument("--label", action="append", default=[], help="a table for this label; repeatable")
    compare.add_argument("--resamples", type=_positive, default=1000, help="for intervals (default: 1000)")

    export = _command(commands, "export", _export, "write a trained network as a version that can be served")
    _run(export)
    export.add_argument("--to", type=Path, required=True, metavar="MODELS", help="folder of models")
    export.add_argument("--version", type=_positive, help="its number; left out: the next one")
    _once(export, "a version of that --version that is there already stays as it is")

    register = _command(commands, "register", _register, "register an exported version in MLflow")
    _run(register)
    register.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="the version folder")
    register.add_argument("--json", action="store_true", help="one JSON object on standard output")
    register.add_argument("--challenge", action="store_true", help="and make it the challenger (rollout)")
    _once(register, "a version with the same content that is registered already is the answer")

    build = _command(commands, "build", _build, "prepare, train, evaluate, export and register in one go")
    _config(build)
    build.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="RUN",
        help="folder of the run, with the data in RUN/prepared",
    )
    build.add_argument("--models", type=Path, help="folder of models; left out: RUN/models")
    build.add_argument("--version", type=_positive, help="number of the version; left out: the next one")
    build.add_argument(
        "--folds", type=_positive, help="cross-validate over so many parts; left out: on what is held out"
    )
    build.add_argument("--resume", action="store_true", help="go on after the last finished epoch in RUN")


def _command(commands: Any, name: str, run: Any, text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("--dry-run", action="store_true", help="check the input, say what would be done")
    parser.set_defaults(run=run, needs=NEEDS)
    return parser


def _config(parser: Any) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="configuration of the run")
    parser.add_argument(
        "--decisions",
        type=Path,
        metavar="FOLDER",
        help="of `vitrine export_claims`: in place of the source of that kind, or beside the others",
    )


def _once(parser: Any, what: str) -> None:
    parser.add_argument("--once", action="store_true", help=f"done before counts as done: {what}")


def _run(parser: Any) -> None:
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="RUN", help="of train")


def _untracked(parser: Any) -> None:
    parser.add_argument("--untracked", action="store_true", help="tell MLflow nothing")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


# ------------------------------------------------------------------ the commands


def _prepare(arguments: argparse.Namespace) -> None:
    config = _configured(arguments)
    if arguments.dry_run:
        _would(*_checked(config, None), f"would prepare this in {arguments.to}")
        return
    _prepared(config, None, arguments.to)


def _train(arguments: argparse.Namespace) -> None:
    config, run = _configured(arguments), arguments.to
    if arguments.dry_run:
        _would(*_checked(config, arguments.data), f"would train into {run}")
        return
    prepared = _prepared(config, arguments.data, run / PREPARED)
    with _tracker(config, run, resume=arguments.resume, tracked=not arguments.untracked) as tracker:
        _trained(config, prepared, run, tracker, resume=arguments.resume)


def _search(arguments: argparse.Namespace) -> None:
    from model_training.search.run import search  # noqa: PLC0415 - each command loads its own
    from model_training.search.space import read_space  # noqa: PLC0415

    config, to = _configured(arguments), arguments.to
    space = read_space(config)
    if arguments.dry_run:
        tried = (f"{name}: {', '.join(map(str, wanted.extremes()))}" for name, wanted in space.items())
        trials = f"would make {config.search.trials} trials in {to}, {arguments.jobs} at a time"
        _would(*_checked(config, arguments.data), "would try", *tried, trials)
        return
    prepared = _prepared(config, arguments.data, to / PREPARED)
    tracked = not arguments.untracked
    found = search(config, prepared.folder, to, Console(), jobs=arguments.jobs, tracked=tracked)
    trials = f"{found.complete} trials, {found.pruned} more ended early"
    _did(f"{found.config}: validation mAP {found.value:.4f} ({trials})")


def _evaluate(arguments: argparse.Namespace) -> None:
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415
    from model_training.evaluation.cross_validation import check_folds  # noqa: PLC0415
    from model_training.evaluation.held_out import check_fits  # noqa: PLC0415
    from model_training.evaluation.run import evaluate  # noqa: PLC0415
    from model_training.training.run_folder import read_run  # noqa: PLC0415

    run = arguments.run_folder
    config = read_run(run).config
    prepared = load_prepared(arguments.data or run / PREPARED)
    folds = arguments.folds
    if arguments.dry_run:
        check_fits(run, prepared, held_out=folds is None)
        if folds is not None:
            check_folds(config, folds)
            _would(f"would fit {folds} heads and measure on {len(prepared.examples)} pictures")
            return
        counts = {split: len(prepared.rows(split)) for split in ("validation", "test")}
        _would("would calibrate on {validation} pictures and measure on {test}".format(**counts))
        return
    with _tracker(config, run, resume=True, tracked=not arguments.untracked) as tracker:
        evaluate(run, prepared, tracker, Console(), folds=folds)


def _compare(arguments: argparse.Namespace) -> None:
    from model_training.evaluation.comparison import compare  # noqa: PLC0415
    from model_training.evaluation.run import printed  # noqa: PLC0415

    console = Console()
    run, other, labels = arguments.run_folder, arguments.other, arguments.label
    if arguments.dry_run:
        _would(f"would compare {run} with {other} on the pictures that both were measured on")
        return
    for table in compare(run, other, labels, resamples=arguments.resamples):
        console.print(printed(table))


def _export(arguments: argparse.Namespace) -> None:
    from model_training.training.export import check_run, export_run, version_folder  # noqa: PLC0415
    from model_training.training.run_folder import read_run  # noqa: PLC0415

    run, to, version = arguments.run_folder, arguments.to, arguments.version
    if arguments.once and version is None:
        raise ConfigError("--once needs --version: without a number every export is another version")
    if arguments.once:
        # It appears by one rename when everything is in it, so what is there is whole.
        folder = to / read_run(run).config.tracking.registered_model / str(version)
        if folder.is_dir():
            _did(f"{folder} is there already")
            return
    if arguments.dry_run:
        facts = check_run(run)
        folder = version_folder(facts, to, version)
        _would(f"would export {facts.config.name} with {len(facts.labels)} labels to {folder}")
        return
    export_run(run, to, Console(), version=version)


def _register(arguments: argparse.Namespace) -> None:
    from model_training.registry.register import (  # noqa: PLC0415
        read_registration,
        register,
        registered_already,
    )

    registration = read_registration(arguments.run_folder, arguments.model)
    name = registration.config.tracking.registered_model
    if arguments.dry_run:
        tags = (f"{tag}: {value}" for tag, value in registration.tags.items())
        _would(f"would register a version of {name}", *tags)
        return
    made = registered_already(registration) if arguments.once else None
    if made is None:
        made = register(registration, Console(stderr=arguments.json))
    if arguments.challenge:
        from model_training.rollout.asking import challenge  # noqa: PLC0415

        challenge(made.name, made.version)
    if arguments.json:
        print(json.dumps(asdict(made)))  # noqa: T201 - what was asked for
    else:
        _did(f"{made.name} version {made.version}: {made.uri}")


def _build(arguments: argparse.Namespace) -> None:
    from model_training.evaluation.run import evaluate  # noqa: PLC0415
    from model_training.registry.register import read_registration, register  # noqa: PLC0415
    from model_training.training.export import export_run  # noqa: PLC0415

    config, run, folds = _configured(arguments), arguments.to, arguments.folds
    models = arguments.models or run / "models"
    _check_measured(config, folds)
    if arguments.dry_run:
        name = config.tracking.registered_model
        _would(
            *_checked(config, None),
            f"would train into {run}, export to {models} and register a version of {name}",
        )
        return
    prepared = _prepared(config, None, run / PREPARED)
    with _tracker(config, run, resume=arguments.resume, tracked=True) as tracker:
        _trained(config, prepared, run, tracker, resume=arguments.resume)
        evaluate(run, prepared, tracker, Console(), folds=folds)
    version = export_run(run, models, Console(), version=arguments.version)
    made = register(read_registration(run, version), Console())
    _did(f"{made.name} version {made.version}: {made.uri}")


def _check_measured(config: Config, folds: int | None) -> None:
    """Refuse at once what would be found out when everything is trained."""
    from model_training.evaluation.cross_validation import check_folds  # noqa: PLC0415

    split = config.data.split
    if folds is not None:
        check_folds(config, folds)
    elif not (split.validation and split.test):
        raise ConfigError(
            "data.split holds no pictures out to calibrate and to measure: raise its shares, or measure by "
            "cross-validation (--folds)"
        )


# ------------------------------------------------------------------ what several of them do


def _configured(arguments: argparse.Namespace) -> Config:
    """The configuration, with the decisions that the command line names."""
    config = load_config(arguments.config)
    return config if arguments.decisions is None else with_decisions(config, arguments.decisions.absolute())


def _prepared(config: Config, data: Path | None, to: Path) -> Prepared:
    """The data in ``data``; or, where that is None, prepared in ``to``."""
    from model_training.datasets.prepare import prepare  # noqa: PLC0415
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415

    return prepare(config, to, Console()) if data is None else load_prepared(data)


def _checked(config: Config, data: Path | None) -> list[str]:
    """Looks at all that a training would read, and says what it would do. Nothing is written."""
    from model_training.datasets.prepare import try_prepare  # noqa: PLC0415
    from model_training.datasets.prepared import load_prepared  # noqa: PLC0415
    from model_training.training.run import plan  # noqa: PLC0415

    if data is None:
        try_prepare(config, Console())
        return []
    return plan(config, load_prepared(data))


def _trained(config: Config, prepared: Prepared, run: Path, tracker: Tracker, *, resume: bool) -> None:
    from model_training.training.run import train  # noqa: PLC0415

    train(config, prepared, run, tracker, Console(), resume=resume)


def _tracker(config: Config, run: Path, *, resume: bool, tracked: bool) -> AbstractContextManager[Tracker]:
    from model_training.training.devices import is_chief  # noqa: PLC0415

    # Of several workers one speaks for the run.
    if not tracked or not is_chief(config.training):
        return nullcontext(NoTracker())
    return MlflowTracker(config.tracking.experiment, name=config.name, folder=run, resume=resume)


def _would(*lines: str) -> None:
    console = Console(soft_wrap=True)
    for line in lines:
        console.print(line, markup=False, highlight=False)
    console.print("[yellow]dry run[/]: nothing was written")


def _did(line: str) -> None:
    Console(soft_wrap=True).print(f"[green]✓[/] {escape(line)}", highlight=False)
