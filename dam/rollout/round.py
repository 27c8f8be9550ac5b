"""What the relays' housekeeping does for the rollout every few seconds."""

from __future__ import annotations

from collections.abc import Callable

from dam.rollout.serving import withdrawn_ask_again
from dam.rollout.shadow import shadow_issue
from dam.rollout.watch import champion_watch


def rollout_round(should_stop: Callable[[], bool]) -> dict[str, int]:
    """Watch a new champion, ask again what a withdrawn version answered, show the challenger pictures.

    Returns:
        What was done: ``rolled_back`` (0 or 1), ``asked_again`` and ``shadowed`` jobs.
    """
    done = {"rolled_back": int(champion_watch() is not None)}
    done["asked_again"] = withdrawn_ask_again()
    done["shadowed"] = shadow_issue(should_stop=should_stop)
    return done
