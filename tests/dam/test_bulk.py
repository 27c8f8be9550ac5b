"""One act on a selection: on all that the person may, and the others are named."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import User

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, Asset, Collection, Level
from dam.assets.trash import assets_trash
from dam.curation.bulk import (
    BulkResult,
    bulk_album_add,
    bulk_album_remove,
    bulk_edit,
    bulk_move,
    bulk_purge,
    bulk_restore,
    bulk_tag,
    bulk_trash,
)
from dam.curation.selection import Selection, selection_ids
from dam.search.language import SearchError
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make
from tests.dam.factories import (
    AlbumFactory,
    AssetFactory,
    ClaimFactory,
    GrantFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
    UserFactory,
)
from tests.dam.organising_scene import below, root, told, who
from tests.dam.tagging_scene import shown

__all__ = ["root"]


@pytest.fixture
def press(root: Collection) -> Collection:
    return below(root, "Press")


@pytest.fixture
def cy(press: Collection) -> User:
    """Curates the press, and may look at the rest of it."""
    return who(Level.CURATE, press, "cy")


def refused(result: BulkResult) -> dict[int, str]:
    return {each.asset_id: each.code for each in result.refused}


# ---------------------------------------------------------------- selection


def test_a_selection_by_ids_keeps_its_order_and_leaves_out_what_is_not_seen(
    root: Collection, press: Collection, cy: User
) -> None:
    first, second = AssetFactory.create_batch(2, collection=press)
    hidden = AssetFactory(collection=root)
    chosen = Selection(ids=[second.pk, hidden.pk, first.pk, second.pk, 999_999])
    assert selection_ids(user=cy, selection=chosen) == [second.pk, first.pk]
    assert selection_ids(user=cy, selection=chosen, level=Level.MANAGE) == []


def test_a_selection_by_query_is_what_the_search_finds_without_what_was_taken_out(
    root: Collection, press: Collection, cy: User
) -> None:
    dog = TagFactory(name="dog")
    b, a, c = (AssetFactory(collection=press, filename=f"{n}.jpg", tags=[dog]) for n in "bac")
    AssetFactory(collection=root, tags=[dog])
    AssetFactory(collection=press)
    found = Selection(query="tag:dog", sort="name", excluded=[c.pk])
    assert selection_ids(user=cy, selection=found) == [a.pk, b.pk]
    assert selection_ids(user=cy, selection=Selection(query="tag:dog")) == [c.pk, a.pk, b.pk]
    assert selection_ids(user=cy, selection=Selection()) == []
    assert len(selection_ids(user=cy, selection=Selection(query=""))) == 4


def test_more_than_the_limit_is_refused(press: Collection, cy: User) -> None:
    ids = [asset.pk for asset in AssetFactory.create_batch(3, collection=press)]
    for selection in (Selection(ids=ids), Selection(query="")):
        assert len(selection_ids(user=cy, selection=selection, limit=3)) == 3
        with pytest.raises(InvalidChangeError) as error:
            selection_ids(user=cy, selection=selection, limit=2)
        assert error.value.code == "too-many"


def test_a_selection_that_makes_no_sense_is_refused(cy: User) -> None:
    for selection in (Selection(ids=[1], query=""), Selection(query="", sort="luck")):
        with pytest.raises(InvalidChangeError):
            selection_ids(user=cy, selection=selection)
    with pytest.raises(SearchError):
        selection_ids(user=cy, selection=Selection(query="(dog"))


# --------------------------------------------------------------------- acts


@pytest.fixture
def mixed(root: Collection, press: Collection, cy: User) -> tuple[Asset, Asset, Asset]:
    """One that they may change, one that they may see, one that they may not."""
    seen = below(root, "Seen")
    GrantFactory(collection=seen, user=cy, level=Level.VIEW)
    return tuple(AssetFactory(collection=place) for place in (press, seen, root))


def all_of(assets: tuple[Asset, ...]) -> Selection:
    return Selection(ids=[asset.pk for asset in assets])


def test_all_that_may_be_changed_is_and_the_rest_is_named(cy: User, mixed: tuple[Asset, ...]) -> None:
    may, seen, hidden = mixed
    for act in (
        lambda: bulk_edit(user=cy, selection=all_of(mixed), credit="Cy", expires_on=date(2040, 1, 1)),
        lambda: bulk_tag(
            user=cy, selection=all_of(mixed), tag=TagFactory(name="dog"), verdict=Decision.Verdict.ADDED
        ),
        lambda: bulk_move(user=cy, selection=all_of(mixed), collection=may.collection),
        lambda: bulk_trash(user=cy, selection=all_of(mixed)),
    ):
        result = act()
        assert (result.changed, refused(result)) == (1, {seen.pk: "not-allowed", hidden.pk: "not-found"})
        assert [each.name for each in result.refused] == ["", str(seen)]
    may.refresh_from_db()
    assert (may.credit, may.expires_on, may.trashed_at is None) == ("Cy", date(2040, 1, 1), False)
    assert [action for _, action, _ in told()] == ["asset.edit", "tag.add", "asset.trash"]
    assert not Asset.objects.exclude(pk=may.pk).exclude(credit="", trashed_at=None).exists()


def test_a_value_that_is_not_right_changes_nothing(cy: User, mixed: tuple[Asset, ...]) -> None:
    with pytest.raises(InvalidChangeError) as error:
        bulk_edit(user=cy, selection=all_of(mixed), credit="Cy", licence=3)
    assert error.value.field == "licence"
    assert not Asset.objects.filter(credit="Cy").exists()


def test_moving_needs_to_contribute_to_the_target(root: Collection, press: Collection, cy: User) -> None:
    own = Selection(ids=[AssetFactory(collection=press).pk])
    archive = below(root, "Archive")
    with pytest.raises(Collection.DoesNotExist):
        bulk_move(user=cy, selection=own, collection=archive)
    GrantFactory(collection=archive, user=cy, level=Level.DOWNLOAD)
    with pytest.raises(NotAllowedError):
        bulk_move(user=cy, selection=own, collection=archive)


def test_what_lies_in_the_trash_is_restored_and_deleted_by_selection(press: Collection, cy: User) -> None:
    manager = who(Level.MANAGE, press)
    first, second, third, visible = AssetFactory.create_batch(4, collection=press)
    assets_trash(asset_ids=[first.pk, second.pk, third.pk], user=cy)
    result = bulk_restore(user=cy, selection=Selection(ids=[first.pk, visible.pk]))
    assert (result.changed, refused(result)) == (1, {visible.pk: "not-found"})
    result = bulk_purge(user=cy, selection=Selection(query=""))
    assert (result.changed, refused(result)) == (
        0,
        {second.pk: "not-allowed", third.pk: "not-allowed"},
    )
    assert bulk_purge(user=manager, selection=Selection(query="", excluded=[third.pk])).changed == 1
    assert bulk_restore(user=cy, selection=Selection(query="")).changed == 1
    assert set(Asset.objects.filter(trashed_at=None)) == {first, third, visible}
    with pytest.raises(InvalidChangeError, match="nothing in the trash"):
        bulk_restore(user=cy, selection=Selection(query="dog"))


def test_albums_take_in_what_is_seen(cy: User, mixed: tuple[Asset, ...]) -> None:
    may, seen, hidden = mixed
    album = AlbumFactory(owner=cy)
    result = bulk_album_add(user=cy, selection=all_of(mixed), album=album)
    assert (result.changed, refused(result)) == (2, {hidden.pk: "not-found"})
    result = bulk_album_remove(user=cy, selection=Selection(ids=[seen.pk]), album=album)
    assert (result.changed, [entry.asset for entry in album.entries.all()]) == (1, [may])
    with pytest.raises(Album.DoesNotExist):
        bulk_album_add(user=cy, selection=all_of(mixed), album=AlbumFactory())


# --------------------------------------------------------------------- tags


def test_a_tag_given_to_many_is_what_it_would_be_given_to_each(press: Collection, cy: User) -> None:
    version = ModelVersionFactory()
    animal = TagFactory(name="animal", kind=Tag.Kind.ANCESTOR)
    dog = TagFactory(name="dog", parents=[animal])
    assets = AssetFactory.create_batch(4, collection=press)
    for asset in assets[:2]:
        PredictionFactory(asset=asset, model_version=version, tag_ids=[dog.pk], scores=[0.9])
        ClaimFactory(asset=asset, tag=dog, model_version=version)
    pairs = ((assets[0], assets[1]), (assets[2], assets[3]))
    for verdict in (Decision.Verdict.ADDED, Decision.Verdict.REJECTED, None, Decision.Verdict.ACCEPTED):
        if verdict is not None:
            for one, _ in pairs:
                decision_make(asset=one, tag=dog, verdict=verdict, user=cy)
            many = Selection(ids=[other.pk for _, other in pairs])
        else:
            many = Selection(query="")
        bulk_tag(user=cy, selection=many, tag=dog, verdict=verdict)
        for one, other in pairs:
            one.refresh_from_db()
            other.refresh_from_db()
            assert (shown(one), one.tag_ids) == (shown(other), other.tag_ids)
            assert said(one) == said(other)
    assert shown(assets[3]) == {"dog": "accepted"}
    assert set(assets[3].tag_ids) == {animal.pk, dog.pk}
    actions = {
        pk: [action for _, action, each in told() if each == pk] for pk in (assets[1].pk, assets[3].pk)
    }
    assert list(actions.values()) == [
        ["tag.accept", "tag.reject", "tag.withdraw", "tag.accept"],
        ["tag.add", "tag.reject", "tag.withdraw", "tag.add"],
    ]


def said(asset: Asset) -> list[tuple[object, ...]]:
    return list(asset.decisions.values_list("tag", "verdict", "decided_by", "model_version"))


def test_nobody_tags_what_they_may_only_see(press: Collection) -> None:
    reader, asset = who(Level.CONTRIBUTE, press), AssetFactory(collection=press)
    dog = TagFactory(name="dog")
    for user, code in ((reader, "not-allowed"), (UserFactory(), "not-found")):
        result = bulk_tag(
            user=user, selection=Selection(ids=[asset.pk]), tag=dog, verdict=Decision.Verdict.ADDED
        )
        assert (result.changed, refused(result)) == (0, {asset.pk: code})
    assert not Decision.objects.exists()
