"""What every process is told about where it says how it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProcessSettings(BaseSettings):
    """Environment variables of these names with the prefix ``VITRINE_``; an empty one is none."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # beside a wrong value stand addresses with passwords
    )

    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where ``/healthz``, ``/readyz`` and ``/metrics`` answer; 0: nowhere."""
    health_host: str = "127.0.0.1"
    log_format: Literal["json", "console"] = "console"
