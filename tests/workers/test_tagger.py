"""What a worker does with pictures, over a real queue and a real blob store."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.blobs import FolderBlobStore, original_key
from pipeline.messages import FailureReason, Outcome, Purpose, TagResult
from pipeline.ports import BlobMissingError
from pipeline.preprocess import read_header
from pipeline.topology import BULK, INTERACTIVE
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.desk import Desk, wait_until

Start = Callable[..., object]


def test_a_picture_is_tagged_with_scores_embedding_facts_and_renditions(
    start_worker: Start, desk: Desk, blobs: FolderBlobStore
) -> None:
    start_worker()
    request = desk.request(pictures.oriented(6, "PNG", pictures.corners(200, 100)))

    (result,) = desk.answers(desk.ask(request))

    assert (result.outcome, result.reason) == (Outcome.TAGGED, None)
    assert (result.job_id, result.generation, result.purpose) == (request.job_id, 1, Purpose.LIVE)
    assert result.request_id == request.request_id
    assert result.model == model_spec().identity
    means = pictures.corners(200, 100).reshape(-1, 3).mean(axis=0) / 255
    assert {s.label: pytest.approx(s.score, abs=0.01) for s in result.scores} == dict(
        zip(("red", "green", "blue"), means, strict=True)
    )
    embedding = result.embedding()
    assert embedding is not None
    assert float(np.linalg.norm(embedding)) == pytest.approx(1, abs=1e-5)
    assert result.picture is not None
    assert (result.picture.width, result.picture.height) == (100, 200)
    placeholder = base64.b64decode(result.picture.placeholder.partition(",")[2])
    assert read_header(placeholder).height == 24
    assert [rendition.name for rendition in result.renditions] == ["grid", "preview"]
    for rendition in result.renditions:
        header = read_header(blobs.read(rendition.key))
        assert (header.width, header.height) == (rendition.width, rendition.height) == (100, 200)
        assert header.media_type == rendition.media_type
    assert {"queued", "fetch", "decode", "encode", "store", "predict"} == set(result.stage_ms)


def test_a_request_that_wants_no_renditions_gets_none(
    start_worker: Start, desk: Desk, blobs: FolderBlobStore
) -> None:
    start_worker()
    request = desk.request(pictures.jpeg(), renditions=False)

    (result,) = desk.answers(desk.ask(request))

    assert result.outcome is Outcome.TAGGED
    assert result.renditions == ()
    assert not blobs.exists(request.blob_key.replace("original", "grid.jpg"))


def test_every_accepted_format_is_tagged(start_worker: Start, desk: Desk) -> None:
    start_worker()

    results = desk.answers(desk.ask(*(make() for make in pictures.EVERY_FORMAT.values()), queue=BULK))

    assert {result.outcome for result in results} == {Outcome.TAGGED}


BAD = {
    "text": (pictures.TEXT, FailureReason.CORRUPT),
    "empty": (pictures.EMPTY, FailureReason.CORRUPT),
    "truncated": (pictures.good_header_bad_pixels(), FailureReason.CORRUPT),
    "huge": (pictures.huge_png(), FailureReason.TOO_LARGE),
    "vector": (pictures.SVG, FailureReason.UNSUPPORTED),
}


def test_a_bad_picture_fails_with_its_reason_and_harms_nothing_in_its_batch(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    good = [pictures.jpeg(seed=1), pictures.one_pixel("PNG"), pictures.cmyk_jpeg(), pictures.animated("GIF")]
    jobs = desk.ask(*good, *(data for data, _ in BAD.values()), queue=BULK)

    start_worker()
    results = desk.answers(jobs)

    assert model.asked == [("", len(good))], "they did not share a batch"
    assert {result.outcome for result in results[: len(good)]} == {Outcome.TAGGED}
    for result, (name, (_, reason)) in zip(results[len(good) :], BAD.items(), strict=True):
        assert (result.outcome, result.reason) == (Outcome.FAILED, reason), name
        assert result.detail
        assert result.scores == ()
    wait_until(desk.everything_acknowledged, "acknowledgement")


def test_a_batch_of_bad_pictures_alone_asks_no_model(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    start_worker()

    results = desk.answers(desk.ask(pictures.TEXT, pictures.EMPTY))

    assert {result.outcome for result in results} == {Outcome.FAILED}
    assert model.asked == []


def test_a_blob_that_is_not_there_fails_as_missing(start_worker: Start, desk: Desk) -> None:
    start_worker()
    gone = desk.request(pictures.jpeg(), blob_key=original_key("0" * 64))
    no_key = desk.request(pictures.jpeg(), blob_key="../../etc/passwd")

    results = desk.answers(desk.ask(gone, no_key))

    assert [result.reason for result in results] == [FailureReason.MISSING_BLOB] * 2
    assert "passwd" not in results[1].detail


def test_the_limits_of_the_settings_hold_in_the_worker_too(start_worker: Start, desk: Desk) -> None:
    start_worker(max_pixels=100)

    (result,) = desk.answers(desk.ask(pictures.jpeg()))

    assert result.reason is FailureReason.TOO_LARGE


@pytest.mark.parametrize("body", [b"\xff\xfenot json", b"{}", b"[]", b'{"job_id": "x"}'])
def test_a_message_that_is_no_request_is_dead_lettered_with_the_complaint(
    start_worker: Start, desk: Desk, body: bytes
) -> None:
    desk.publish_raw(body)
    jobs = desk.ask(pictures.jpeg(), queue=BULK)

    start_worker()

    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED
    letter = desk.dead_letter(BULK)
    assert letter.body == body
    assert letter.dead_reason.startswith("not a request: ")


def test_scores_below_the_floor_and_beyond_the_most_stay_at_home(start_worker: Start, desk: Desk) -> None:
    start_worker(score_floor=0.3, max_scores=1)
    mostly_blue = pictures.encoded(np.full((20, 30, 3), (90, 20, 200), np.uint8), "PNG")

    (result,) = desk.answers(desk.ask(mostly_blue))

    assert [score.label for score in result.scores] == ["blue"]


# ------------------------------------------------------------------- batches


def test_bulk_pictures_share_a_batch_of_the_size_that_is_set(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(20)), queue=BULK)

    start_worker(batch_size=16)
    desk.answers(jobs)

    assert model.asked == [("", 16), ("", 4)]


def test_a_bulk_batch_lingers_for_more(start_worker: Start, desk: Desk, model: ColourModel) -> None:
    start_worker(linger_ms=10_000, batch_size=3)
    jobs = []
    for seed in range(3):
        jobs += desk.ask(pictures.jpeg(seed=seed), queue=BULK)
        wait_until(lambda: desk.transport.depths()[BULK].ready == 0, "the worker takes it")

    desk.answers(jobs)

    assert model.asked == [("", 3)]


def test_what_a_person_waits_for_does_not_linger(start_worker: Start, desk: Desk) -> None:
    start_worker(linger_ms=10_000)
    desk.answers(desk.ask(pictures.jpeg(seed=1)))

    began = time.monotonic()
    desk.answers(desk.ask(pictures.jpeg(seed=2)))

    assert time.monotonic() - began < 5


def test_what_a_person_waits_for_goes_before_a_lingering_batch(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    start_worker(linger_ms=10_000)
    bulk = desk.ask(pictures.jpeg(seed=1), pictures.jpeg(seed=2), queue=BULK)
    wait_until(lambda: desk.transport.depths()[BULK].ready == 0, "the worker takes them")

    began = time.monotonic()
    desk.answers(desk.ask(pictures.jpeg(seed=3), queue=INTERACTIVE))

    assert time.monotonic() - began < 8
    desk.answers(bulk)
    assert model.asked == [("", 1), ("", 2)]


def test_many_pictures_that_people_wait_for_are_answered_in_small_parts(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(20)))

    start_worker()
    desk.answers(jobs)

    assert [count for _, count in model.asked] == [8, 8, 4]


def test_requests_for_several_labels_are_asked_of_each(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    model.served = {"": model_spec(1), "challenger": model_spec(2, width=50, height=40)}
    requests = [
        desk.request(pictures.jpeg(seed=i), model_label=("", "challenger")[i % 2], purpose=Purpose.SHADOW)
        for i in range(4)
    ]

    start_worker()
    results = desk.answers(desk.ask(*requests, queue=BULK))

    assert [result.model.version for result in results if result.model] == [1, 2, 1, 2]
    assert sorted(model.asked) == [("", 2), ("challenger", 2)]


# ------------------------------------------------------------------- outages


class Counting(FolderBlobStore):
    """Counts how often originals are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0
        self._lock = threading.Lock()

    def read(self, key: str) -> bytes:
        with self._lock:
            self.reads += 1
        return super().read(key)


