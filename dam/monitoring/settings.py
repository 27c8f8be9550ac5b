"""How often the monitor looks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]


class MonitorSettings(BaseSettings):
    """Environment variables of these names with the prefix ``VITRINE_``; an empty one is none."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_", extra="ignore", frozen=True, env_ignore_empty=True
    )

    monitor_every_s: Seconds = 10.0
    """Between two looks at what waits, at the queues and at the database."""
    monitor_ledger_every_s: Seconds = 60.0
    """Between two looks at every row for the ledger."""
    monitor_places_every_s: Seconds = 60.0
    """Between two looks at disks, certificates and the last comparison with the blob store."""
    monitor_quality_every_s: Seconds = 300.0
    """Between two looks at what people said of tags."""
    monitor_certificates: str = ""
    """Endpoints whose certificates are looked at: ``host:port``, separated by commas."""

    @property
    def certificate_endpoints(self) -> tuple[str, ...]:
        """Each once, in their order."""
        named = (one.strip() for one in self.monitor_certificates.split(","))
        return tuple(dict.fromkeys(one for one in named if one))
