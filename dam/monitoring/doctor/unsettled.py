"""What to say where Django's settings cannot be loaded, so that there is no command to say it."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from dam.monitoring.doctor.findings import Finding, Status, Told, failure, said_by
from dam.monitoring.doctor.telling import as_facts, print_report, without_secrets
from dam.monitoring.doctor.variables import readable


def print_unsettled(error: Exception, *, as_json: bool = False) -> None:
    """The doctor's report of that alone."""
    told = [Told("Environment", "values of variables", found) for found in _faults(error)]
    if as_json:
        sys.stdout.write(json.dumps(as_facts(told)) + "\n")
    else:
        print_report(Console(), told)


def unsettled_text(error: Exception) -> str:
    """A sentence or two on each fault, for any other command."""
    return "\n".join(without_secrets(f"{one.found}. {one.mend}") for one in _faults(error))


def _faults(error: Exception) -> list[Finding]:
    if found := [one for one in readable() if one.status is Status.FAILURE]:
        return found
    if isinstance(error, OSError):
        return [
            failure(
                f"VITRINE_HOME cannot be used: {error.strerror}: {error.filename}",
                mend="Set VITRINE_HOME to a folder that you may write to.",
            )
        ]
    return [
        failure(
            f"the settings cannot be loaded: {said_by(error)}",
            mend="Mend the variable that it is about; the head of dam/settings.py has them all.",
        )
    ]
