"""A small labelled set of drawn pictures, the same on every machine, in every format that training reads."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

LABELS = {
    "red-disc": "red disc",
    "green-square": "green square",
    "blue-triangle": "blue triangle",
    "yellow-ring": "yellow ring",
}
WIDTH, HEIGHT = 96, 72
DRAWN = 72
NEAR_DUPLICATES = 8
"""The last so many pictures are the first ones again, a little brighter and compressed harder."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ToyPictures:
    """The files. Everything that is drawn is named; nothing else is."""

    folder: Path
    images: Path
    """All pictures: ``00.jpg`` …"""
    coco: Path
    """Instances of COCO, for ``images``."""
    voc: Path
    """A folder of Pascal VOC with the same pictures."""
    csv: Path
    """Columns ``file``, ``labels``, ``set``, for ``images``."""
    folders: Path
    """A folder for each label with the pictures that show that label and no other."""
    decisions: Path
    """As ``vitrine export_claims`` writes it. Of each picture the last label is undecided."""
    decided_images: Path
    """The pictures beside it, by sha256."""
    labels: dict[str, frozenset[str]]
    """Slugs by file name in ``images``."""


@pytest.fixture(scope="session")
def toy_pictures(tmp_path_factory: pytest.TempPathFactory) -> ToyPictures:
    return draw_toy_pictures(tmp_path_factory.mktemp("toy_pictures"))


def draw_toy_pictures(folder: Path) -> ToyPictures:
    """Draw everything into an empty folder: 80 pictures, four labels, each on about two pictures of five."""
    random = np.random.default_rng(20)
    images = folder / "images"
    images.mkdir(parents=True)
    boxes: dict[str, dict[str, Box]] = {}
    for number in range(DRAWN):
        name = f"{number:02}.jpg"
        pixels = _background(random)
        boxes[name] = {
            label: DRAWERS[label](pixels, quarter, random)
            for quarter, label in zip(random.permutation(4).tolist(), LABELS, strict=True)
            if random.random() < 0.4
        }
        _write_jpeg(images / name, pixels, quality=92)
    for number in range(NEAR_DUPLICATES):
        original, name = f"{number:02}.jpg", f"{DRAWN + number:02}.jpg"
        pixels = cv2.cvtColor(cv2.imread(str(images / original)), cv2.COLOR_BGR2RGB)
        brighter = np.clip(pixels.astype(np.float32) * 1.05 + 4, 0, 255).astype(np.uint8)
        _write_jpeg(images / name, brighter, quality=80)
        boxes[name] = boxes[original]
    return ToyPictures(
        folder=folder,
        images=images,
        coco=_write_coco(folder / "coco.json", boxes),
        voc=_write_voc(folder / "voc", images, boxes),
        csv=_write_csv(folder / "labels.csv", boxes),
        folders=_write_folders(folder / "folders", images, boxes),
        decisions=_write_decisions(folder / "decisions", images, boxes),
        decided_images=folder / "decisions" / "pictures",
        labels={name: frozenset(found) for name, found in boxes.items()},
    )


