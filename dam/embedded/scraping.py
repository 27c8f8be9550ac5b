"""Where Prometheus finds the metrics of a running system: a file that its ``file_sd_configs`` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dam.embedded.system import HOST, Layout

MODEL_SERVER_METRICS = "/monitoring/prometheus/metrics"
"""TensorFlow Serving's path, on its REST port."""


def targets_file(home: Path) -> Path:
    """Lies there while the system runs. Its folder may be given to Prometheus, for it holds nothing else."""
    return home / "run" / "prometheus" / "targets.json"


def targets(layout: Layout) -> list[dict[str, Any]]:
    """Each process in the form of ``file_sd``."""
    found: list[dict[str, Any]] = []
    for service, port in layout.health_ports.items():
        if service == "model-server":
            labels = {"service": service, "__metrics_path__": MODEL_SERVER_METRICS}
            found.append({"targets": [f"{HOST}:{layout.rest_port}"], "labels": labels})
        else:
            found.append({"targets": [f"{HOST}:{port}"], "labels": {"service": service}})
    return found


def write_targets(layout: Layout) -> None:
    """Tell Prometheus where to look."""
    path = targets_file(layout.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    # By a rename: Prometheus reads it at any moment.
    draft = path.with_name(".targets")
    draft.write_text(json.dumps(targets(layout), indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def remove_targets(home: Path) -> None:
    """Nothing runs that could be asked."""
    targets_file(home).unlink(missing_ok=True)
