"""Links that end, links with a password, and who guesses at one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dam.assets.models import Level
from dam.audit.models import AuditEntry
from dam.sharing.models import Share
from dam.sharing.passwords import FREE_ATTEMPTS, wait_after
from dam.sharing.services import share_revoke, share_update

pytestmark = pytest.mark.django_db

PASSWORD = "Frühling-24"  # of links that live for a test


@pytest.fixture(autouse=True)
def _quick_hashes(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def share(anna, allow, picture, share_of) -> Share:
    allow(anna, Level.VIEW)
    return share_of(picture(title="Dawn"), title="For the paper", password=PASSWORD)


def give(browser: Client, share: Share, password: str):
    return browser.post(f"/s/{share.key}/", {"password": password})


def test_unknown_expired_and_revoked_links_are_answered_alike(stranger, anna, allow, picture, share_of):
    allow(anna, Level.VIEW)
    asset = picture()
    expired, revoked, orphaned = share_of(asset), share_of(asset), share_of(asset)
    Share.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    share_revoke(share=revoked, user=anna)
    answers = [stranger.get(f"/s/{key}/") for key in ("unknown", expired.key, revoked.key)]
    anna.is_active = False
    anna.save()
    answers.append(stranger.get(f"/s/{orphaned.key}/"))

    assert {answer.status_code for answer in answers} == {410}
    assert len({answer.content for answer in answers}) == 1
    for what in ("p/1/grid", "f/1", "zip"):
        assert stranger.get(f"/s/{revoked.key}/{what}").status_code == 410


def test_nothing_of_a_link_is_told_before_its_password(stranger, share):
    answer = stranger.get(f"/s/{share.key}/")

    text = answer.content.decode()
    assert "Password" in text
    assert "For the paper" not in text
    assert "Dawn" not in text
    asset = share.entries.get().asset_id
    for what in (f"p/{asset}/grid", f"f/{asset}", "zip", "?fragment=1"):
        assert "Password" in stranger.get(f"/s/{share.key}/{what}").content.decode()
    share.refresh_from_db()
    assert share.uses == 0


def test_the_password_opens_that_link_alone_and_for_this_browser_alone(stranger, share, share_of, picture):
    other = share_of(picture("b.jpg"), password=PASSWORD)

    answer = give(stranger, share, PASSWORD)

    assert answer.status_code == 302
    cookie = answer.cookies["vitrine_share"]
    assert cookie["path"] == f"/s/{share.key}/"
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert "For the paper" in stranger.get(f"/s/{share.key}/").content.decode()
    # A browser would not even send it there; who sends it all the same gains nothing.
    stranger.cookies["vitrine_share"]["path"] = "/"
    assert "Password" in stranger.get(f"/s/{other.key}/").content.decode()
    assert "Password" in Client().get(f"/s/{share.key}/").content.decode()


def test_a_new_password_locks_out_who_gave_the_old_one(stranger, anna, share):
    give(stranger, share, PASSWORD)
    share_update(share=share, user=anna, password="Sommer-25")
    assert "Password" in stranger.get(f"/s/{share.key}/").content.decode()
    assert give(stranger, share, PASSWORD).status_code == 403
    assert give(stranger, share, "Sommer-25").status_code == 302
    share_update(share=share, user=anna, password="")
    assert "For the paper" in Client().get(f"/s/{share.key}/").content.decode()


def test_a_wrong_password_is_refused_and_written_down_without_the_password(stranger, share):
    answer = give(stranger, share, "guess")
    assert answer.status_code == 403
    assert "That is not the password." in answer.content.decode()
    entry = AuditEntry.objects.get(action="share.wrong-password")
    assert (entry.object_id, entry.actor, entry.address) == (share.pk, None, "127.0.0.1")
    assert entry.changes == {}


def test_who_guesses_has_to_wait_and_so_has_the_right_password(stranger, share):
    for _ in range(FREE_ATTEMPTS):
        assert give(stranger, share, "guess").status_code == 403

    refused = give(Client(), share, PASSWORD)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= wait_after(FREE_ATTEMPTS) + 1
    waited = timezone.now() - timedelta(seconds=wait_after(FREE_ATTEMPTS) + 1)
    Share.objects.filter(pk=share.pk).update(attempted_at=waited)
    assert give(stranger, share, PASSWORD).status_code == 302
    share.refresh_from_db()
    assert share.wrong_attempts == 0


def test_pauses_grow_up_to_a_quarter_of_an_hour():
    assert [wait_after(number) for number in (0, 4, 5, 6, 7, 500)] == [0, 0, 15, 30, 60, 900]


def test_a_link_without_a_password_takes_none(stranger, anna, allow, picture, share_of):
    allow(anna, Level.VIEW)
    share = share_of(picture())
    assert give(stranger, share, "anything").status_code == 302
    assert not stranger.cookies
