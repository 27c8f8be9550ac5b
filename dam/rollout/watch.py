"""The watch over a new champion: it goes by itself when it is surely worse than what served before."""

from __future__ import annotations

import structlog
from django.utils import timezone

from dam.rollout.errors import BusyError, NoWayBackError
from dam.rollout.models import Rollout, Step
from dam.rollout.standing import watch_of
from dam.rollout.withdrawal import rollback

log = structlog.get_logger()


def champion_watch() -> Step | None:
    """Look at the champion once; gives the roll-back, if it has to go."""
    rollout = Rollout.objects.select_related("champion", "predecessor").filter(pk=1).first()
    standing = watch_of(rollout, now=timezone.now()) if rollout is not None else None
    if standing is None or not standing.breaches:
        return None
    log.warning("the champion has to go", version=str(standing.champion), why=standing.breaches)
    try:
        return rollback(
            reason=" ".join(standing.breaches),
            user=None,
            source=Step.Source.WATCH,
            evidence={"watch": standing.as_dict()},
            of=standing.champion,
        )
    except (BusyError, NoWayBackError) as error:
        # A person or another relay was first.
        log.info("the champion goes already", reason=str(error))
        return None
