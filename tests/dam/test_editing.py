"""What people write about pictures, their rights, and where they live."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from dam.assets.editing import asset_update, assets_move, assets_update
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Collection, Level
from dam.assets.rights import LICENCES, assets_embargoed, assets_expiring, licence_name, mark_of
from dam.assets.selectors import assets_downloadable_by, assets_visible_to
from dam.audit.models import AuditEntry
from tests.dam.factories import AssetFactory, GrantFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who

__all__ = ["root"]


def test_a_curator_writes_texts_and_rights_and_what_changed_is_written_down(root: Collection) -> None:
    anna, picture = who(Level.CURATE, root, "anna"), AssetFactory(title="Old")
    changed = asset_update(
        asset=picture,
        user=anna,
        title="  A \n harbour ",
        description="At dawn.",
        licence="CC-BY-4.0",
        copyright_holder="Anna",
        credit="Anna / Agency",
        release_status="obtained",
        embargo_until=date(2030, 1, 1),
        expires_on=date(2031, 1, 1),
    )
    picture.refresh_from_db()
    assert (picture.title, picture.licence, picture.release_status) == ("A harbour", "CC-BY-4.0", "obtained")
    assert (picture.embargo_until, changed.expires_on) == (date(2030, 1, 1), date(2031, 1, 1))
    (entry,) = AuditEntry.objects.all()
    assert (entry.actor_name, entry.action, entry.collection_id) == ("anna", "asset.edit", root.pk)
    assert entry.changes["title"] == ["Old", "A harbour"]
    assert entry.changes["expires_on"] == [None, "2031-01-01"]


def test_a_picture_is_found_by_its_new_title_and_no_longer_by_the_old_one(root: Collection) -> None:
    picture = AssetFactory(title="harbour")
    asset_update(asset=picture, user=who(Level.CURATE, root), title="lighthouse")
    assert list(Asset.objects.filter(words="lighthouse")) == [picture]
    assert not Asset.objects.filter(words="harbour").exists()


def test_who_contributed_a_picture_edits_it_and_others_do_not(root: Collection) -> None:
    ada, ben = who(Level.CONTRIBUTE, root), who(Level.CONTRIBUTE, root)
    picture = AssetFactory(uploaded_by=ada)
    asset_update(asset=picture, user=ada, title="Mine")
    with pytest.raises(NotAllowedError, match="Mine"):
        asset_update(asset=picture, user=ben, title="His")
    with pytest.raises(Asset.DoesNotExist):
        asset_update(asset=picture, user=UserFactory(), title="Theirs")
    Asset.objects.filter(pk=picture.pk).update(trashed_at=timezone.now())
    with pytest.raises(Asset.DoesNotExist):
        asset_update(asset=picture, user=ada, title="Gone")
    assert len(told()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "x" * 256),
        ("title", None),
        ("description", "a\0b"),
        ("licence", "x" * 61),
        ("release_status", "maybe"),
        ("release_status", []),
        ("expires_on", "2031-01-01"),
        ("embargo_until", timezone.now()),
        ("state", "tagged"),
        ("collection", 1),
    ],
)
def test_a_value_that_is_not_right_is_refused_by_its_field(
    root: Collection, field: str, value: object
) -> None:
    picture = AssetFactory(title="As it was")
    with pytest.raises(InvalidChangeError) as refused:
        asset_update(asset=picture, user=who(Level.CURATE, root), **{"credit": "new", field: value})
    assert refused.value.field == field
    picture.refresh_from_db()
    assert (picture.title, picture.credit, told()) == ("As it was", "", [])


def test_a_picture_never_expires_before_its_embargo_ends(root: Collection) -> None:
    picture, anna = AssetFactory(expires_on=date(2030, 1, 1)), who(Level.CURATE, root)
    with pytest.raises(InvalidChangeError) as refused:
        asset_update(asset=picture, user=anna, embargo_until=date(2030, 1, 2))
    assert refused.value.field == "embargo_until"
    asset_update(asset=picture, user=anna, embargo_until=date(2030, 1, 1))
    asset_update(asset=picture, user=anna, embargo_until=None, expires_on=None)


def test_what_changes_nothing_is_not_written_down(root: Collection) -> None:
    picture = AssetFactory(title="Same")
    asset_update(asset=picture, user=who(Level.CURATE, root), title="Same", credit="")
    assert told() == []


def test_several_change_together_or_not_at_all(root: Collection) -> None:
    ada = who(Level.CONTRIBUTE, root)
    own, other = AssetFactory(uploaded_by=ada), AssetFactory()
    with pytest.raises(NotAllowedError):
        assets_update(asset_ids=[own.pk, other.pk], user=ada, credit="Ada")
    assert not Asset.objects.exclude(credit="").exists()
    again = AssetFactory(uploaded_by=ada)
    assert len(assets_update(asset_ids=[again.pk, own.pk], user=ada, credit="Ada")) == 2
    assert Asset.objects.filter(credit="Ada").count() == 2


# --------------------------------------------------------------------- move


def test_a_moved_picture_is_seen_by_who_sees_its_new_place(root: Collection) -> None:
    press, archive = below(root, "Press"), below(root, "Archive")
    curator, reader = who(Level.CURATE, press, "cy"), who(Level.VIEW, archive)
    GrantFactory(collection=archive, user=curator, level=Level.CONTRIBUTE)
    moving, there = AssetFactory(collection=press), AssetFactory(collection=archive, uploaded_by=curator)
    assert assets_move(asset_ids=[moving.pk, there.pk], collection=archive, user=curator) == 1
    assert set(assets_visible_to(reader)) == {moving, there}
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.changes) == ("asset.move", {"collection": [press.pk, archive.pk]})
    assert entry.collection_id == press.pk


def test_moving_needs_to_change_the_picture_and_to_contribute_to_its_new_place(root: Collection) -> None:
    press, archive, hidden = (below(root, name) for name in ("Press", "Archive", "Hidden"))
    user = who(Level.CURATE, press)
    GrantFactory(collection=archive, user=user, level=Level.DOWNLOAD)
    own = AssetFactory(collection=press)
    with pytest.raises(NotAllowedError):
        assets_move(asset_ids=[own.pk], collection=archive, user=user)
    with pytest.raises(Collection.DoesNotExist):
        assets_move(asset_ids=[own.pk], collection=hidden, user=user)
    foreign = AssetFactory(collection=archive)
    with pytest.raises(NotAllowedError):
        assets_move(asset_ids=[own.pk, foreign.pk], collection=press, user=user)
    with pytest.raises(Asset.DoesNotExist):
        assets_move(asset_ids=[AssetFactory(collection=hidden).pk], collection=press, user=user)
    assert told() == []


# ------------------------------------------------------------------- rights

TODAY = date(2026, 6, 15)


@pytest.mark.parametrize(
    ("expires_in", "free_in", "mark"),
    [
        (None, None, ""),
        (0, None, ""),
        (-1, None, "expired"),
        (None, 0, ""),
        (None, 1, "embargoed"),
        (5, 1, "embargoed"),
        (-2, -3, "expired"),
    ],
)
def test_a_picture_is_marked_from_the_day_on_at_which_it_may_not_be_used(
    expires_in: int | None, free_in: int | None, mark: str
) -> None:
    def day(days: int | None) -> date | None:
        return None if days is None else TODAY + timedelta(days=days)

    assert mark_of(Asset(expires_on=day(expires_in), embargo_until=day(free_in)), TODAY) == mark


def test_curators_are_told_what_expires_soon_the_soonest_first(root: Collection) -> None:
    press = below(root, "Press")
    curator, reader = who(Level.CURATE, press), who(Level.DOWNLOAD, root)
    today = timezone.now().date()
    over, soon, late = (
        AssetFactory(collection=press, expires_on=today + timedelta(days=days)) for days in (-3, 10, 40)
    )
    AssetFactory(collection=root, expires_on=today)
    AssetFactory(collection=press, expires_on=today, trashed_at=timezone.now())
    AssetFactory(collection=press)
    waiting = AssetFactory(collection=press, embargo_until=today + timedelta(days=1))
    assert list(assets_expiring(user=curator)) == [over, soon]
    assert list(assets_expiring(user=curator, within_days=40, expired=False)) == [soon, late]
    assert list(assets_embargoed(user=curator)) == [waiting]
    assert not assets_expiring(user=reader, within_days=99).exists()
    assert set(assets_visible_to(reader)) >= {over, waiting}
    assert set(assets_downloadable_by(reader)) & {over, waiting} == set()


def test_licences_have_names_and_what_we_do_not_know_is_shown_as_it_is() -> None:
    assert licence_name("CC-BY-4.0") == "Creative Commons Attribution 4.0"
    assert licence_name("Ask Anna") == "Ask Anna"
    assert all(len(licence) <= 60 for licence in LICENCES)
