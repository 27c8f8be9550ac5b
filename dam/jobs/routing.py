"""Which version a job asks for: its own label, or the one that live jobs ask for when it is published."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from django.db import connection

from dam.jobs.models import TaggingJob


class Routes(NamedTuple):
    """What :class:`dam.jobs.models.Routing` says."""

    live_label: str = ""
    trial_label: str = ""
    trial_share: float = 0.0
    salt: str = ""

    def label_of(self, *, purpose: str, asset_id: int | None, model_label: str) -> str:
        """The label on the model server that this job asks for; empty: the server's default version.

        Args:
            purpose: of the job; only new pictures (``live``) may be given to the version on trial.
            asset_id: the same one is routed the same way as long as the salt is the same.
            model_label: that the job asks for by itself; empty: whatever is in service.
        """
        if model_label:
            return model_label
        on_trial = (
            purpose == TaggingJob.Purpose.LIVE
            and asset_id is not None
            and share_place(asset_id, salt=self.salt) < self.trial_share
        )
        return self.trial_label if on_trial and self.trial_label else self.live_label


def share_place(asset_id: int, *, salt: str) -> float:
    """Where an asset lies in [0, 1): a share takes those below it. Another salt puts it elsewhere."""
    digest = hashlib.sha256(f"{salt} {asset_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def routing() -> Routes:
    """The routes as they stand now; empty ones before any version was reported to be in service."""
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        row = cursor.fetchone()
    return Routes(*row) if row else Routes()


_READ = "SELECT live_label, trial_label, trial_share, salt FROM jobs_routing"
