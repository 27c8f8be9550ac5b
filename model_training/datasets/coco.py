"""COCO JSON of instances (cocodataset.org, "Data format", object detection)."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

from model_training.config import CocoSource
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet, Example
from model_training.datasets.naming import Words


class _Image(BaseModel):
    id: int
    file_name: str


class _Category(BaseModel):
    id: int
    name: str


class _Annotation(BaseModel):
    image_id: int
    category_id: int


class _Instances(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def read_coco(source: CocoSource) -> DataSet:
    """All pictures of the file. A class not annotated on a picture is negative; a crowd counts as there.

    Raises:
        DataError: the file cannot be read, is no COCO JSON, or an annotation names what is not in it.
    """
    instances = _read(source.annotations)
    words = Words(source.annotations)
    slugs = {category.id: words.slug(category.name) for category in instances.categories}
    positive: dict[int, set[str]] = {image.id: set() for image in instances.images}
    for annotation in instances.annotations:
        if annotation.image_id not in positive:
            raise DataError(
                f"{source.annotations}: an annotation is of image {annotation.image_id}, which is not listed"
            )
        if annotation.category_id not in slugs:
            raise DataError(
                f"{source.annotations}: an annotation of image {annotation.image_id} is of category "
                f"{annotation.category_id}, which is not listed"
            )
        positive[annotation.image_id].add(slugs[annotation.category_id])
    labels = tuple(words.names)
    return DataSet(
        labels=labels,
        names=words.names,
        examples=tuple(
            Example(
                path=source.images / image.file_name,
                source=source.name,
                positive=frozenset(positive[image.id]),
                negative=frozenset(labels) - positive[image.id],
            )
            for image in instances.images
        ),
    )


def _read(path: Path) -> _Instances:
    try:
        return _Instances.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise DataError(f"{path} is no COCO JSON of instances: {place}: {first['msg']}") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error
