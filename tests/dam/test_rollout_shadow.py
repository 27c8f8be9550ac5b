"""What the challenger is shown, and that nobody sees its answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.rollout import shadow
from dam.rollout.models import Rollout
from dam.rollout.selectors import shadow_progress
from dam.rollout.services import serving_report, version_undo
from dam.rollout.shadow import shadow_issue
from tests.dam.factories import AssetFactory, ModelVersionFactory, TagFactory, job_close
from tests.dam.rollout_scene import answered, decided, versions

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair():
    one, two = versions(2)
    serving_report(champion=one)
    return one, two


def challenge(pair, **rules):
    """The second is tried, with these rules."""
    serving_report(champion=pair[0], challenger=pair[1])
    Rollout.objects.update(**({"sample_size": 0, "shadow_share": 0} | rules))


def tagged(pair, count):
    """Pictures that the champion answers."""
    assets = AssetFactory.create_batch(count, uploaded_by=None)
    for asset in assets:
        answered(asset, pair[0])
    return assets


def shadowed():
    """Assets with a shadow job, in the order of issue."""
    jobs = TaggingJob.objects.filter(purpose="shadow").order_by("pk")
    assert set(jobs.values_list("model_label", "bulk")) <= {("challenger", True)}
    return list(jobs.values_list("asset", flat=True))


def test_without_a_challenger_nothing_is_shown(pair):
    tagged(pair, 2)
    assert shadow_issue() == 0
    challenge(pair, sample_size=10)
    assert shadow_issue(should_stop=lambda: True) == 0
    version_undo(version=pair[1], user=None, reason="bad")
    assert shadow_issue() == 0


# ------------------------------------------------------------------ traffic


def test_what_is_answered_from_now_on_is_shown_once(pair):
    tagged(pair, 2)
    challenge(pair, shadow_share=1)
    assert shadow_issue() == 0
    new = tagged(pair, 3)
    assert shadow_issue() == 3
    assert sorted(shadowed()) == [asset.pk for asset in new]
    answered(new[0], pair[0])
    assert shadow_issue() == 0


def test_a_share_of_the_assets_is_always_the_same(pair):
    challenge(pair, shadow_share=0.3)
    assets = tagged(pair, 40)
    shadow_issue()
    chosen = shadowed()
    assert 3 <= len(chosen) <= 24
    TaggingJob.objects.all().delete()
    for asset in assets:
        answered(asset, pair[0])
    shadow_issue()
    assert shadowed() == chosen


def test_answers_that_are_not_live_or_of_an_old_file_or_the_challengers_own_are_passed_over(pair):
    challenge(pair, shadow_share=1)
    campaign, old, canary, shown = AssetFactory.create_batch(4)
    answered(campaign, pair[0], purpose="campaign")
    answered(old, pair[0])
    Asset.objects.filter(pk=old.pk).update(current_version=None)
    answered(canary, pair[1])
    answered(shown, pair[0])
    assert shadow_issue() == 1
    assert shadowed() == [shown.pk]


def test_no_more_than_so_many_are_open_and_the_rest_follows(pair, monkeypatch):
    monkeypatch.setattr(shadow, "MOST_OPEN", 3)
    challenge(pair, shadow_share=1)
    assets = tagged(pair, 5)
    assert shadow_issue() == 3
    assert shadow_issue() == 0
    assert shadow_progress().open == 3
    job_close(TaggingJob.objects.filter(purpose="shadow").first())
    assert shadow_issue() == 1
    for job in TaggingJob.objects.filter(purpose="shadow", state="queued"):
        job_close(job)
    assert shadow_issue() == 1
    assert sorted(shadowed()) == [asset.pk for asset in assets]


def test_a_shadow_job_leaves_the_asset_as_people_see_it(pair):
    challenge(pair, shadow_share=1)
    (asset,) = tagged(pair, 1)
    shadow_issue()
    after = Asset.objects.get(pk=asset.pk)
    assert (after.state, after.generation) == ("tagged", 2)


# ------------------------------------------------------------------- sample


def test_the_sample_begins_with_what_people_decided_on_newest_first(pair):
    assets = tagged(pair, 30)
    dog = TagFactory(name="dog")
    for hours, asset in ((3, assets[4]), (1, assets[9]), (2, assets[20])):
        decided(asset, {dog: "accepted"}, at=timezone.now() - timedelta(hours=hours))
    challenge(pair, sample_size=2)
    assert shadow_issue() == 2
    assert sorted(shadowed()) == [assets[9].pk, assets[20].pk]
    assert shadow_progress().wanted == 0
    assert shadow_issue() == 0


def test_the_rest_of_the_sample_is_spread_over_the_library(pair):
    assets = tagged(pair, 50)
    challenge(pair, sample_size=10)
    shadow_issue()
    places = sorted(asset - assets[0].pk for asset in shadowed())
    assert len(places) == 10
    assert places[0] < 10
    assert places[-1] >= 40


def test_a_small_library_is_shown_as_a_whole_and_then_no_more(pair, monkeypatch):
    monkeypatch.setattr(shadow, "MOST_OPEN", 4)
    assets = tagged(pair, 6)
    AssetFactory(state="failed", reason="corrupt")
    challenge(pair, sample_size=100)
    issued = []
    while (count := shadow_issue()) or shadow_progress().wanted:
        issued.append(count)
        for job in TaggingJob.objects.filter(purpose="shadow", state="queued"):
            job_close(job)
    assert sum(issued) == 6
    assert sorted(shadowed()) == [asset.pk for asset in assets]


def test_pictures_that_it_answered_already_are_not_asked_again(pair):
    seen, unseen = tagged(pair, 2)
    answered(seen, pair[1], purpose="shadow")
    challenge(pair, sample_size=10)
    assert shadow_issue() == 1
    assert shadowed() == [unseen.pk]


def test_another_challenger_gets_a_sample_of_its_own(pair):
    tagged(pair, 2)
    challenge(pair, sample_size=10)
    assert shadow_issue() == 2
    three = ModelVersionFactory(version=3)
    serving_report(champion=pair[0], challenger=three)
    assert shadow_issue() == 2
