"""Two versions on the pictures of a library, and what the gate says."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dam.assets.models import Asset, AssetVersion
from dam.rollout import facts
from dam.rollout.gate import judge
from dam.rollout.models import Rollout
from dam.rollout.selectors import comparison_of
from dam.tagging.models import Prediction, Tag
from tests.dam.factories import AssetFactory, BlobFactory, StaffFactory, TagFactory, UserFactory
from tests.dam.rollout_scene import answered, decided, reviewed_library, versions

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair():
    return versions(2)


def compared(pair, **options):
    return comparison_of(champion=pair[0], challenger=pair[1], **options)


def rates(measure):
    return [(rate.right, rate.of) for rate in (measure.champion, measure.challenger)]


# -------------------------------------------------------------- comparison


def test_precision_and_recall_follow_from_what_people_decided(pair):
    dog, cat, sun = TagFactory(name="dog"), TagFactory(name="cat"), TagFactory(name="sun")
    one, two = AssetFactory.create_batch(2)
    answered(one, pair[0], dog, sun, unsure=[cat])
    answered(one, pair[1], dog, cat)
    answered(two, pair[0], cat)
    answered(two, pair[1], dog, unsure=[cat], purpose="shadow")
    decided(one, {dog: "accepted", cat: "rejected"})
    decided(two, {dog: "added", cat: "rejected"})
    found = compared(pair)
    assert (found.pictures, found.reviewed_pictures, found.reviews) == (2, 2, 4)
    assert rates(found.precision) == [(1, 2), (2, 3)]
    assert rates(found.recall) == [(1, 2), (2, 2)]
    # Shown, and nobody said anything of it.
    assert (found.unknown_of_champion, found.unknown_of_challenger) == (1, 0)
    of_dog, of_cat = sorted(found.tags, key=lambda tag: tag.change.tag.slug, reverse=True)
    assert rates(of_dog.recall) == [(1, 2), (2, 2)]
    assert rates(of_cat.precision) == [(0, 1), (0, 1)]
    assert rates(of_cat.recall) == [(0, 0), (0, 0)]
    assert of_cat.recall.difference is None


def test_tags_that_nobody_decided_on_are_told_apart(pair):
    dog, sun = TagFactory(name="dog"), TagFactory(name="sun")
    one, two = AssetFactory.create_batch(2)
    for asset in (one, two):
        answered(asset, pair[0], dog)
        answered(asset, pair[1], dog, sun)
    decided(one, {dog: "accepted"})
    found = compared(pair, user=UserFactory())
    assert [tag.change.tag.slug for tag in found.tags] == ["dog"]
    (change,) = found.unreviewed_tags
    assert (change.tag.slug, change.gained, change.lost) == ("sun", 2, 0)
    assert set(change.gained_on) == {one.pk, two.pk}
    assert (change.shown_by_champion, change.shown_by_challenger) == (0, 2)


def test_what_lies_above_a_shown_tag_is_said_too(pair):
    animal = TagFactory(name="animal", kind="ancestor")
    dog = TagFactory(name="dog", parents=[animal])
    cat = TagFactory(name="cat", parents=[animal])
    asset = AssetFactory()
    answered(asset, pair[0], dog)
    answered(asset, pair[1], cat)
    decided(asset, {animal: "accepted", dog: "rejected"})
    found = compared(pair)
    assert rates(found.precision) == [(1, 2), (1, 1)]
    assert rates(found.recall) == [(1, 1), (1, 1)]


def test_decisions_on_tags_that_neither_knows_are_left_out(pair):
    dog, own = TagFactory(name="dog"), TagFactory(name="ours", kind="own")
    asset = AssetFactory()
    answered(asset, pair[0], dog)
    answered(asset, pair[1], dog)
    decided(asset, {dog: "accepted", own: "added"})
    found = compared(pair)
    assert (found.reviews, found.left_out) == (1, 1)
    assert rates(found.recall) == [(1, 1), (1, 1)]


def test_only_the_newest_answer_for_the_current_file_counts(pair):
    dog, cat = TagFactory(name="dog"), TagFactory(name="cat")
    asset, changed = AssetFactory.create_batch(2)
    answered(asset, pair[0], cat)
    answered(asset, pair[0], dog)
    answered(asset, pair[1], dog)
    answered(changed, pair[0], dog)
    answered(changed, pair[1], cat)
    file = AssetVersion.objects.create(asset=changed, number=2, blob=BlobFactory(), filename="b.jpg")
    Asset.objects.filter(pk=changed.pk).update(current_version=file)
    found = compared(pair)
    assert (found.pictures, found.gained, found.lost) == (1, 0, 0)


def test_thresholds_in_force_decide_what_a_version_shows(pair):
    dog = TagFactory(name="dog", threshold=0.95)
    asset = AssetFactory()
    answered(asset, pair[0], dog)
    answered(asset, pair[1], dog)
    decided(asset, {dog: "accepted"})
    assert rates(compared(pair).recall) == [(0, 1), (0, 1)]
    Tag.objects.update(threshold=0.5)
    assert rates(compared(pair).recall) == [(1, 1), (1, 1)]


def test_samples_are_pictures_that_the_user_may_see(pair, monkeypatch):
    sun = TagFactory(name="sun")
    seen, unseen = AssetFactory.create_batch(2)
    for asset in (seen, unseen):
        answered(asset, pair[0])
        answered(asset, pair[1], sun)
    monkeypatch.setattr(facts, "assets_visible_to", lambda _user: Asset.objects.filter(pk=seen.pk))
    (change,) = compared(pair, user=UserFactory()).unreviewed_tags
    assert (change.gained, change.gained_on) == (2, (seen.pk,))
    (change,) = compared(pair).unreviewed_tags
    assert (change.gained, change.gained_on) == (2, ())


def test_reviewed_pictures_come_first_when_there_are_too_many(pair, monkeypatch):
    monkeypatch.setattr(facts, "MOST_PICTURES", 3)
    dog = TagFactory(name="dog")
    assets = AssetFactory.create_batch(5)
    for asset in assets:
        answered(asset, pair[0], dog)
        answered(asset, pair[1], dog)
    decided(assets[0], {dog: "accepted"})
    found = compared(pair)
    assert (found.pictures, found.is_cut, found.reviews) == (3, True, 1)


def test_times_are_those_of_the_answers_that_have_one(pair):
    for ms in (10, 20, 30):
        asset = AssetFactory()
        answered(asset, pair[0], predict_ms=ms)
        answered(asset, pair[1], predict_ms=2 * ms if ms < 30 else None)
    times = compared(pair).predict_ms
    assert (times.champion, times.challenger) == (20, 30)
    assert times.ratio == pytest.approx(30 / 20)


def test_a_comparison_is_the_same_every_time_and_can_be_told_as_json(pair):
    reviewed_library(*pair, pictures=12, wrong_of_champion=3, wrong_of_challenger=5)
    first, second = compared(pair), compared(pair)
    assert first == second
    told = json.loads(json.dumps(first.as_dict()))
    assert told["precision"]["champion"]["right"] == 9
    assert told["precision"]["difference"]["low"] < told["precision"]["difference"]["estimate"] < 0
    assert "tags" not in first.summary()


def test_without_a_picture_that_both_answered_nothing_is_known(pair):
    found = compared(pair)
    assert (found.pictures, found.reviews, found.precision.difference) == (0, 0, None)
    verdict = judge(found, Rollout())
    assert not verdict.passes


# Each picture gets tags of its own choice, the same ones every time.
LARGE_LIBRARY = """
CREATE TEMPORARY TABLE choice ON COMMIT DROP AS
SELECT picture, ARRAY(
    SELECT id FROM tagging_tag ORDER BY hashint8(id * 1000003 + picture) LIMIT 12) AS tags
