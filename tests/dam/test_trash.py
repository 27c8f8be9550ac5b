"""The trash: out of sight at once, back as it was, and gone for ever without a trace in the sums."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from dam.assets.errors import NotAllowedError
from dam.assets.importing import import_file
from dam.assets.models import Asset, AssetVersion, Blob, Collection, Level
from dam.assets.orphans import orphans_sweep
from dam.assets.selectors import assets_in_trash, assets_visible_to
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from dam.assets.trash import (
    assets_purge,
    assets_restorable_by,
    assets_restore,
    assets_trash,
    purge_at,
    trash_empty,
)
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Prediction
from dam.tagging.recording import Recorded
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from tests.dam.factories import AlbumFactory, AssetFactory, ClaimFactory, DecisionFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who
from tests.dam.tagging_scene import SURE, answer, picture

__all__ = ["root"]

pytestmark = pytest.mark.django_db


def in_trash_since(days: int, **facts: object) -> Asset:
    asset: Asset = AssetFactory(trashed_at=timezone.now() - timedelta(days=days), **facts)
    return asset


def test_what_is_in_the_trash_nobody_sees_until_it_is_restored_to_where_it_lay(root: Collection) -> None:
    press = below(root, "Press")
    curator = who(Level.CURATE, root, "cy")
    asset = AssetFactory(collection=press)
    assert assets_trash(asset_ids=[asset.pk], user=curator) == 1
    assert not assets_visible_to(curator).exists()
    assert list(assets_in_trash(curator)) == [asset]
    with pytest.raises(Asset.DoesNotExist):
        assets_trash(asset_ids=[asset.pk], user=curator)
    assert assets_restore(asset_ids=[asset.pk], user=curator) == 1
    assert list(assets_visible_to(curator).values_list("collection", flat=True)) == [press.pk]
    assert told() == [("cy", "asset.trash", asset.pk), ("cy", "asset.restore", asset.pk)]


def test_who_contributed_a_picture_throws_it_away_and_brings_it_back(root: Collection) -> None:
    ada, ben = who(Level.CONTRIBUTE, root), who(Level.CONTRIBUTE, root)
    asset = AssetFactory(uploaded_by=ada)
    with pytest.raises(NotAllowedError):
        assets_trash(asset_ids=[asset.pk], user=ben)
    assets_trash(asset_ids=[asset.pk], user=ada)
    assert list(assets_restorable_by(ada)) == [asset]
    for stranger in (ben, UserFactory()):
        with pytest.raises(Asset.DoesNotExist):
            assets_restore(asset_ids=[asset.pk], user=stranger)
        with pytest.raises(Asset.DoesNotExist):
            assets_purge(asset_ids=[asset.pk], user=stranger)
    with pytest.raises(NotAllowedError):
        assets_purge(asset_ids=[asset.pk], user=ada)
    assets_restore(asset_ids=[asset.pk], user=ada)


def test_several_go_together_or_not_at_all(root: Collection) -> None:
    ada = who(Level.CONTRIBUTE, root)
    own, other = AssetFactory(uploaded_by=ada), AssetFactory()
    with pytest.raises(NotAllowedError):
        assets_trash(asset_ids=[own.pk, other.pk], user=ada)
    with pytest.raises(Asset.DoesNotExist):
        assets_trash(asset_ids=[own.pk, 999_999], user=ada)
    assert (assets_visible_to(ada).count(), told()) == (2, [])


def test_only_what_is_in_the_trash_is_deleted_for_ever(root: Collection) -> None:
    manager, asset = who(Level.MANAGE, root), AssetFactory()
    with pytest.raises(Asset.DoesNotExist):
        assets_purge(asset_ids=[asset.pk], user=manager)
    assert Asset.objects.filter(pk=asset.pk).exists()


def test_a_purge_takes_all_that_hangs_on_a_picture_and_leaves_the_rest(root: Collection) -> None:
    manager = who(Level.MANAGE, root, "mia")
    gone, kept = in_trash_since(1), AssetFactory()
    for asset in (gone, kept):
        ClaimFactory(asset=asset)
        DecisionFactory(asset=asset)
    album = AlbumFactory(pictures=[gone, kept], cover=gone)
    place = Collection.objects.get(pk=root.pk)
    place.cover = gone
    place.save()
    assert assets_purge(asset_ids=[gone.pk], user=manager) == 1
    assert list(Asset.objects.all()) == [kept]
    assert (Claim.objects.count(), AssetVersion.objects.count(), album.entries.count()) == (1, 1, 1)
    album.refresh_from_db()
    place.refresh_from_db()
    assert (album.cover, place.cover) == (None, None)
    assert told() == [("mia", "asset.purge", gone.pk)]


@pytest.mark.usefixtures("words")
def test_the_ledger_agrees_after_a_purge_and_a_late_answer_changes_nothing(
    root: Collection, person: User
) -> None:
    manager = who(Level.MANAGE, root)
    tagged = asset_create(stream=picture(1), filename="1.png", user=manager).asset
    result_record(result=answer(TaggingJob.objects.get(), SURE), words=vocabulary())
    waiting = asset_create(stream=picture(2), filename="2.png", user=manager).asset
    late = answer(TaggingJob.objects.get(asset=waiting), SURE)
    both = [tagged.pk, waiting.pk]
    assets_trash(asset_ids=both, user=manager)
    assert ledger().agrees
    assert assets_purge(asset_ids=both, user=manager) == 2
    assert result_record(result=late, words=vocabulary()) is Recorded.IGNORED
    sums = ledger()
    assert (sums.agrees, sums.assets, sums.jobs["issued"], Prediction.objects.count()) == (True, 0, 0, 0)


def test_the_bytes_go_with_the_next_sweep_unless_another_picture_has_them(root: Collection) -> None:
    manager = who(Level.MANAGE, root)
    alone = asset_create(stream=picture(1), filename="1.png", user=manager).asset
    shared = asset_create(stream=picture(2), filename="2.png", user=manager).asset
    other = AssetFactory()
    AssetVersion.objects.filter(asset=other).update(blob=shared.current_version.blob)
    keys = [asset.current_version.blob.key for asset in (alone, shared)]
    assets_trash(asset_ids=[alone.pk, shared.pk], user=manager)
    assets_purge(asset_ids=[alone.pk, shared.pk], user=manager)
    assert [blob_store().exists(key) for key in keys] == [True, True]
    orphans_sweep(older_than=timedelta(), force=True)
    assert [blob_store().exists(key) for key in keys] == [False, True]
    assert not Blob.objects.filter(key=keys[0]).exists()


def test_the_trash_is_emptied_of_what_lay_there_long_enough_where_one_manages(root: Collection) -> None:
    press = below(root, "Press")
    manager = who(Level.MANAGE, press)
    old, new, elsewhere = in_trash_since(31, collection=press), in_trash_since(29), in_trash_since(31)
    assert purge_at(old, kept_for=timedelta(days=30)) < timezone.now()  # type: ignore[operator]
    AssetFactory()
    assert trash_empty(older_than=timedelta(days=30), user=manager) == 1
    assert set(assets_in_trash(who(Level.CURATE, root))) == {new, elsewhere}
    assert trash_empty(older_than=timedelta(days=30)) == 1
    assert told("asset.purge")[-1] == ("", "asset.purge", elsewhere.pk)


def test_emptying_goes_in_parts_and_stops_when_asked(
    root: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dam.assets.trash._PURGED_AT_ONCE", 2)
    for _ in range(5):
        in_trash_since(2)
    parts: list[int] = []
    count = trash_empty(
        older_than=timedelta(days=1), should_stop=lambda: len(parts) == 2, advance=parts.append
    )
    assert (count, parts, Asset.objects.count()) == (4, [2, 2], 1)


def test_the_command_counts_with_dry_run_and_deletes_without(root: Collection) -> None:
    in_trash_since(31)
    in_trash_since(1)

    def say(*arguments: str) -> str:
        out = StringIO()
        call_command("trash", *arguments, stdout=out)
        return out.getvalue().strip()

    assert say("--older-than", "30d", "--dry-run") == "1 picture would be deleted for ever."
    assert json.loads(say("--older-than", "4w", "--json")) == {"pictures": 1, "dry_run": False}
    assert say("--older-than", "4w") == "0 pictures deleted for ever."
    for age in ("30", "d", "-1d", "soon"):
        with pytest.raises(CommandError, match="not an age"):
            say(f"--older-than={age}")
    assert Asset.objects.count() == 1


# ----------------------------------------------------------- the same bytes


def test_bytes_that_lie_in_ones_trash_are_brought_back_by_sending_them_again(root: Collection) -> None:
    ada, ben = who(Level.CONTRIBUTE, root), who(Level.CONTRIBUTE, root)
    first = asset_create(stream=picture(), filename="a.png", user=ada)
    assets_trash(asset_ids=[first.asset.pk], user=ada)
    of_another = asset_create(stream=picture(), filename="b.png", user=ben)
    assert (of_another.created, of_another.asset.pk != first.asset.pk) == (True, True)
    assets_trash(asset_ids=[of_another.asset.pk], user=ben)
    again = asset_create(stream=picture(), filename="c.png", user=ada)
    assert (again.created, again.asset.pk, again.asset.trashed_at) == (False, first.asset.pk, None)
    assert set(assets_visible_to(ada)) == {first.asset}
    assert told()[-1][1] == "asset.restore"


def test_bytes_sent_to_another_collection_are_a_new_picture_there(root: Collection) -> None:
    press, ada = below(root, "Press"), who(Level.CONTRIBUTE, root)
    first = asset_create(stream=picture(), filename="a.png", user=ada).asset
    assets_trash(asset_ids=[first.pk], user=ada)
    there = asset_create(stream=picture(), filename="a.png", user=ada, collection=press)
    assert (there.created, there.asset.collection) == (True, press)


def test_a_folder_that_is_imported_again_does_not_undo_what_was_thrown_away(
    root: Collection, tmp_path: Path
) -> None:
    manager, file = who(Level.MANAGE, root), tmp_path / "a.png"
    file.write_bytes(picture().read())
    first = import_file(file, user=manager, collection=root)
    assets_trash(asset_ids=[first.asset or 0], user=manager)
    again = import_file(file, user=manager, collection=root)
    assert (again.outcome, again.asset) == ("duplicate", first.asset)
    assert not assets_visible_to(manager).exists()
