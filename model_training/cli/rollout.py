"""Commands that put versions into service: the controller, and what people ask of it and of the catalogue."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pipeline.telemetry.health import Health, serve_health
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.stopping import stop_on_signals

if TYPE_CHECKING:
    from model_training.rollout.catalogue import Catalogue

_ONCE_WITHIN_S = 600.0
# To fetch a version out of the registry, or to send it to S3, takes minutes in which nothing else is seen.
_LONGEST_STEP_S = 900.0


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    _add_controller(commands)

    compare = _command(commands, "compare", _compare, "champion and challenger on this library")
    compare.add_argument("--json", action="store_true", help="as the catalogue says it")

    promote = _command(commands, "promote", _promote, "ask for a version to become champion")
    _version(promote)
    promote.add_argument("--registry", action="store_true", help="VERSION is its number in the registry")
    promote.add_argument("--force", action="store_true", help="also where the gate refuses")
    promote.add_argument("--reason", default="", help="why; kept with the step")
    _wait(promote)

    roll_back = _command(commands, "rollback", _roll_back, "go back to the champion before, at once")
    roll_back.add_argument("--reason", required=True, help="why; kept with the step")
    _wait(roll_back)

    status = _command(commands, "rollout", _status, "what is in service and what was done")
    status.add_argument("--json", action="store_true", help="as the catalogue says it")

    challenge = commands.add_parser("challenge", help="make a registered version the challenger")
    _version(challenge, "its number in the registry")
    challenge.add_argument("--model", help="registered model (default: $VITRINE_MODEL_NAME, or tagger)")
    challenge.set_defaults(run=_challenge, needs=("mlflow",))


def _add_controller(commands: Any) -> None:
    text = "bring into service what the registry and the catalogue ask for"
    controller = commands.add_parser("controller", help=text, description=f"{text[0].upper()}{text[1:]}.")
    controller.add_argument("--once", action="store_true", help="end when nothing is under way")
    controller.add_argument("--every", type=float, default=2.0, help="seconds between looks (default: 2)")
    controller.add_argument("--models-config", metavar="FILE|s3://…", help="$VITRINE_MODELS_CONFIG")
    controller.add_argument("--base-path", metavar="DIR|s3://…", help="$VITRINE_MODELS")
    controller.add_argument("--served-as", metavar="DIR", help="$VITRINE_SERVED_AS (default: the base path)")
    controller.add_argument("--model", help="$VITRINE_MODEL_NAME (default: tagger)")
    controller.add_argument("--model-servers", metavar="HOST:PORT,…", help="$VITRINE_MODEL_SERVERS")
    _catalogue_options(controller)
    controller.set_defaults(run=_controller, needs=("requests",))


def _command(commands: Any, name: str, run: Any, text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    _catalogue_options(parser)
    parser.set_defaults(run=run, needs=("requests",))
    return parser


def _catalogue_options(parser: Any) -> None:
    parser.add_argument("--catalogue", metavar="URL", help="$VITRINE_CATALOGUE_URL")
    parser.add_argument("--token-file", type=Path, help="$VITRINE_CATALOGUE_TOKEN_FILE")


def _version(parser: Any, text: str = "its number on the model server") -> None:
    parser.add_argument("version", type=int, metavar="VERSION", help=text)


def _wait(parser: Any) -> None:
    parser.add_argument("--wait", action="store_true", help="until the controller has done it")


# ------------------------------------------------------------------ the controller


def _controller(arguments: argparse.Namespace) -> None:
    from model_training.rollout.acts import Idle  # noqa: PLC0415 - each command loads its own
    from model_training.rollout.controller import Controller  # noqa: PLC0415
    from model_training.rollout.errors import RolloutError  # noqa: PLC0415
    from model_training.rollout.setting_up import settings_of_the_environment, surroundings  # noqa: PLC0415

    settings = settings_of_the_environment()
    stop = stop_on_signals()
    around = surroundings(
        models_config=arguments.models_config,
        base_path=arguments.base_path,
        served_as=arguments.served_as,
        model=arguments.model,
        model_servers=arguments.model_servers,
        catalogue=arguments.catalogue,
        token_file=arguments.token_file,
    )
    configure_logs("controller", settings.log_format)
    health = Health(max_silence_s=_LONGEST_STEP_S + 2 * arguments.every)
    with contextlib.closing(around), serve_health(health, settings):
        controller = Controller(around, health)
        if not arguments.once:
            controller.run(stop, every_s=arguments.every)
            return
        last = controller.settle(stop, every_s=arguments.every, within_s=_ONCE_WITHIN_S)
        if not isinstance(last, Idle) and not stop.is_set():
            raise RolloutError(f"it did not come to an end: {last}")


# ------------------------------------------------------------------ asking the catalogue


def _compare(arguments: argparse.Namespace) -> None:
    from model_training.rollout.asking import comparison  # noqa: PLC0415
    from model_training.rollout.errors import RefusedError  # noqa: PLC0415
    from model_training.rollout.telling import comparison_tables  # noqa: PLC0415

    told = comparison(_catalogue(arguments))
    if arguments.json:
        _print_json(told)
    else:
        console = Console()
        for table in comparison_tables(told):
            console.print(table)
    verdict = told["verdict"]
    if not verdict["passes"]:
        raise RefusedError("the gate refuses: " + " ".join(verdict["reasons"]))
    if not arguments.json:
        _did("the gate lets it pass")


def _promote(arguments: argparse.Namespace) -> None:
    from model_training.rollout.asking import promote  # noqa: PLC0415

    step = promote(
        _catalogue(arguments),
        arguments.version,
        in_registry=arguments.registry,
        force=arguments.force,
        reason=arguments.reason,
    )
    _follow(arguments, step, "the promotion")


def _roll_back(arguments: argparse.Namespace) -> None:
    from model_training.rollout.asking import roll_back  # noqa: PLC0415

    step = roll_back(_catalogue(arguments), arguments.reason)
    _follow(arguments, step, "the roll-back")


def _status(arguments: argparse.Namespace) -> None:
    from model_training.rollout.asking import status  # noqa: PLC0415
    from model_training.rollout.telling import status_tables  # noqa: PLC0415

    told = status(_catalogue(arguments))
    if arguments.json:
        _print_json(told)
        return
    console = Console()
    for table in status_tables(told):
        console.print(table)


def _challenge(arguments: argparse.Namespace) -> None:
    from model_training.rollout.asking import challenge  # noqa: PLC0415
    from model_training.rollout.settings import RolloutSettings  # noqa: PLC0415

    model = arguments.model or RolloutSettings().model_name
    challenge(model, arguments.version)
    _did(f"{model} version {arguments.version} is the challenger; the controller puts it into service")


def _follow(arguments: argparse.Namespace, step: dict[str, Any], what: str) -> None:
    from model_training.rollout.asking import settled  # noqa: PLC0415

    if arguments.wait:
        with Console(stderr=True).status(f"waiting for the controller with {what} …"):
            step = settled(_catalogue(arguments), step)
    _did(f"{what} is {step['state']}: step {step['id']}")


def _catalogue(arguments: argparse.Namespace) -> Catalogue:
    from model_training.rollout.setting_up import catalogue  # noqa: PLC0415

    return catalogue(arguments.catalogue, arguments.token_file)


def _print_json(told: Any) -> None:
    print(json.dumps(told, indent=1, ensure_ascii=False))  # noqa: T201 - what was asked for


def _did(line: str) -> None:
    Console(soft_wrap=True).print(f"[green]✓[/] {line}", highlight=False)
