"""The command line of the mirror."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from model_training.mirror.errors import SetupError
from model_training.mirror.process import run
from model_training.mirror.settings import MirrorSettings
from pipeline.telemetry.health import CannotListenError


def main() -> int:
    """Run until SIGTERM, or with ``--once`` until everything is there.

    Returns:
        0; 2 where the command line or a variable has to be changed; 143 where ``--once`` was ended too early.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_training.mirror",
        description="Bring the versions that models.config names to a folder that a model server reads.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="DIR|s3://…",
        help="where models.config and a folder for each model lie ($VITRINE_MIRROR_FROM)",
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="gets the same ($VITRINE_MIRROR_TO)")
    parser.add_argument("--once", action="store_true", help="end when everything is there")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between looks (default: 5)")
    arguments = parser.parse_args()
    try:
        settings = MirrorSettings()
        source, to = arguments.source or settings.mirror_from, arguments.to or settings.mirror_to
        if source is None or to is None:
            parser.error("--from and --to, or VITRINE_MIRROR_FROM and VITRINE_MIRROR_TO, have to be given")
        return run(source, to, settings, once=arguments.once, every_s=arguments.every)
    except (SetupError, CannotListenError, ValidationError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
