"""What is told in one sentence and not with a traceback. Imported once something failed: it takes long."""

from __future__ import annotations

from model_training.config import ConfigError
from model_training.datasets.errors import DataError
from model_training.default_model import BadExportError
from model_training.evaluation.errors import GateClosedError, RivalError
from model_training.photographs import NoPhotographsError
from model_training.registry.register import RegistrationError
from model_training.rollout.errors import RefusedError, RolloutError, SetupError
from model_training.search.run import SearchError
from model_training.search.trials import NoEpochError
from model_training.tracking import UnknownRunError
from model_training.training.checkpoints import CheckpointError
from model_training.training.loop import TrainingError
from model_training.training.run_folder import RunError
from model_training.weights import WeightsError
from pipeline.telemetry.health import CannotListenError

BAD_INPUT = (
    ConfigError,
    DataError,
    RunError,
    CheckpointError,
    WeightsError,
    RegistrationError,
    SearchError,
    UnknownRunError,
    NoPhotographsError,
    RivalError,
    SetupError,
    CannotListenError,
)
"""Exit code 2, as for a command line that is not understood: what was given has to be changed."""

FAILED = (TrainingError, NoEpochError, BadExportError, GateClosedError, RefusedError, RolloutError)
"""Exit code 1: the input is understood, and the work failed."""