def _background(random: np.random.Generator) -> NDArray[np.uint8]:
    """Grey clouds: no two look alike, and none has a colour."""
    clouds = random.integers(60, 200, (6, 8)).astype(np.uint8)
    grey = cv2.resize(clouds, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _place(quarter: int, random: np.random.Generator) -> tuple[int, int, int]:
    """Left, top and side of a shape that stays inside its quarter of the picture."""
    side = int(random.integers(24, 33))
    left = quarter % 2 * WIDTH // 2 + int(random.integers(0, WIDTH // 2 - side))
    top = quarter // 2 * HEIGHT // 2 + int(random.integers(0, HEIGHT // 2 - side + 1))
    return left, top, side


def _disc(pixels: NDArray[np.uint8], quarter: int, random: np.random.Generator) -> Box:
    left, top, side = _place(quarter, random)
    cv2.circle(pixels, (left + side // 2, top + side // 2), side // 2 - 1, (210, 20, 30), -1, cv2.LINE_AA)
    return left, top, side, side


def _square(pixels: NDArray[np.uint8], quarter: int, random: np.random.Generator) -> Box:
    left, top, side = _place(quarter, random)
    cv2.rectangle(pixels, (left, top), (left + side - 1, top + side - 1), (20, 180, 40), -1)
    return left, top, side, side


def _triangle(pixels: NDArray[np.uint8], quarter: int, random: np.random.Generator) -> Box:
    left, top, side = _place(quarter, random)
    corners = [(left, top + side - 1), (left + side - 1, top + side - 1), (left + side // 2, top)]
    cv2.fillPoly(pixels, [np.array(corners, np.int32)], (20, 40, 220), cv2.LINE_AA)
    return left, top, side, side


def _ring(pixels: NDArray[np.uint8], quarter: int, random: np.random.Generator) -> Box:
    left, top, side = _place(quarter, random)
    cv2.circle(pixels, (left + side // 2, top + side // 2), side // 2 - 4, (240, 220, 20), 6, cv2.LINE_AA)
    return left, top, side, side


DRAWERS: dict[str, Callable[[NDArray[np.uint8], int, np.random.Generator], Box]] = {
    "red-disc": _disc,
    "green-square": _square,
    "blue-triangle": _triangle,
    "yellow-ring": _ring,
}


def _write_jpeg(path: Path, pixels: NDArray[np.uint8], quality: int) -> None:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _write_coco(path: Path, boxes: dict[str, dict[str, Box]]) -> Path:
    categories = {label: number for number, label in enumerate(LABELS, start=1)}
    annotations = [
        {"image_id": image, "category_id": categories[label], "bbox": list(box), "iscrowd": 0}
        for image, found in enumerate(boxes.values())
        for label, box in found.items()
    ]
    content = {
        "images": [
            {"id": image, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for image, name in enumerate(boxes)
        ],
        "categories": [{"id": number, "name": LABELS[label]} for label, number in categories.items()],
        "annotations": [{"id": number, **each} for number, each in enumerate(annotations)],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _write_voc(folder: Path, images: Path, boxes: dict[str, dict[str, Box]]) -> Path:
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    for name, found in boxes.items():
        (folder / "JPEGImages" / name).write_bytes((images / name).read_bytes())
        root = ET.Element("annotation")
        ET.SubElement(root, "filename").text = name
        for label, box in found.items():
            thing = ET.SubElement(root, "object")
            ET.SubElement(thing, "name").text = LABELS[label]
            ET.SubElement(thing, "difficult").text = "0"
            corners = ET.SubElement(thing, "bndbox")
            left, top, width, height = box
            sides = {"xmin": left, "ymin": top, "xmax": left + width, "ymax": top + height}
            for side, value in sides.items():
                ET.SubElement(corners, side).text = str(value)
        ET.ElementTree(root).write(folder / "Annotations" / f"{Path(name).stem}.xml")
    return folder


def _write_csv(path: Path, boxes: dict[str, dict[str, Box]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels", "set"])
        for number, (name, found) in enumerate(boxes.items()):
            labels = ";".join(LABELS[label] for label in found)
            table.writerow([name, labels, ("first", "second")[number % 2]])
    return path


def _write_folders(folder: Path, images: Path, boxes: dict[str, dict[str, Box]]) -> Path:
    for label in LABELS.values():
        (folder / label).mkdir(parents=True)
    for name, found in boxes.items():
        if len(found) == 1:
            (label,) = found
            (folder / LABELS[label] / name).write_bytes((images / name).read_bytes())
    return folder


def _write_decisions(folder: Path, images: Path, boxes: dict[str, dict[str, Box]]) -> Path:
    (folder / "pictures").mkdir(parents=True)
    labels = list(LABELS)
    lines: list[dict[str, object]] = [
        {
            "vitrine": "decisions",
            "format": 1,
            "exported_at": "2026-11-01T00:00:00+00:00",
            "model": {"name": "toy", "version": 1, "vocabulary_id": "toy-1"},
            "tags": LABELS,
        }
    ]
    for number, (name, found) in enumerate(boxes.items(), start=1):
        data = (images / name).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        (folder / "pictures" / f"{sha256}.jpg").write_bytes(data)
        undecided = labels[number % len(labels)]
        decided = [label for label in labels if label != undecided]
        lines.append(
            {
                "asset": number,
                "sha256": sha256,
                "file": f"{sha256}.jpg",
                "accepted": [label for label in decided if label in found],
                "rejected": [label for label in decided if label not in found],
                "unknown": [undecided],
            }
        )
    path = folder / "decisions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
