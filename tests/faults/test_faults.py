"""The short form of the fault test; ``make faults`` is the long one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.run import run
from tests.faults.tables import recovery_table
from tests.plugins.rabbitmq import require_rabbitmq

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(900)]


def test_nothing_is_lost_and_nothing_is_twice_while_everything_fails_once(
    tmp_path: Path, model_dir: Path
) -> None:
    require_rabbitmq()
    seed = int(os.environ.get("VITRINE_FAULTS_SEED") or random.randrange(1, 10_000))
    # Batches of four, so that a few pictures are many batches; a cut connection is noticed in seconds.
    outcome = run(
        tmp_path,
        models=model_dir,
        seed=seed,
        pictures=72,
        outage_scale=0.2,
        overlap=0.8,
        heartbeat_s=3,
        VITRINE_BATCH_SIZE="4",
    )
    print(recovery_table([outcome]))
    assert outcome.complaints == [], f"VITRINE_FAULTS_SEED={seed}\n{outcome.last_words}"
    assert len(outcome.recoveries) == len(FAULTS)
