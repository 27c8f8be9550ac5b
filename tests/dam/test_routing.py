"""Which version a job asks for: live traffic by the routes in force, the canary's share by its asset."""

from __future__ import annotations

import pytest

from dam.assets.replays import dead_letter_replay
from dam.jobs.models import DeadLetter, Routing, TaggingJob
from dam.jobs.routing import Routes, share_place
from dam.jobs.services import jobs_publish
from pipeline.messages import TagRequest
from pipeline.ports import QueueFullError
from tests.dam.factories import TaggingJobFactory, job_close

pytestmark = pytest.mark.django_db
Purpose = TaggingJob.Purpose


class Taking:
    """A publisher that keeps the label of each job, and refuses what it is told to refuse."""

    def __init__(self, *refused: int) -> None:
        self.labels: dict[int, str] = {}
        self._refused = frozenset(refused)

    def publish(self, messages) -> None:
        for place, message in enumerate(messages):
            if place not in self._refused:
                request = TagRequest.model_validate_json(message.body)
                self.labels[request.job_id] = request.model_label
        if self._refused:
            raise QueueFullError(self._refused, frozenset({"tagging.bulk"}))


def published() -> dict[int, str]:
    taking = Taking()
    jobs_publish(publisher=taking)  # type: ignore[arg-type]
    return taking.labels


def routes(**changes: object) -> None:
    facts = {"live_label": "champion", "trial_label": "challenger", "trial_share": 0.5, "salt": "7"}
    Routing.objects.update_or_create(pk=1, defaults=facts | changes)


def test_before_any_version_is_known_to_serve_jobs_ask_for_the_servers_default() -> None:
    job = TaggingJobFactory()
    assert published() == {job.pk: ""}


def test_jobs_that_ask_for_no_version_ask_for_the_one_in_service() -> None:
    routes(trial_share=0)
    jobs = [
        TaggingJobFactory(),
        TaggingJobFactory(purpose=Purpose.CAMPAIGN, bulk=True),
        TaggingJobFactory(purpose=Purpose.TRY, asset=None),
        TaggingJobFactory(purpose=Purpose.SHADOW, bulk=True, model_label="challenger"),
        TaggingJobFactory(purpose=Purpose.CAMPAIGN, bulk=True, model_label="predecessor"),
    ]
    labels = ["champion", "champion", "champion", "challenger", "predecessor"]
    assert published() == dict(zip([job.pk for job in jobs], labels, strict=True))
    assert list(TaggingJob.objects.order_by("pk").values_list("model_label", flat=True)) == [
        *[""] * 3,
        *labels[3:],
    ]


def test_only_new_pictures_are_given_to_the_version_on_trial() -> None:
    routes(trial_share=1)
    live = TaggingJobFactory()
    others = [
        TaggingJobFactory(purpose=Purpose.CAMPAIGN, bulk=True),
        TaggingJobFactory(purpose=Purpose.TRY, asset=None),
    ]
    assert published() == {live.pk: "challenger", **{job.pk: "champion" for job in others}}


def test_the_share_on_trial_is_as_stated_and_an_asset_is_always_routed_the_same_way() -> None:
    route = Routes(live_label="champion", trial_label="challenger", trial_share=0.2, salt="3")
    labels = [
        [route.label_of(purpose="live", asset_id=number, model_label="") for number in range(5_000)]
        for _ in range(2)
    ]
    assert labels[0] == labels[1]
    assert labels[0].count("challenger") == pytest.approx(1_000, abs=120)
    # A larger share takes those of the smaller one along; another salt chooses others.
    larger = route._replace(trial_share=0.4)
    elsewhere = route._replace(salt="4")
    chosen = [number for number, label in enumerate(labels[0]) if label == "challenger"]
    for other, overlap in ((larger, 1.0), (elsewhere, 0.2)):
        again = [other.label_of(purpose="live", asset_id=number, model_label="") for number in chosen]
        assert again.count("challenger") / len(chosen) == pytest.approx(overlap, abs=0.06)


def test_a_job_on_trial_keeps_its_label_if_the_queue_took_it() -> None:
    routes(trial_share=1)
    taken, refused = TaggingJobFactory(bulk=True), TaggingJobFactory(bulk=True)
    with pytest.raises(QueueFullError):
        jobs_publish(publisher=Taking(1))  # type: ignore[arg-type]
    assert dict(TaggingJob.objects.values_list("pk", "model_label")) == {
        taken.pk: "challenger",
        refused.pk: "",
    }
    routes(trial_share=0)
    assert published() == {refused.pk: "champion"}


def test_after_a_roll_back_the_next_job_asks_for_the_predecessor() -> None:
    routes(trial_share=0)
    TaggingJobFactory()
    published()
    routes(trial_share=0, live_label="predecessor")
    job = TaggingJobFactory()
    assert published() == {job.pk: "predecessor"}


def test_the_replay_of_a_picture_on_trial_is_routed_anew() -> None:
    job = TaggingJobFactory(model_label="challenger")
    job_close(job, failed=True, reason="dead-lettered")
    letter = DeadLetter.objects.create(
        digest="d",
        queue="tagging.interactive.dead",
        body=TagRequest(
            job_id=job.pk,
            generation=job.generation,
            purpose="live",
            blob_key="k",
            sha256="s",
            media_type="image/png",
            requested_at="2026-11-22T10:00:00Z",
        )
        .model_dump_json()
        .encode(),
        job=job,
        generation=job.generation,
    )
    assert dead_letter_replay(letter=letter).job.model_label == ""


def test_places_of_assets_are_spread_evenly() -> None:
    places = sorted(share_place(number, salt="x") for number in range(2_000))
    assert max(abs(place - number / 2_000) for number, place in enumerate(places)) < 0.05
