"""What a worker does with pictures, over a real queue and a real blob store."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from pipeline.blobs import FolderBlobStore, original_key
from pipeline.messages import FailureReason, Outcome, Purpose, TagResult
from pipeline.ports import BlobMissingError
from pipeline.preprocess import read_header
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start


def test_a_picture_is_tagged_with_scores_embedding_facts_and_renditions(
    start_worker: Start, desk: Desk, blobs: FolderBlobStore
) -> None:
    start_worker()
    request = desk.request(pictures.oriented(6, "PNG", pictures.corners(200, 100)))

    (result,) = desk.answers(desk.ask(request))

    assert (result.outcome, result.reason) == (Outcome.TAGGED, None)
    assert (result.job_id, result.generation, result.purpose) == (request.job_id, 1, Purpose.LIVE)
    assert (result.sha256, result.request_id) == (request.sha256, request.request_id)
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
    assert set(result.picture.colours) == {"red", "green", "blue", "white"}
    assert result.picture.fingerprint is not None
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
    assert result.picture is not None
    assert result.picture.colours
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
    assert [result.sha256 for result in results] == [gone.sha256, no_key.sha256]
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


def test_a_deleted_original_between_decoding_and_storing_fails_as_missing(
    start_worker: Start, desk: Desk, blobs: CountingBlobStore
) -> None:
    def gone(*_: object) -> dict[str, str]:
        raise BlobMissingError("deleted meanwhile")

    blobs.put_renditions = gone  # type: ignore[method-assign]
    start_worker()

    (result,) = desk.answers(desk.ask(pictures.jpeg()))

    assert result.reason is FailureReason.MISSING_BLOB


def test_a_result_survives_the_way_through_the_queue(start_worker: Start, desk: Desk) -> None:
    start_worker()

    (result,) = desk.answers(desk.ask(pictures.jpeg()))

    assert TagResult.model_validate_json(result.model_dump_json()) == result