@pytest.fixture
def blobs(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "blobs")


def test_an_outage_of_the_model_costs_no_attempt_and_no_second_decoding(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: Counting
) -> None:
    worker = start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=1)))
    reads = blobs.reads
    model.announced = dict(model.served)  # the spec is known, the answer is not
    model.served = {}
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(2, 6)), queue=BULK)
    wait_until(lambda: worker.health.readiness() != "", "the worker notices")
    wait_until(lambda: blobs.reads == reads + 4, "everything is decoded")
    time.sleep(1)  # some more attempts
    assert not desk.has_answers()
    assert worker.health.liveness() == ""

    model.served = model.announced
    results = desk.answers(jobs)

    assert {result.outcome for result in results} == {Outcome.TAGGED}
    assert blobs.reads == reads + 4, "it decoded again"
    assert desk.transport.depths()[f"{BULK}.dead"].ready == 0
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready again")


def test_an_unmounted_blob_store_is_waited_for(
    start_worker: Start, desk: Desk, blobs: Counting, tmp_path: Path
) -> None:
    worker = start_worker()
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready")
    requests = [desk.request(pictures.jpeg(seed=i)) for i in range(3)]
    (tmp_path / "blobs").rename(tmp_path / "unmounted")
    jobs = desk.ask(*requests)
    wait_until(lambda: worker.health.readiness() != "", "the worker notices")

    (tmp_path / "unmounted").rename(tmp_path / "blobs")

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}