FROM generate_series(1, 10000) AS picture;

INSERT INTO assets_asset (collection_id, filename, sort_name, title, description, width, height, size,
    media_type, camera, created_at, updated_at, state, reason, detail, generation, tag_ids)
SELECT collection_id, filename, sort_name, title, description, width, height, size,
    media_type, camera, created_at, updated_at, state, reason, detail, generation, tag_ids
FROM assets_asset, generate_series(1, 4999);

INSERT INTO assets_assetversion (asset_id, number, blob_id, filename, header, placeholder, renditions,
    created_at)
SELECT asset.id, 2, blob.id, asset.filename, '{}', '', '{}', now()
FROM assets_asset AS asset, assets_blob AS blob;

UPDATE assets_asset SET current_version_id = file.id FROM assets_assetversion AS file
WHERE file.asset_id = assets_asset.id AND file.number = 2;

INSERT INTO tagging_prediction (asset_id, asset_version_id, model_version_id, generation, purpose, tag_ids,
    scores, predict_ms, created_at)
SELECT asset.id, asset.current_version_id, model.id, 1, 'live', choice.tags,
    ARRAY(SELECT 0.95 - 0.08 * place FROM generate_series(0, 11) AS place), 20, now()
FROM tagging_modelversion AS model, (
    SELECT *, row_number() OVER (ORDER BY id) AS place FROM assets_asset) AS asset, choice
