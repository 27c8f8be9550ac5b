"""``python -m model_training COMMAND``: everything that is done with models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec

from rich.console import Console

from model_training.cli import gate, models, rollout, runs

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(words: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command.

    Returns:
        0; 2 where the command line, a configuration or data has to be changed; 1 where the work failed; 130
        after Ctrl-C. Whatever else goes wrong is an error of ours and ends with a traceback.
    """
    parser = argparse.ArgumentParser(prog="python -m model_training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs.add(commands)
    gate.add(commands)
    models.add(commands)
    rollout.add(commands)
    parser.set_defaults(needs=())
    arguments = parser.parse_args(words)
    missing = [name for name in arguments.needs if find_spec(name) is None]
    if missing:
        _tell(f"training needs {', '.join(missing)}: `make train CONFIG=…` installs what is missing")
        return FAILED
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        from model_training.cli import errors  # noqa: PLC0415 - see there

        if not isinstance(error, errors.BAD_INPUT + errors.FAILED):
            raise
        _tell(str(error))
        return BAD_INPUT if isinstance(error, errors.BAD_INPUT) else FAILED
    return 0


def _tell(what: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"error: {what}", markup=False, highlight=False)
