"""Pairs that look the same: who sees them, who decides, and what a merge keeps."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, Asset, Collection, Grant, Level
from dam.audit.models import AuditEntry
from dam.curation.duplicates import (
    duplicate_count,
    duplicate_dismiss,
    duplicate_get,
    duplicate_pairs,
    duplicate_reopen,
    pair_of,
)
from dam.curation.merging import duplicate_keep
from dam.curation.models import DuplicatePair
from dam.curation.pairing import pairs_find
from dam.search.selectors import search_assets
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make
from tests.dam.curation.looking import FINGERPRINT, look
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    PredictionFactory,
    StaffFactory,
    TagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Collection:
    """A collection of its own tree, in which nobody may do anything yet."""
    place: Collection = Collection.objects.add_root(create_kwargs={"name": "Archive"})
    return place


@pytest.fixture
def curator(place: Collection) -> User:
    return may(UserFactory(), place, Level.CURATE)


def may(user: User, place: Collection, level: Level) -> User:
    Grant.objects.create(collection=place, user=user, level=level)
    return user


def pair(*assets: Asset) -> DuplicatePair:
    for asset in assets:
        look(asset)
    pairs_find()
    return DuplicatePair.objects.latest("id")


def two(place: Collection, first: dict[str, Any], second: dict[str, Any]) -> DuplicatePair:
    return pair(AssetFactory(collection=place, **first), AssetFactory(collection=place, **second))


def seen(user: User) -> list[int]:
    return [one.pair.pk for one in duplicate_pairs(user=user).pairs]


# ------------------------------------------------------------------ reading


def test_a_pair_shows_both_pictures_to_who_sees_both(place: Collection) -> None:
    reader = may(UserFactory(), place, Level.VIEW)
    found = two(place, {"filename": "a.jpg"}, {"filename": "b.jpg"})

    (shown,) = duplicate_pairs(user=reader).pairs

    assert (shown.first.filename, shown.second.filename) == ("a.jpg", "b.jpg")
    assert (shown.pair, shown.same_bytes, shown.may_decide) == (found, False, False)


def test_files_of_the_same_bytes_are_told(place: Collection, curator: User) -> None:
    found = two(place, {}, {})
    found.second.current_version.blob = found.first.current_version.blob
    found.second.current_version.save()

    (shown,) = duplicate_pairs(user=curator).pairs

    assert shown.same_bytes
    assert shown.may_decide


def test_who_does_not_see_both_knows_of_no_pair(place: Collection, curator: User) -> None:
    hidden: Collection = Collection.objects.add_root(create_kwargs={"name": "Vault"})
    found = pair(AssetFactory(collection=place), AssetFactory(collection=hidden))

    assert seen(curator) == []
    assert duplicate_count(user=curator) == 0
    for act in (duplicate_dismiss, duplicate_reopen):
        with pytest.raises(DuplicatePair.DoesNotExist):
            act(pair=found, user=curator)
    with pytest.raises(DuplicatePair.DoesNotExist):
        duplicate_get(user=curator, pair_id=found.pk)
    with pytest.raises(DuplicatePair.DoesNotExist):
        pair_of(user=curator, pair=found)
    with pytest.raises(DuplicatePair.DoesNotExist):
        duplicate_keep(pair=found, keep_id=found.first_id, user=curator)
    assert seen(StaffFactory()) == [found.pk]


@pytest.mark.parametrize("gone", ["first", "second"])
def test_a_pair_goes_with_a_picture_into_the_trash_and_comes_back_with_it(
    place: Collection, curator: User, gone: str
) -> None:
    found = two(place, {}, {})
    asset = getattr(found, gone)

    Asset.objects.filter(pk=asset.pk).update(trashed_at=datetime.now(UTC))
    assert seen(curator) == []

    Asset.objects.filter(pk=asset.pk).update(trashed_at=None)
    assert seen(curator) == [found.pk]


def test_a_pair_waits_while_the_file_of_one_is_new_and_nobody_has_looked_at_it(
    place: Collection, curator: User
) -> None:
    found = two(place, {}, {})

    Asset.objects.filter(pk=found.second_id).update(state=Asset.State.PENDING)
    assert seen(curator) == []

    Asset.objects.filter(pk=found.second_id).update(state=Asset.State.TAGGED)
    assert seen(curator) == [found.pk]


def test_pages_follow_each_other_without_gap_or_overlap(place: Collection, curator: User) -> None:
    look(AssetFactory(collection=place))
    for _ in range(4):
        look(AssetFactory(collection=place))
        pairs_find()
    everything = seen(curator)

    pages: list[list[int]] = []
    cursor = None
    while True:
        page = duplicate_pairs(user=curator, cursor=cursor, limit=3)
        pages.append([one.pair.pk for one in page.pairs])
        cursor = page.next_cursor
        if cursor is None:
            break

    assert list(chain(*pages)) == everything == sorted(everything, reverse=True)
    assert {len(page) for page in pages[:-1]} == {3}
    assert duplicate_count(user=curator) == len(everything) == 10


def test_a_cursor_of_another_list_is_refused(curator: User) -> None:
    with pytest.raises(InvalidChangeError) as refused:
        duplicate_pairs(user=curator, cursor="17")
    assert refused.value.code == "bad-cursor"


def test_a_page_is_a_fixed_number_of_queries(
    place: Collection, curator: User, django_assert_max_num_queries
) -> None:
    for _ in range(6):
        look(AssetFactory(collection=place))
    pairs_find()

    with django_assert_max_num_queries(8):
        assert len(duplicate_pairs(user=curator).pairs) == 15


# ----------------------------------------------------------------- deciding


def test_two_pictures_that_somebody_told_apart_are_offered_to_nobody(
    place: Collection, curator: User
) -> None:
    found = two(place, {}, {})

    duplicate_dismiss(pair=found, user=curator)
    duplicate_dismiss(pair=found, user=curator)

    assert seen(curator) == seen(StaffFactory()) == []
    assert duplicate_get(user=curator, pair_id=found.pk).decided_by == curator
    entries = AuditEntry.objects.filter(action="asset.not-duplicate").order_by("object_id")
    assert [(entry.object_id, entry.changes) for entry in entries] == [
        (found.first_id, {"other": found.second_id}),
        (found.second_id, {"other": found.first_id}),
    ]

    duplicate_reopen(pair=found, user=curator)
    assert seen(curator) == [found.pk]


def test_who_does_not_curate_both_places_decides_nothing(place: Collection, curator: User) -> None:
    other: Collection = Collection.objects.add_root(create_kwargs={"name": "Press"})
    may(curator, other, Level.CONTRIBUTE)
    found = pair(AssetFactory(collection=place), AssetFactory(collection=other))

    (shown,) = duplicate_pairs(user=curator).pairs
    assert not shown.may_decide
    with pytest.raises(NotAllowedError):
        duplicate_dismiss(pair=found, user=curator)
    with pytest.raises(NotAllowedError):
        duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    assert not Asset.objects.filter(trashed_at__isnull=False).exists()
    assert seen(curator) == [found.pk]


# ------------------------------------------------------------------ merging


def test_what_is_kept_is_filled_and_the_other_goes_to_the_trash(place: Collection, curator: User) -> None:
    found = two(
        place,
        {"title": "Lighthouse", "credit": ""},
        {
            "title": "IMG 1",
            "description": "At dusk",
            "licence": "CC-BY-4.0",
            "credit": "Ann",
            "copyright_holder": "Ann Ltd",
            "camera": "Canon",
            "taken_at": datetime(2024, 5, 3, tzinfo=UTC),
        },
    )

    kept = duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    kept.refresh_from_db()
    assert (kept.title, kept.description, kept.licence) == ("Lighthouse", "At dusk", "CC-BY-4.0")
    assert (kept.copyright_holder, kept.credit, kept.camera) == ("Ann Ltd", "Ann", "Canon")
    assert kept.taken_at == datetime(2024, 5, 3, tzinfo=UTC)
    other = Asset.objects.get(pk=found.second_id)
    assert other.trashed_at is not None
    assert (other.title, other.description) == ("IMG 1", "At dusk")
    assert [asset.pk for asset in search_assets(user=curator, query="dusk").assets] == [kept.pk]
    assert seen(curator) == []


def test_the_second_may_be_kept_too_and_no_third(place: Collection, curator: User) -> None:
    found = two(place, {"title": "First"}, {})

    with pytest.raises(InvalidChangeError) as refused:
        duplicate_keep(pair=found, keep_id=found.first_id + found.second_id, user=curator)
    assert refused.value.code == "not-of-pair"

    kept = duplicate_keep(pair=found, keep_id=found.second_id, user=curator)
    assert (kept.pk, kept.title) == (found.second_id, "First")
    assert Asset.objects.get(pk=found.first_id).trashed_at is not None


STRICTER: list[tuple[str, Any, Any, Any]] = [
    ("expires_on", None, date(2030, 1, 1), date(2030, 1, 1)),
    ("expires_on", date(2031, 1, 1), date(2030, 1, 1), date(2030, 1, 1)),
    ("expires_on", date(2029, 1, 1), date(2030, 1, 1), date(2029, 1, 1)),
    ("embargo_until", date(2029, 1, 1), date(2030, 1, 1), date(2030, 1, 1)),
    ("embargo_until", date(2029, 1, 1), None, date(2029, 1, 1)),
    ("release_status", "obtained", "refused", "refused"),
    ("release_status", "refused", "obtained", "refused"),
    ("release_status", "", "obtained", "obtained"),
    ("release_status", "not-needed", "pending", "pending"),
    ("release_status", "obtained", "not-needed", "obtained"),
]


@pytest.mark.parametrize("case", STRICTER)
def test_the_stricter_right_holds(place: Collection, curator: User, case: tuple[str, Any, Any, Any]) -> None:
    field, mine, other, merged = case
    found = two(place, {field: mine}, {field: other})

    kept = duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    kept.refresh_from_db()
    assert getattr(kept, field) == merged


def test_rights_that_leave_no_day_for_both_are_refused_and_nothing_changes(
    place: Collection, curator: User
) -> None:
    found = two(
        place,
        {"expires_on": date(2029, 1, 1), "title": ""},
        {"embargo_until": date(2030, 1, 1), "title": "New"},
    )

    with pytest.raises(InvalidChangeError, match="could never be used"):
        duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    assert not Asset.objects.filter(trashed_at__isnull=False).exists()
    assert Asset.objects.get(pk=found.first_id).title == ""


def test_tags_that_people_gave_go_over_and_what_was_decided_here_stays(
    place: Collection, curator: User
) -> None:
    found = two(place, {}, {})
    kept, other = found.first, found.second
    lighthouse, sea, storm, ship = (TagFactory(name=name) for name in ("lighthouse", "sea", "storm", "ship"))
    PredictionFactory(asset=kept, tag_ids=[sea.pk], scores=[0.9])
    said = DecisionFactory(asset=other, tag=lighthouse, verdict=Decision.Verdict.ADDED)
    DecisionFactory(asset=other, tag=sea, verdict=Decision.Verdict.ACCEPTED)
    DecisionFactory(asset=other, tag=storm, verdict=Decision.Verdict.ADDED)
    DecisionFactory(asset=other, tag=ship, verdict=Decision.Verdict.REJECTED)
    decision_make(asset=kept, tag=storm, verdict=Decision.Verdict.REJECTED, user=curator)

    duplicate_keep(pair=found, keep_id=kept.pk, user=curator)

    decisions = {one.tag.name: one for one in Decision.objects.filter(asset=kept)}
    assert {name: one.verdict for name, one in decisions.items()} == {
        "lighthouse": "added",
        "sea": "accepted",
        "storm": "rejected",
    }
    assert decisions["lighthouse"].decided_by == said.decided_by
    assert decisions["lighthouse"].decided_at == said.decided_at
    kept.refresh_from_db()
    assert set(kept.tag_ids) == {lighthouse.pk, sea.pk}
    assert not Tag.objects.filter(name="ship", claims__asset=kept).exists()


def test_it_joins_the_albums_of_the_other_and_becomes_their_cover(place: Collection, curator: User) -> None:
    found = two(place, {}, {})
    both, only = Album.objects.create(name="Both"), Album.objects.create(name="Only", cover=found.second)
    for album, asset in ((both, found.first), (both, found.second), (only, found.second)):
        album.entries.create(asset=asset)

    kept = duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    assert set(kept.album_entries.values_list("album__name", flat=True)) == {"Both", "Only"}
    only.refresh_from_db()
    assert only.cover == kept
    (entry,) = AuditEntry.objects.filter(action="album.add")
    assert (entry.object_id, entry.changes) == (only.pk, {"assets": [kept.pk]})


def test_a_merge_is_written_down(place: Collection, curator: User) -> None:
    found = two(place, {}, {"title": "Lighthouse"})

    duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    entries = {entry.action: entry for entry in AuditEntry.objects.all()}
    assert set(entries) == {"asset.edit", "asset.keep", "asset.trash"}
    assert entries["asset.edit"].changes == {"title": ["", "Lighthouse"]}
    assert entries["asset.keep"].changes == {"other": found.second_id}
    assert entries["asset.trash"].object_id == found.second_id
    assert {entry.actor for entry in entries.values()} == {curator}


# ------------------------------------------------------------------ command


def test_the_command_compares_and_lists(place: Collection, curator: User, capsys) -> None:
    look(AssetFactory(collection=place, filename="a.jpg"))
    look(AssetFactory(collection=place, filename="b.jpg"), FINGERPRINT ^ 0b11)

    call_command("duplicates", "find")
    assert capsys.readouterr().out == "2 pictures compared\n"
    call_command("duplicates", "find", "--json")
    assert json.loads(capsys.readouterr().out) == {"compared": 0}
    call_command("duplicates", "find", "--again", "--json")
    assert json.loads(capsys.readouterr().out) == {"compared": 2}

    call_command("duplicates", "list", "--as", curator.username, "--json")
    (shown,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (shown["distance"], [one["filename"] for one in shown["pictures"]]) == (2, ["a.jpg", "b.jpg"])
    call_command("duplicates", "list", "--as", curator.username)
    assert "2 of 64 bits differ" in capsys.readouterr().out
    call_command("duplicates", "list", "--as", UserFactory().username)
    assert capsys.readouterr().out == "There are none.\n"
    with pytest.raises(CommandError, match="no user nobody"):
        call_command("duplicates", "list", "--as", "nobody")


def test_a_collection_below_is_curated_too(curator: User, place: Collection) -> None:
    below = Collection.objects.add_child(place, create_kwargs={"name": "Below"})
    found = pair(AssetFactory(collection=place), AssetFactory(collection=below))

    duplicate_keep(pair=found, keep_id=found.first_id, user=curator)

    assert Asset.objects.get(pk=found.second_id).trashed_at is not None
