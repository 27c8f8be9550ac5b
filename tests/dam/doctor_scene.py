"""Reading what a check of the doctor found."""

from __future__ import annotations

from dam.monitoring.doctor.findings import Finding


def only(found: Finding | list[Finding]) -> Finding:
    (one,) = [found] if isinstance(found, Finding) else found
    return one


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}
