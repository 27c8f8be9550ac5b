"""Decisions go out as files that training reads, and what nobody decided on stays apart."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from dam.assets.models import Asset, Collection
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from dam.tagging.exporting import assets_to_export, claims_export
from dam.tagging.models import Claim, Decision, Tag
from dam.tagging.services import decision_make, result_record
from dam.tagging.vocabulary import vocabulary
from model_training.config import DecisionsSource
from model_training.datasets.decisions import read_decisions
from pipeline.blobs import BlobStoreDownError
from pipeline.ports import DependencyDownError
from tests.dam.factories import AssetFactory, ClaimFactory, CollectionFactory, DecisionFactory, TagFactory
from tests.dam.tagging_scene import SURE, answer, picture

pytestmark = pytest.mark.django_db


def export(to: Path, *words: str, code: int = 0) -> dict[str, object]:
    """What the command says as JSON; it ends with that exit code."""
    out, ended = io.StringIO(), 0
    try:
        call_command("export_claims", "--to", str(to), "--json", *words, stdout=out)
    except SystemExit as ending:
        ended = ending.code
    assert ended == code
    return json.loads(out.getvalue())


def lines(to: Path) -> tuple[dict[str, object], dict[int, dict[str, object]]]:
    header, *assets = map(json.loads, (to / "decisions.jsonl").read_text(encoding="utf-8").splitlines())
    return header, {line["asset"]: line for line in assets}


def decide(asset: Asset, person: User, **verdicts: str) -> None:
    for slug, verdict in verdicts.items():
        tag = Tag.objects.get(slug=slug)
        decision_make(asset=asset, tag=tag, verdict=Decision.Verdict(verdict), user=person)


@pytest.fixture
def tagged(words, asset, person) -> Asset:
    """The model suggested beagle, dog and others for it."""
    result_record(result=answer(asset.jobs.get(), SURE), words=vocabulary())
    return asset


# ---------------------------------------------------------------- content


def test_accepted_rejected_and_undecided_are_kept_apart(tagged, person, tmp_path):
    decide(tagged, person, beagle="accepted", espresso="added", dog="rejected")
    assert export(tmp_path) == {"assets": 1, "decided": 1, "copied": 1, "missing": []}
    header, assets = lines(tmp_path)
    line = assets[tagged.pk]
    assert line["accepted"] == ["beagle", "espresso"]
    assert line["rejected"] == ["dog"]
    assert line["unknown"] == ["animal"]  # what the model suggests once "dog" is wrong
    assert Claim.objects.get(asset=tagged, tag__slug="animal").state == Claim.State.SUGGESTED
    assert header["tags"]["beagle"] == "beagle"
    assert header["model"] == {"name": "tagger", "version": 1, "vocabulary_id": "v"}
    exported = datetime.fromisoformat(header["exported_at"])
    assert abs((datetime.now(UTC) - exported).total_seconds()) < 600


def test_training_reads_what_was_exported(tagged, person, tmp_path):
    decide(tagged, person, beagle="accepted", espresso="rejected")
    export(tmp_path)
    source = DecisionsSource(
        kind="decisions", file=tmp_path / "decisions.jsonl", images=tmp_path / "pictures"
    )
    (example,) = read_decisions(source).examples
    assert (example.positive, example.negative) == ({"beagle"}, {"espresso"})
    assert example.path.read_bytes() == picture().getvalue()
    assert hashlib.sha256(example.path.read_bytes()).hexdigest() == example.sha256


def test_people_are_told_how_much_there_is(tagged, person, tmp_path):
    decide(tagged, person, beagle="accepted")
    out = io.StringIO()
    call_command("export_claims", "--to", str(tmp_path), stdout=out)
    sums = "1 assets, 1 with a decision, 1 pictures copied"
    assert out.getvalue() == f"{tmp_path / 'decisions.jsonl'}: {sums}\n"


def test_an_asset_without_a_decision_is_listed_without_its_picture(tagged, tmp_path):
    done = export(tmp_path, code=1)
    assert (done["assets"], done["decided"], done["copied"]) == (1, 0, 0)
    (line,) = lines(tmp_path)[1].values()
    assert line["accepted"] == line["rejected"] == []
    assert line["unknown"]
    assert not list((tmp_path / "pictures").iterdir())


def test_an_asset_of_which_nobody_said_anything_is_left_out(tagged, person, tmp_path):
    AssetFactory()
    decide(tagged, person, beagle="accepted")
    export(tmp_path)
    assert list(lines(tmp_path)[1]) == [tagged.pk]


def test_every_asset_comes_once_however_many_there_are(monkeypatch, tmp_path):
    monkeypatch.setattr("dam.tagging.exporting._AT_ONCE", 3)
    made = [DecisionFactory().asset_id for _ in range(8)]
    for asset in Asset.objects.filter(pk__in=made[:4]):
        ClaimFactory(asset=asset)
    seen: list[int] = []
    claims_export(assets=assets_to_export(), to=tmp_path, copy_pictures=False, advance=seen.append)
    assert list(lines(tmp_path)[1]) == made
    assert seen == [3, 6, 8]


# ---------------------------------------------------------------- which


def test_a_collection_is_exported_with_all_below_it(tmp_path):
    travel, other = CollectionFactory(name="Travel"), CollectionFactory(name="Work")
    inner = Collection.objects.add_child(travel, create_kwargs={"name": "2026"})
    made = {
        place.name: DecisionFactory(asset=AssetFactory(collection=place)).asset_id
        for place in (travel, inner, other)
    }
    export(tmp_path, "--no-copy-pictures", "--collection", "Travel")
    assert set(lines(tmp_path)[1]) == {made["Travel"], made["2026"]}
    export(tmp_path, "--no-copy-pictures", "--collection", "Travel/2026")
    assert set(lines(tmp_path)[1]) == {made["2026"]}
    with pytest.raises(CommandError, match="no collection “Nowhere”"):
        call_command("export_claims", "--to", str(tmp_path), "--collection", "Nowhere")


def test_since_takes_assets_with_a_younger_decision_and_all_that_was_decided_on_them(tmp_path):
    def decided(asset: Asset, tag: Tag, day: int) -> None:
        DecisionFactory(asset=asset, tag=tag, decided_at=datetime(2026, 3, day, 12, tzinfo=UTC))

    cat, dog = TagFactory(name="cat"), TagFactory(name="dog")
    both, old = AssetFactory(), AssetFactory()
    decided(both, cat, 1)
    decided(both, dog, 9)
    decided(old, cat, 1)
    export(tmp_path, "--no-copy-pictures", "--since", "2026-03-05")
    assert {key: line["accepted"] for key, line in lines(tmp_path)[1].items()} == {both.pk: ["cat", "dog"]}
    export(tmp_path, "--no-copy-pictures", "--since", "2026-03-09T13:00+00:00", code=1)
    assert lines(tmp_path)[1] == {}
    with pytest.raises(CommandError, match="'yesterday' is no date"):
        call_command("export_claims", "--to", str(tmp_path), "--since", "yesterday")


# ---------------------------------------------------------------- files


def test_running_it_again_replaces_the_list_and_copies_only_what_is_new(tagged, person, tmp_path):
    decide(tagged, person, beagle="accepted")
    export(tmp_path)
    second = asset_create(stream=picture(200), filename="b.png", user=person).asset
    decide(second, person, espresso="accepted")
    assert export(tmp_path) == {"assets": 2, "decided": 2, "copied": 1, "missing": []}
    assert set(lines(tmp_path)[1]) == {tagged.pk, second.pk}
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_a_picture_whose_bytes_are_gone_is_left_out_and_told_of(tagged, person, tmp_path):
    gone = DecisionFactory().asset_id  # the factory stores no bytes
    decide(tagged, person, beagle="accepted")
    assert export(tmp_path, code=1) == {"assets": 1, "decided": 1, "copied": 1, "missing": [gone]}
    assert set(lines(tmp_path)[1]) == {tagged.pk}


def test_an_outage_leaves_the_list_from_before(tagged, person, tmp_path, monkeypatch):
    decide(tagged, person, beagle="accepted")
    export(tmp_path)
    before = (tmp_path / "decisions.jsonl").read_bytes()
    second = asset_create(stream=picture(200), filename="b.png", user=person).asset
    decide(second, person, espresso="accepted")

    def down(key: str) -> None:
        raise BlobStoreDownError("no answer")

    monkeypatch.setattr(blob_store(), "open", down)
    with pytest.raises(CommandError, match="no answer") as raised:
        call_command("export_claims", "--to", str(tmp_path))
    assert isinstance(raised.value.__cause__, DependencyDownError)
    assert (tmp_path / "decisions.jsonl").read_bytes() == before
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".jsonl", ".png"}


def test_a_folder_that_cannot_be_written_is_told_of(tagged, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_claims", "--to", str(tmp_path / "file" / "inside"))
