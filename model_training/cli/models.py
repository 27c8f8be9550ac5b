"""Commands on finished models: the default one, its measures, and serving."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from pipeline.ports import DependencyDownError
from pipeline.telemetry.settings import ProcessSettings


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    build = commands.add_parser("build-default", help="build the default model from the installed weights")
    build.add_argument(
        "--to", type=Path, required=True, help="folder of models; gets tagger/1, or the next one"
    )
    build.set_defaults(run=_build_default)

    text = "publish the default model where no version is, and name it in models.config"
    publish = commands.add_parser("publish-default", help=text, description=f"{text[0].upper()}{text[1:]}.")
    publish.add_argument("--base-path", metavar="DIR|s3://…", help="$VITRINE_MODELS")
    publish.add_argument("--models-config", metavar="FILE|s3://…", help="$VITRINE_MODELS_CONFIG")
    publish.add_argument("--served-as", metavar="DIR", help="$VITRINE_SERVED_AS (default: the base path)")
    publish.add_argument("--model", help="$VITRINE_MODEL_NAME (default: tagger)")
    publish.set_defaults(run=_publish_default)

    serve = commands.add_parser("serve", help="serve models as TensorFlow Serving does (a stand-in)")
    serve.add_argument("--base-path", type=Path, help="folder of version folders of one model")
    serve.add_argument(
        "--models-config",
        type=Path,
        help="models.config in TensorFlow Serving's format; with --base-path it is made if it is not there",
    )
    serve.add_argument("--model-name", default="tagger", help="name of the model at --base-path")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--grpc-port", type=int, default=8500, help="0: any free one")
    serve.add_argument("--rest-port", type=int, default=8501, help="0: any free one")
    serve.add_argument("--poll-s", type=float, default=1.0, help="seconds between looks for new versions")
    serve.add_argument("--intra-op-threads", type=int, default=0, help="0: one per core")
    serve.add_argument("--inter-op-threads", type=int, default=0, help="0: one per core")
    serve.add_argument("--ready-file", type=Path, help="gets the ports as JSON when every model answers")
    serve.set_defaults(run=_serve, usage=serve.error)

    fit = commands.add_parser("fit-projection", help="fit the projection on photographs, report its loss")
    fit.add_argument("--to", type=Path, help="folder for the file; left out: only measure the shipped one")
    fit.set_defaults(run=_fit_projection)

    take = commands.add_parser("take-heads", help="take the heads of the default model out of a run")
    take.add_argument("--run", type=Path, required=True, dest="run_folder", help="trained and evaluated")
    take.add_argument("--to", type=Path, required=True, help="folder for the file")
    take.set_defaults(run=_take_heads)

    measure = commands.add_parser("measure-tags", help="precision and recall of tags on photographs")
    measure.add_argument("--model", type=Path, required=True, help="version folder of a model")
    measure.set_defaults(run=_measure_tags)


def _build_default(arguments: argparse.Namespace) -> None:
    from model_training.default_model import build_default  # noqa: PLC0415 - each command loads its own

    build_default(arguments.to, console=Console())


def _publish_default(arguments: argparse.Namespace) -> None:
    from model_training.publish_default import publish_default  # noqa: PLC0415
    from model_training.rollout.errors import RolloutError  # noqa: PLC0415
    from model_training.rollout.models_config import ModelsConfigError  # noqa: PLC0415
    from model_training.rollout.setting_up import model_place  # noqa: PLC0415

    place = model_place(
        base_path=arguments.base_path,
        models_config=arguments.models_config,
        served_as=arguments.served_as,
        model=arguments.model,
    )
    console = Console()
    try:
        publish_default(
            place.path, place.config, model=place.model, served_as=place.served_as, console=console
        )
    except (DependencyDownError, ModelsConfigError, OSError) as error:
        raise RolloutError(str(error)) from error


def _fit_projection(arguments: argparse.Namespace) -> None:
    from model_training.projection.fit import fit_projection  # noqa: PLC0415

    fit_projection(arguments.to, Console(width=100))


def _take_heads(arguments: argparse.Namespace) -> None:
    from model_training.default_head.take import take_heads  # noqa: PLC0415

    Console(soft_wrap=True).print(f"[green]✓[/] {take_heads(arguments.run_folder, arguments.to)}")


def _measure_tags(arguments: argparse.Namespace) -> None:
    from model_training.tag_measures import measure_tags  # noqa: PLC0415

    measure_tags(arguments.model, Console(width=110))


def _serve(arguments: argparse.Namespace) -> None:
    from model_training.local_server.app import run  # noqa: PLC0415
    from model_training.local_server.config import ConfigError  # noqa: PLC0415
    from model_training.local_server.errors import PortTakenError  # noqa: PLC0415
    from model_training.local_server.options import Options  # noqa: PLC0415
    from pipeline.telemetry.health import CannotListenError  # noqa: PLC0415

    if arguments.base_path is None and arguments.models_config is None:
        arguments.usage("one of --base-path and --models-config is needed")
    options = Options(
        base_path=arguments.base_path,
        model_name=arguments.model_name,
        models_config=arguments.models_config,
        host=arguments.host,
        grpc_port=arguments.grpc_port,
        rest_port=arguments.rest_port,
        poll_s=arguments.poll_s,
        intra_op_threads=arguments.intra_op_threads,
        inter_op_threads=arguments.inter_op_threads,
        ready_file=arguments.ready_file,
    )
    try:
        run(options, ProcessSettings())
    except (ConfigError, PortTakenError, CannotListenError, ValidationError) as error:
        sys.exit(f"error: {error}")