WHERE choice.picture = asset.place + 5000 * (model.version - 1);

INSERT INTO tagging_decision (asset_id, tag_id, verdict, decided_at)
SELECT asset_id, tag_ids[place], CASE place WHEN 1 THEN 'accepted' ELSE 'rejected' END, now()
FROM tagging_prediction, generate_series(1, 2) AS place ON CONFLICT DO NOTHING;
"""


def test_five_thousand_pictures_are_compared_by_a_few_questions_to_the_database(pair):
    Tag.objects.bulk_create(
        Tag(slug=f"tag-{number}", name=f"tag {number}", lookup=[f"tag {number}"]) for number in range(200)
    )
    AssetFactory()
    with connection.cursor() as cursor:
        cursor.execute(LARGE_LIBRARY)
    with CaptureQueriesContext(connection) as queries:
        found = compared(pair, user=StaffFactory())
    assert (found.pictures, len(found.tags), found.is_cut) == (5000, 200, False)
    assert found.reviews > 15_000
    assert len(queries) < 15


# --------------------------------------------------------------------- gate


def verdict(pair, **rules):
    return judge(compared(pair), Rollout(**rules))


def test_a_version_that_is_as_good_passes(pair):
    reviewed_library(*pair, wrong_of_champion=4, wrong_of_challenger=4)
    found = verdict(pair)
    assert found.passes, found.reasons


def test_too_few_pictures_or_decisions_prove_nothing(pair):
    reviewed_library(*pair, pictures=10)
    pictures, reviews = verdict(pair).reasons
    assert pictures == "Both versions have answered 10 pictures; 50 are needed."
    assert reviews == "People have decided on 20 tags of these pictures; 30 are needed."
    assert verdict(pair, min_pictures=10, min_reviews=20).passes


def test_what_may_be_worse_does_not_pass(pair):
    reviewed_library(*pair, wrong_of_challenger=6)
    precision, recall = verdict(pair).reasons
    assert re.match(
        r"Precision may be 1\d points lower \(95 % interval of the difference: −1\d to ", precision
    )
    assert precision.endswith("at most 5 may be lost.")
    assert re.match(r"Recall may be 1\d points lower", recall)
    assert verdict(pair, most_precision_lost=0.5, most_recall_lost=0.5).passes


def test_what_is_slower_does_not_pass(pair):
    reviewed_library(*pair)
    Prediction.objects.filter(model_version=pair[1]).update(predict_ms=16)
    (reason,) = verdict(pair).reasons
    assert reason == "An answer takes 1.60 times as long as the champion's; 1.5 times are allowed."
    assert verdict(pair, most_times_slower=1.7).passes


def test_a_few_milliseconds_are_the_batches_and_not_the_versions(pair):
    reviewed_library(*pair)
    Prediction.objects.filter(model_version=pair[0]).update(predict_ms=2)
    Prediction.objects.filter(model_version=pair[1]).update(predict_ms=6)
    assert verdict(pair).passes


def test_without_decisions_that_tell_precision_nothing_passes(pair):
    dog = TagFactory(name="dog")
    for asset in AssetFactory.create_batch(4):
        answered(asset, pair[0], dog)
        answered(asset, pair[1], unsure=[dog])
        decided(asset, {dog: "accepted"})
    reasons = verdict(pair, min_pictures=1, min_reviews=1).reasons
    assert reasons[0] == "How precision changes cannot be told from what people decided."


def test_what_is_worth_knowing_is_said_beside_it(pair):
    dog, sun = TagFactory(name="dog"), TagFactory(name="sun")
    asset = AssetFactory()
    answered(asset, pair[0], dog)
    answered(asset, pair[1], dog, sun)
    decided(asset, {dog: "accepted"})
    notes = verdict(pair).notes
    assert "People decided nothing on 1 of the tags that the challenger shows, and on 0 of the" in notes[0]
    assert notes[-1] == "How long answers take is not known of both."
