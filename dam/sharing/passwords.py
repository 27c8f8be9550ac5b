"""The password of a link: who gave it once keeps a proof; who guesses has to wait, longer each time."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from dam.audit.services import Target, audit_record
from dam.sharing.errors import TooManyAttemptsError, WrongPasswordError
from dam.sharing.models import Share

FREE_ATTEMPTS = 5
"""So many are looked at without a pause."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 15, 900
_FORGOTTEN_AFTER = timedelta(days=1)
_SALT = "dam.sharing.passwords"


def wait_after(attempts: int) -> int:
    """Seconds between the last of so many wrong attempts and the next one that is looked at."""
    if attempts < FREE_ATTEMPTS:
        return 0
    doublings = min(attempts - FREE_ATTEMPTS, 10)
    return min(_LONGEST_WAIT_S, _FIRST_WAIT_S << doublings)


def share_unlock(*, share: Share, password: str) -> str:
    """Try a password; what proves afterwards that it was the right one.

    Raises:
        WrongPasswordError: it was not.
        TooManyAttemptsError: it was not even looked at.
    """
    _attempt_begin(share)
    # Outside of the transaction: hashing takes long on purpose, and must not make others wait for a row.
    if not check_password(password, share.password):
        with transaction.atomic():
            target = Target(type="share", id=share.pk, name=str(share), collection_id=share.collection_id)
            audit_record(actor=None, action="share.wrong-password", targets=[target])
        raise WrongPasswordError
    Share.objects.filter(pk=share.pk).update(wrong_attempts=0)
    return proof_of(share)


def proof_of(share: Share) -> str:
    """Stands for the password that the link has now; for a cookie that is signed besides."""
    return salted_hmac(_SALT, f"{share.pk}:{share.password}", algorithm="sha256").hexdigest()


def is_proof(share: Share, proof: str) -> bool:
    """Whether it was given for this link and for the password that it has now."""
    return hmac.compare_digest(proof.encode(), proof_of(share).encode())


@transaction.atomic
def _attempt_begin(share: Share) -> None:
    """Count an attempt before it is looked at, so that many at once are not more than one after the other."""
    row = Share.objects.select_for_update().get(pk=share.pk)
    now = timezone.now()
    before = row.wrong_attempts
    if row.attempted_at is None or now - row.attempted_at > _FORGOTTEN_AFTER:
        before = 0
    wait_s = _left_to_wait(row.attempted_at, before, now)
    if wait_s > 0:
        raise TooManyAttemptsError(wait_s)
    row.wrong_attempts = min(before + 1, 1000)
    row.attempted_at = now
    row.save(update_fields=["wrong_attempts", "attempted_at"])


def _left_to_wait(last: datetime | None, attempts: int, now: datetime) -> float:
    if last is None:
        return 0.0
    return wait_after(attempts) - (now - last).total_seconds()
