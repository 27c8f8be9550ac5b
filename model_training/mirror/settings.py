"""What the mirror is told by its environment; its options say the same."""

from __future__ import annotations

from pathlib import Path

from pipeline.telemetry.settings import ProcessSettings


class MirrorSettings(ProcessSettings):
    """Beside what every process is told; options go before the environment."""

    mirror_from: str | None = None
    """Where ``models.config`` and a folder for each model lie: a folder, or ``s3://BUCKET/PREFIX``."""
    mirror_to: Path | None = None
    """A folder that gets the same."""
