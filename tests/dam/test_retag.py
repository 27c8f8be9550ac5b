"""``vitrine retag``: a campaign for what another version tagged, never too much of it at a time."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from dam.assets.models import Asset
from dam.assets.services import assets_request_tags
from dam.jobs.models import TaggingJob
from dam.search.management.commands import retag
from dam.tagging.models import ModelVersion
from dam.tagging.retagging import assets_retag
from pipeline.telemetry.requests import for_request
from tests.dam.factories import (
    AssetFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
    TaggingJobFactory,
    job_close,
)

pytestmark = pytest.mark.django_db
Purpose = TaggingJob.Purpose


def run(*arguments: str) -> dict[str, Any]:
    output = StringIO()
    call_command("retag", *arguments, "--json", stdout=output)
    return json.loads(output.getvalue())


def open_campaign() -> list[TaggingJob]:
    return list(TaggingJob.objects.filter(purpose="campaign", state__in=("queued", "published")))


def answer_open(count: int, version: ModelVersion) -> None:
    for job in open_campaign()[:count]:
        PredictionFactory(
            asset=job.asset, generation=job.generation, model_version=version, purpose="campaign"
        )
        job_close(job)


@pytest.fixture
def champion() -> ModelVersion:
    return ModelVersionFactory(alias="champion")


@pytest.fixture
def old(champion: ModelVersion) -> list[Asset]:
    """Five pictures that another version tagged, beside what is none of the campaign's business."""
    other, withdrawn = ModelVersionFactory(version=901), ModelVersionFactory(version=902)
    assets = [PredictionFactory(model_version=other).asset for _ in range(5)]
    # It tagged this one last, and was undone since.
    PredictionFactory(asset=assets[0], model_version=withdrawn, generation=2)
    ModelVersion.objects.filter(pk=withdrawn.pk).update(withdrawn_at="2026-11-22T10:00:00Z")
    done = PredictionFactory(model_version=other).asset
    PredictionFactory(asset=done, model_version=champion, generation=2)
    PredictionFactory(asset=done, model_version=other, generation=3, purpose="shadow")
    TaggingJobFactory(asset=PredictionFactory(model_version=other).asset)
    AssetFactory(state="failed", reason="corrupt")
    return assets


def test_pictures_of_another_version_get_a_campaign_job_once(old: list[Asset]) -> None:
    assert run("--dry-run") == {"found": 5, "issued": 0, "open": 0, "dry_run": True}
    assert run() == {"found": 5, "issued": 5, "open": 5, "dry_run": False}
    jobs = open_campaign()
    assert {job.asset_id for job in jobs} == {asset.pk for asset in old}
    # Without a label: whatever is in service answers, also after a roll-back.
    assert {(job.bulk, job.model_label, job.generation) for job in jobs} == {(True, "", 2)}
    assert run()["found"] == 0
    assert {asset.state for asset in Asset.objects.filter(pk__in=[asset.pk for asset in old])} == {"tagged"}


def test_never_more_are_open_than_asked_for_and_the_rest_follows(
    old: list[Asset], champion: ModelVersion, monkeypatch
) -> None:
    counts: list[int] = []

    def answered() -> None:
        counts.append(len(open_campaign()))
        answer_open(1, champion)

    monkeypatch.setattr(retag, "_pause", answered)
    assert run("--open", "2", "--wait") == {"found": 5, "issued": 5, "open": 0, "dry_run": False}
    assert counts == [2, 2, 2, 2, 1]


def test_what_was_stopped_is_gone_on_with(old: list[Asset], champion: ModelVersion, monkeypatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retag, "_pause", interrupt)
    with pytest.raises(CommandError, match="run it again"):
        run("--open", "2")
    assert len(open_campaign()) == 2
    answer_open(2, champion)
    assert run() == {"found": 3, "issued": 3, "open": 3, "dry_run": False}


def test_a_query_and_a_version_choose_among_them(old: list[Asset], champion: ModelVersion) -> None:
    Asset.objects.filter(pk=old[3].pk).update(tag_ids=[TagFactory(name="beagle").pk])
    third = PredictionFactory(asset=old[4], model_version__version=77, generation=2)
    assert run("--query", "tag:beagle", "--dry-run")["found"] == 1
    assert run("--model-version", "77")["issued"] == 1
    assert [job.asset_id for job in open_campaign()] == [third.asset_id]
    assert run("--label", "challenger", "--model-version", str(champion.version))["issued"] == 1
    assert {job.model_label for job in open_campaign()} == {"", "challenger"}
    assert run("--model-version", str(champion.version), "--dry-run")["found"] == 0


def test_a_picture_is_tagged_by_the_same_version_again_if_that_is_asked_for(champion: ModelVersion) -> None:
    PredictionFactory(model_version=champion)
    assert run()["issued"] == 0
    assert run("--again")["issued"] == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "no version is known to serve as champion"),
        (("--query", "("), "cannot be understood"),
        (("--model-version", "5"), "there is no version 5"),
    ],
)
def test_what_names_no_pictures_is_refused(arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


def test_many_are_asked_for_in_few_queries(django_assert_max_num_queries) -> None:
    assets = AssetFactory.create_batch(8)
    with django_assert_max_num_queries(30):
        issued = assets_retag(assets=Asset.objects.all(), most_open=100, pause=lambda: None)
    assert issued == 8
    assert sorted(job.asset_id for job in open_campaign()) == [asset.pk for asset in assets]


def test_the_bulk_form_of_a_request_does_what_the_single_one_does(django_assert_max_num_queries) -> None:
    tagged, failed = AssetFactory(generation=3), AssetFactory(state="failed", reason="corrupt", generation=1)
    AssetFactory()
    asked = [failed.pk, tagged.pk, 10**9]
    with django_assert_max_num_queries(8), for_request("r"):
        issued = assets_request_tags(asset_ids=asked, purpose=Purpose.LIVE)
    assert issued == 2
    jobs = TaggingJob.objects.order_by("asset")
    assert list(jobs.values_list("asset", "generation", "bulk", "request_id", "sha256")) == [
        (tagged.pk, 4, True, "r", tagged.current_version.blob.sha256),
        (failed.pk, 2, True, "r", failed.current_version.blob.sha256),
    ]
    assert dict(Asset.objects.filter(pk__in=asked).values_list("pk", "state")) == {
        tagged.pk: "tagged",
        failed.pk: "pending",
    }
    assets_request_tags(asset_ids=[tagged.pk], purpose=Purpose.SHADOW, model_label="challenger")
    shadow = TaggingJob.objects.get(asset=tagged, generation=5)
    assert (shadow.purpose, shadow.bulk, shadow.model_label) == ("shadow", True, "challenger")