def test_a_worker_takes_nothing_before_it_knows_a_model(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    model.down = True
    worker = start_worker()
    jobs = desk.ask(pictures.jpeg())
    wait_until(lambda: "switched off" in worker.health.readiness(), "the worker tells why")
    assert desk.transport.depths()[INTERACTIVE].ready == 1

    model.down = False

    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED


def test_a_stop_during_an_outage_gives_the_messages_back_after_the_deadline(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    worker = start_worker(shutdown_deadline_s=0.5)
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready")
    model.down = True
    jobs = desk.ask(pictures.jpeg())
    wait_until(lambda: worker.health.readiness() != "", "the worker holds it")

    worker.stop()

    assert not desk.has_answers()
    model.down = False
    start_worker()
    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED


def test_a_label_that_nobody_serves_is_dead_lettered_and_blocks_nobody(
    start_worker: Start, desk: Desk
) -> None:
    withdrawn = desk.request(pictures.jpeg(seed=1), model_label="withdrawn")
    desk.ask(withdrawn, queue=BULK)
    others = desk.ask(pictures.jpeg(seed=2), queue=BULK)

    start_worker(unknown_label_patience_s=0.5)

    assert desk.answers(others)[0].outcome is Outcome.TAGGED
    letter = desk.dead_letter(BULK)
    assert letter.message_id == str(withdrawn.job_id)
    assert "withdrawn" in letter.dead_reason


# ------------------------------------------------------------------- rollout


def test_a_version_with_another_input_gets_pixels_made_for_it(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: Counting
) -> None:
    """The shape differs, so the model refuses; or only the preprocess differs, so it answers."""
    start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    model.announced = {"": model_spec(1)}
    model.served = {"": model_spec(2, width=64, height=64)}
    jobs = desk.ask(pictures.jpeg(seed=1))
    time.sleep(1)
    assert not desk.has_answers()

    model.announced = {}
    (result,) = desk.answers(jobs)

    assert result.model is not None
    assert (result.model.version, result.model.preprocess_id) == (2, "squash-64x64")
    assert len(result.renditions) == 2


def test_a_version_of_the_same_shape_but_another_preprocess_gets_pixels_made_for_it(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: Counting
) -> None:
    start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    renamed = model_spec(2)
    renamed = type(renamed)(
        renamed.identity, renamed.preprocess.model_copy(update={"id": "newer"}), renamed.labels
    )
    model.announced, model.served = {"": model_spec(1)}, {"": renamed}
    reads = blobs.reads

    (result,) = desk.answers(desk.ask(pictures.jpeg(seed=1)))

    assert result.model is not None
    assert result.model.version == 2
    assert blobs.reads == reads + 2, "it was not prepared again"


def test_a_version_that_cannot_be_fed_is_waited_out(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    worker = start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    model.served = {"": model_spec(2, fit="letterbox")}
    jobs = desk.ask(pictures.jpeg(seed=1))
    wait_until(lambda: "letterbox" in worker.health.readiness(), "the worker tells why")
    assert not desk.has_answers()

    model.served = {"": model_spec(3)}
    (result,) = desk.answers(jobs)

    assert result.model is not None
    assert result.model.version == 3


class NotANumber(ColourModel):
    def predict(self, images, *, label=""):
        predictions = super().predict(images, label=label)
        predictions.embeddings[:] = np.nan
        return predictions


def test_an_answer_without_numbers_is_never_passed_on(start_worker: Start, desk: Desk) -> None:
    worker = start_worker(predictor=NotANumber(), shutdown_deadline_s=0)
    desk.ask(pictures.jpeg())

    wait_until(lambda: "without a number" in worker.health.readiness(), "the worker tells why")
    worker.stop()

    assert not desk.has_answers()


# ------------------------------------------------------------------- poison


class Bursting(ColourModel):
    """Kills its worker over one picture, the reddest; the nearest thing to a segmentation fault."""

    def predict(self, images, *, label=""):
        predictions = super().predict(images, label=label)
        if (predictions.scores[:, 0] > 0.99).any():
            raise RuntimeError("burst")
        return predictions


def test_a_picture_that_kills_the_worker_ends_as_a_dead_letter_and_its_neighbours_are_tagged(
    start_worker: Start, desk: Desk
) -> None:
    poison = pictures.encoded(np.full((20, 30, 3), (255, 0, 0), np.uint8), "PNG")
    neighbours = desk.ask(*(pictures.jpeg(seed=i) for i in range(3)), queue=BULK)
    (poisoned,) = desk.ask(poison, queue=BULK)
    deaths = 0
    predictor = Bursting()
    while desk.transport.depths()[f"{BULK}.dead"].ready == 0:
        worker = start_worker(predictor=predictor, linger_ms=0)
        wait_until(
            lambda worker=worker: not worker.alive or desk.transport.depths()[f"{BULK}.dead"].ready > 0,
            "the worker dies, or the message is given up",
        )
        try:
            worker.stop()
        except RuntimeError:
            deaths += 1

    assert 0 < deaths <= 5
    assert {result.outcome for result in desk.answers(neighbours)} == {Outcome.TAGGED}
    assert desk.dead_letter(BULK).message_id == str(poisoned)


def test_a_picture_that_never_gets_decoded_ends_the_process_instead_of_hanging_it(
    start_worker: Start, desk: Desk, blobs: Counting
) -> None:
    from workers.batch import PictureStalledError  # noqa: PLC0415 - of this test alone

    release = threading.Event()
    request = desk.request(pictures.jpeg())
    blobs.read = lambda key: release.wait(30) and b""  # type: ignore[method-assign]
    worker = start_worker(picture_deadline_s=0.5)
    desk.ask(request)
    wait_until(lambda: not worker.alive, "the worker ends")
    release.set()

    with pytest.raises(PictureStalledError):
        worker.stop()


def test_a_deleted_original_between_decoding_and_storing_fails_as_missing(
    start_worker: Start, desk: Desk, blobs: Counting
) -> None:
    def gone(*_: object) -> str:
        raise BlobMissingError("deleted meanwhile")

    blobs.put_rendition = gone  # type: ignore[method-assign]
    start_worker()

    (result,) = desk.answers(desk.ask(pictures.jpeg()))

    assert result.reason is FailureReason.MISSING_BLOB


def test_a_result_survives_the_way_through_the_queue(start_worker: Start, desk: Desk) -> None:
    start_worker()

    (result,) = desk.answers(desk.ask(pictures.jpeg()))

    assert TagResult.model_validate_json(result.model_dump_json()) == result
