"""Where the steps of a rollout have led: the routes, and what was done."""

from __future__ import annotations

from dam.jobs.models import Routing
from dam.rollout.selectors import steps_list


def routes():
    row = Routing.objects.get()
    return row.live_label, row.trial_label, row.trial_share


def done():
    """Kinds of the steps that are settled well, oldest first."""
    return [step.kind for step in reversed(steps_list()) if step.state == "done"]
