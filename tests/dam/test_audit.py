"""Who did what, when, from where; and who may read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from dam.assets.albums import album_update
from dam.assets.editing import asset_update, assets_move
from dam.assets.history import HistoryFilters, entries_of, entries_visible_to
from dam.assets.models import Collection, Level
from dam.audit.models import AuditEntry
from dam.audit.services import Target, audit_record
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make, decision_withdraw, tag_get_or_create, tag_update
from tests.dam.factories import AlbumFactory, AssetFactory, StaffFactory, TagFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who

__all__ = ["root"]


@pytest.fixture
def press(root: Collection) -> Collection:
    return below(root, "Press")


def actions(entries: object) -> list[str]:
    return [entry.action for entry in entries]  # type: ignore[attr-defined]


def test_managers_read_what_happened_where_they_manage_and_others_their_own_acts(
    root: Collection, press: Collection
) -> None:
    cy = who(Level.CURATE, root, "cy")
    manager, curator = who(Level.MANAGE, press), who(Level.CURATE, press)
    asset_update(asset=AssetFactory(collection=press), user=cy, title="In the press")
    asset_update(asset=AssetFactory(collection=root), user=cy, title="In the root")
    album_update(album=AlbumFactory(owner=manager), user=manager, name="Mine")
    names = [
        [entry.object_name for entry in entries_visible_to(user=user)]
        for user in (cy, manager, curator, StaffFactory(), UserFactory(), AnonymousUser())
    ]
    assert names == [
        ["In the root", "In the press"],
        ["Mine", "In the press"],
        [],
        ["Mine", "In the root", "In the press"],
        [],
        [],
    ]


def test_the_history_of_a_picture_is_read_whole_by_who_may_change_it(
    root: Collection, press: Collection
) -> None:
    ada, cy = who(Level.CONTRIBUTE, press, "ada"), who(Level.CURATE, root, "cy")
    asset = AssetFactory(collection=root, uploaded_by=ada)
    asset_update(asset=asset, user=cy, title="First")
    assets_move(asset_ids=[asset.pk], collection=press, user=cy)
    reader, manager_elsewhere = who(Level.VIEW, press), who(Level.MANAGE, below(root, "Archive"))

    def read(user: User) -> list[str]:
        return actions(entries_of(user=user, object_type="asset", object_id=asset.pk))

    assert read(ada) == read(cy) == ["asset.move", "asset.edit"]
    assert read(reader) == read(manager_elsewhere) == []


def test_the_history_of_an_album_is_its_owners(root: Collection) -> None:
    ada, picture = who(Level.VIEW, root), AssetFactory()
    album = AlbumFactory(owner=ada, pictures=[picture])
    album_update(album=album, user=StaffFactory(), name="Renamed")
    assert actions(entries_of(user=ada, object_type="album", object_id=album.pk)) == ["album.edit"]
    reader = who(Level.VIEW, root)
    assert not entries_of(user=reader, object_type="album", object_id=album.pk).exists()


def test_entries_are_filtered_by_all_that_people_ask_for(root: Collection) -> None:
    anna, staff = UserFactory(username="anna"), StaffFactory()
    for action, target in (
        ("asset.edit", Target("asset", 7, "a", 1)),
        ("asset.trash", Target("asset", 8, "b", 2)),
        ("assets.odd", Target("asset", 9, "c", 2)),
        ("grant.set", Target("grant", 7, "d", 1)),
    ):
        audit_record(actor=anna if action != "grant.set" else staff, action=action, targets=[target])
    day = AuditEntry.objects.filter(object_id=8)
    day.update(at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC))

    def found(**filters: object) -> list[str]:
        return actions(entries_visible_to(user=staff, filters=HistoryFilters(**filters)))  # type: ignore[arg-type]

    assert found(actor="anna") == ["assets.odd", "asset.trash", "asset.edit"]
    assert found(action="asset") == ["asset.trash", "asset.edit"]
    assert found(action="asset.edit") == ["asset.edit"]
    assert found(object_type="grant") == ["grant.set"]
    assert found(object_type="asset", object_id=7) == ["asset.edit"]
    assert found(collection_id=1) == ["grant.set", "asset.edit"]
    first = datetime(2026, 3, 1, tzinfo=UTC).date()
    assert found(since=first, until=first) == ["asset.trash"]
    assert found(until=first.replace(month=2)) == []


def test_decisions_and_the_vocabulary_are_written_down(root: Collection) -> None:
    anna, asset = who(Level.CURATE, root, "anna"), AssetFactory()
    tag, _ = tag_get_or_create(name="Lighthouse", user=anna)
    decision_make(asset=asset, tag=tag, verdict=Decision.Verdict.ACCEPTED, user=anna)
    decision_withdraw(asset=asset, tag=tag, user=anna)
    decision_withdraw(asset=asset, tag=tag, user=anna)
    parent = TagFactory(name="building")
    tag_update(tag=tag, parents=[parent], user=anna, threshold=0.7, name="Lighthouse")
    tag_update(tag=Tag.objects.get(pk=tag.pk), parents=[parent], user=anna, threshold=0.7)
    assert told() == [
        ("anna", "tag.create", tag.pk),
        ("anna", "tag.add", asset.pk),
        ("anna", "tag.withdraw", asset.pk),
        ("anna", "tag.edit", tag.pk),
    ]
    said, edited = AuditEntry.objects.get(action="tag.add"), AuditEntry.objects.get(action="tag.edit")
    assert (said.object_type, said.changes) == ("asset", {"tag": tag.pk, "name": "Lighthouse"})
    assert (said.collection_id, edited.object_type) == (root.pk, "tag")
    assert edited.changes == {"threshold": [0.5, 0.7], "parents": [[], ["building"]]}


def test_an_act_of_a_request_says_from_where_and_in_which_request_it_came(
    root: Collection, client: Client
) -> None:
    anna, asset = who(Level.CURATE, root, "anna"), AssetFactory()
    TagFactory(name="dog")
    client.force_login(anna)
    answer = client.post(
        f"/api/v1/assets/{asset.pk}/decisions/",
        {"tag": "dog", "verdict": "added"},
        content_type="application/json",
        REMOTE_ADDR="192.0.2.7",
    )
    entry = AuditEntry.objects.get(action="tag.add")
    assert (answer.status_code, entry.address, entry.actor_name) == (200, "192.0.2.7", "anna")
    assert entry.request_id == answer.headers["X-Request-ID"]


def test_an_entry_outlives_its_picture_and_its_person(root: Collection) -> None:
    anna, asset = who(Level.CURATE, root, "anna"), AssetFactory(title="Harbour")
    asset_update(asset=asset, user=anna, credit="Anna")
    asset.current_version = None
    asset.save()
    asset.delete()
    anna.delete()
    (entry,) = entries_visible_to(user=StaffFactory())
    assert (entry.actor, entry.actor_name, entry.object_name) == (None, "anna", "Harbour")
