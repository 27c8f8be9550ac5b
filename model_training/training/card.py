"""The model card of a run: what it is for, what it was made of, how good it is, where it fails."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from model_training.networks.backbones import LITE
from model_training.training.run_folder import CALIBRATION, CARD, HISTORY, RunFacts, read_run

_FEW = 20
_DIGITS = 3


def write_card(run: Path) -> Path:
    """Write ``model_card.md`` from what the run's folder holds by now; called again, it knows more.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: a file of the run is missing.
    """
    import jinja2  # noqa: PLC0415 - of the extra "train"

    templates = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, and no page
    )
    templates.globals.update(number=_number, interval=_interval)
    source = files(__package__).joinpath(f"{CARD}.j2").read_text(encoding="utf-8")
    text = templates.from_string(source).render(_contents(run, read_run(run)))
    path = run / CARD
    path.write_text(text, encoding="utf-8")
    return path


def _contents(run: Path, facts: RunFacts) -> dict[str, Any]:
    history = json.loads((run / HISTORY).read_text(encoding="utf-8"))
    calibration = _read(run / CALIBRATION)
    return {
        "config": facts.config,
        "weights": _weights(facts),
        "labels": facts.labels,
        "data": facts.data,
        "history": history,
        "best": _best(history),
        "metrics": _read(run / "evaluation" / "metrics.json"),
        "calibration": None if calibration is None else list(calibration["labels"].items()),
        "rare": [label for label in facts.labels if facts.data["positives"][label] < _FEW],
        "few": _FEW,
    }


def _best(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch that was kept: the first with the highest validation mAP, or the last."""
    measured = [entry for entry in history if entry["validation_map"] is not None]
    return max(measured, key=lambda entry: entry["validation_map"]) if measured else history[-1]


def _weights(facts: RunFacts) -> str:
    network = facts.config.network
    if network.weights == "random":
        return "random"
    if network.weights == "package":
        _, package = LITE[network.backbone]
        return f"ImageNet-1k, of the package {package.name} {package.version}"
    return f"of the file {Path(network.weights).name}"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.{_DIGITS}f}"


def _interval(measured: dict[str, float | None]) -> str:
    text = _number(measured["value"])
    if measured["low"] is None or measured["high"] is None:
        return text
    return f"{text} ({_number(measured['low'])} to {_number(measured['high'])})"
