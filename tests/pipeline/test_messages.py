"""Workers and catalogues of neighbouring versions understand each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from pipeline.messages import PictureFacts, Purpose, TagRequest, TagResult, encode_embedding
from pipeline.topology import BULK, INTERACTIVE, SHADOW, request_queue

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))
KINDS: dict[str, type[BaseModel]] = {"tag_request": TagRequest, "tag_result": TagResult}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_stored_message_decodes_to_what_it_says(path: Path) -> None:
    message = KINDS[path.name.split(".")[0]].model_validate_json(path.read_bytes())
    stored: dict[str, Any] = json.loads(path.read_bytes())
    assert as_far_as(stored, json.loads(message.model_dump_json())) == stored


def as_far_as(stored: Any, decoded: Any) -> Any:
    """What was decoded, without the fields that came later."""
    if isinstance(stored, dict):
        return {name: as_far_as(stored[name], decoded[name]) for name in stored}
    if isinstance(stored, list):
        return [as_far_as(*pair) for pair in zip(stored, decoded, strict=True)]
    return decoded


def test_every_kind_of_message_has_a_stored_example() -> None:
    assert {path.name.split(".")[0] for path in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_field_of_a_later_version_is_ignored(path: Path) -> None:
    stored = json.loads(path.read_bytes()) | {"of_a_later_version": {"deep": 1}}
    kind = KINDS[path.name.split(".")[0]]
    assert kind.model_validate(stored) == kind.model_validate_json(path.read_bytes())


def test_a_field_of_a_later_version_is_ignored_inside_a_message_too() -> None:
    stored = json.loads((EXAMPLES[0].parent / "tag_result.v1.json").read_bytes())
    expected = TagResult.model_validate(stored)
    for part in (stored["model"], stored["picture"], *stored["scores"], *stored["renditions"]):
        part["of_a_later_version"] = [1]

    assert TagResult.model_validate(stored) == expected


def test_a_result_without_the_optional_fields_decodes() -> None:
    result = TagResult.model_validate_json(
        b'{"job_id":1,"generation":1,"purpose":"live","outcome":"tagged",'
        b'"model":{"name":"m","version":1,"preprocess_id":"p","vocabulary_id":"v","embedding_id":"e"}}'
    )
    assert (result.reason, result.picture, result.renditions, result.stage_ms) == (None, None, (), {})
    assert (result.predict_share_ms, result.traceparent, result.sha256) == (None, "", "")
    assert result.embedding() is None


def test_facts_of_a_worker_that_makes_no_looks_have_none() -> None:
    facts = PictureFacts.model_validate_json(b'{"width":3,"height":2}')
    assert (facts.fingerprint, facts.colours) == (None, ())


@pytest.mark.parametrize("looks", [{"fingerprint": 2**63}, {"colours": ["a colour that nobody knows"]}])
def test_looks_that_the_database_could_not_keep_are_refused(looks: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PictureFacts.model_validate({"width": 3, "height": 2, **looks})


def test_a_request_without_the_optional_fields_decodes() -> None:
    request = TagRequest.model_validate_json(
        b'{"job_id":1,"generation":1,"purpose":"try","blob_key":"k","sha256":"s",'
        b'"media_type":"image/png","requested_at":"2026-11-22T10:00:00Z"}'
    )
    assert (request.asset_id, request.renditions, request.model_label) == (None, True, "")
    assert (request.request_id, request.traceparent) == ("", "")


def test_a_message_that_lacks_a_needed_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="job_id"):
        TagResult.model_validate_json(b'{"generation":1,"purpose":"live","outcome":"tagged"}')


def test_an_embedding_survives_the_journey_bit_by_bit() -> None:
    vector = np.random.default_rng(1).normal(size=320).astype(np.float32)
    result = TagResult.model_validate(
        {
            "job_id": 1,
            "generation": 1,
            "purpose": "live",
            "outcome": "tagged",
            "embedding_f32": encode_embedding(vector),
        }
    )
    received = TagResult.model_validate_json(result.model_dump_json()).embedding()
    assert received is not None
    assert received.tobytes() == vector.tobytes()


@pytest.mark.parametrize(
    ("purpose", "bulk", "queue"),
    [
        (Purpose.LIVE, False, INTERACTIVE),
        (Purpose.LIVE, True, BULK),
        (Purpose.TRY, True, INTERACTIVE),
        (Purpose.CAMPAIGN, False, BULK),
        (Purpose.SHADOW, False, SHADOW),
        (Purpose.SHADOW, True, SHADOW),
    ],
)
def test_only_what_a_person_waits_for_is_interactive(purpose: Purpose, bulk: bool, queue: str) -> None:
    assert request_queue(purpose, bulk=bulk) == queue
