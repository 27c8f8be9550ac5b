"""Good and bad files together through REST, on the whole system: each gets its answer, none harms another."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.pipeline import pictures
from tests.plugins.system import System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def api(system: System) -> Iterator[requests.Session]:
    with system.api() as session:
        yield session


def send(system: System, api: requests.Session, name: str, data: bytes) -> requests.Response:
    return api.post(f"{system.address}/api/v1/assets/", files={"file": (name, data)}, timeout=60)


def closed(system: System, api: requests.Session, asset_id: int) -> dict[str, Any]:
    """The asset as it is once its job is closed."""
    url = f"{system.address}/api/v1/assets/{asset_id}/"
    wait_for(lambda: api.get(url).json()["state"] != "pending", within_s=120, what=lambda: url)
    return api.get(url).json()


def still(kind: str, seed: int) -> bytes:
    return pictures.encoded(pictures.scene(320, 240, seed), kind)


TAGGED: dict[str, Callable[[], bytes]] = {
    "plain.jpg": lambda: still("JPEG", 10),
    "plain.png": lambda: still("PNG", 11),
    "plain.webp": lambda: still("WEBP", 12),
    "plain.gif": lambda: still("GIF", 13),
    "plain.tiff": lambda: still("TIFF", 14),
    "plain.bmp": lambda: still("BMP", 15),
    "plain.avif": lambda: still("AVIF", 16),
    "plain.heic": lambda: still("HEIF", 17),
    "cmyk.jpg": pictures.cmyk_jpeg,
    "sixteen_bit.png": pictures.sixteen_bit_png,
    "palette.png": pictures.palette_png_with_transparency,
    "animated.gif": lambda: pictures.animated("GIF"),
    "animated.webp": lambda: pictures.animated("WEBP"),
    "one_pixel.png": lambda: pictures.one_pixel("PNG"),
    "rotated.jpg": lambda: pictures.oriented(6),
}
REFUSED: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "empty.jpg": (lambda: b"", 400, "empty"),
    "text.jpg": (lambda: b"This is no picture.", 415, "not-a-picture"),
    "enormous.png": (pictures.huge_png, 422, "too-many-pixels"),
}


def test_every_kind_of_file_gets_its_answer_and_harms_no_neighbour(
    system: System, api: requests.Session
) -> None:
    before = system.ledger()
    answers = {name: send(system, api, name, make()) for name, make in TAGGED.items()}
    answers["truncated.jpg"] = send(system, api, "truncated.jpg", pictures.truncated(still("JPEG", 20)))
    refused = {name: send(system, api, name, make()) for name, (make, _status, _code) in REFUSED.items()}

    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in refused.items()} == {
        name: (status, code) for name, (_make, status, code) in REFUSED.items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 201)
    assets = {name: closed(system, api, answer.json()["id"]) for name, answer in answers.items()}
    broken = assets.pop("truncated.jpg")
    assert (broken["state"], broken["reason"]) == ("failed", "corrupt")
    assert {name: asset["state"] for name, asset in assets.items()} == dict.fromkeys(TAGGED, "tagged")
    assert assets["rotated.jpg"]["height"] > assets["rotated.jpg"]["width"]
    for asset in assets.values():
        grid = api.get(f"{system.address}/api/v1/assets/{asset['id']}/renditions/grid")
        assert Image.open(io.BytesIO(grid.content)).format == "JPEG"

    after = system.ledger()
    assert after["agrees"]
    assert after["assets"] - before["assets"] == len(TAGGED) + 1
    assert after["failed"] - before["failed"] == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../../etc/passwd.png", "passwd.png"),
        ("it's 🐈.png", "it's 🐈.png"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
    ],
)
def test_a_strange_name_is_kept_as_far_as_it_is_harmless(
    system: System, api: requests.Session, given: str, kept: str
) -> None:
    data = still("PNG", sum(map(ord, given)))
    # requests would escape the name in a way of its own; browsers send it as it is.
    edge = "vitrine-edge"
    body = (
        (
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{given}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + data
        + f"\r\n--{edge}--\r\n".encode()
    )
    answer = api.post(
        f"{system.address}/api/v1/assets/",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={edge}"},
    )
    assert answer.status_code == 201
    assert answer.json()["filename"] == kept
    # The name is only ever shown: no file carries it.
    assert [path for path in system.home.parent.rglob("*") if path.name == kept] == []


def test_a_picture_is_tried_without_becoming_an_asset(
    system: System, api: requests.Session, photos: list[Path]
) -> None:
    before = system.ledger()
    cat = next(path for path in photos if path.name == "chelsea.png")
    with cat.open("rb") as file:
        answer = api.post(f"{system.address}/api/v1/predict/?wait=30", files={"file": file}, timeout=60)
    assert answer.status_code == 200
    assert "cat" in {tag["slug"] for tag in answer.json()["tags"]}
    assert system.ledger() == before


def test_a_tag_is_found_by_words_and_by_its_kind(
    system: System, api: requests.Session, photos: list[Path]
) -> None:
    cat = next(path for path in photos if path.name == "chelsea.png")
    asset = send(system, api, cat.name, cat.read_bytes()).json()
    assert "cat" in {tag["slug"] for tag in closed(system, api, asset["id"])["tags"]}
    for query, found in (("cat", True), ("tag:animal", True), ("animal -cat", False), ('"chelsea"', True)):
        answer = api.get(f"{system.address}/api/v1/assets/", params={"q": query, "limit": 200}).json()
        assert (asset["id"] in {hit["id"] for hit in answer["results"]}) is found, query


def test_without_a_token_nothing_is_told(system: System) -> None:
    for path in ("assets/", "tags/", "assets/1/", "ledger/"):
        assert requests.get(f"{system.address}/api/v1/{path}", timeout=10).status_code in {401, 403}
