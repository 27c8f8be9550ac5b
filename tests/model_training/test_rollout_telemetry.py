"""What the controller tells of itself, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.plugins.model_server import REPOSITORY
from tests.plugins.ports import free_ports
from tests.plugins.processes import asked, stopped, wait_for
from tests.plugins.rollout_catalogue import rollout_catalogue

_WITHIN_S = 120


def test_the_controller_tells_what_it_did_and_what_it_waits_for(local_mlflow: Path, tmp_path: Path) -> None:
    """It has a version to begin with and no model servers; then the catalogue goes away, and its own file."""
    version = tmp_path / "models" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"nobody loads it")
    health, nobody = free_ports(2)
    address = f"http://127.0.0.1:{health}"
    environment = os.environ | {"VITRINE_HEALTH_PORT": str(health), "VITRINE_LOG_FORMAT": "json"}
    log = tmp_path / "log"
    with rollout_catalogue(tmp_path) as catalogue, log.open("wb") as output:
        command = [
            *(sys.executable, "-m", "model_training", "controller", "--every", "0.05"),
            *("--models-config", str(tmp_path / "models.config"), "--base-path", str(version.parent)),
            *("--model-servers", f"127.0.0.1:{nobody}"),
            *("--catalogue", catalogue.address, "--token-file", str(catalogue.token_file)),
        ]
        began = time.time()
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=output)

        def trouble() -> str | None:
            """What is wrong; None: it does not answer yet."""
            assert process.poll() is None, log.read_text()
            answer = asked(f"{address}/readyz")
            return None if answer is None else str(answer.json()["checks"])

        with stopped(process):
            wait_for(lambda: "'ok': False" not in (trouble() or "'ok': False"), _WITHIN_S, "it is ready")
            catalogue.down = True
            wait_for(lambda: "catalogue: " in (trouble() or ""), _WITHIN_S, "it waits for the catalogue")
            (tmp_path / "models.config").write_text("no configuration")
            wait_for(lambda: "rollout: " in (trouble() or ""), _WITHIN_S, "and for its own file")
            assert requests.get(f"{address}/healthz", timeout=_WITHIN_S).json() == {"status": "ok"}
            lines = requests.get(f"{address}/metrics", timeout=_WITHIN_S).text.splitlines()

    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(samples['vitrine_controller_acts_total{act="begin"}']) == 1
    assert float(samples["vitrine_ready"]) == 0
    assert began - 1 < float(samples["vitrine_controller_last_look_timestamp_seconds"]) < time.time() + 1
    for stage in ("rollout", "catalogue"):
        assert float(samples[f'vitrine_dependency_failures_total{{stage="{stage}"}}']) >= 1
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["service"] for line in said} == {"controller"}
    assert {line["event"] for line in said} >= {"begin", "waiting"}
