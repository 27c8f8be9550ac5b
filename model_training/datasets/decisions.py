"""What people decided in Vitrine, as ``vitrine export_claims`` writes it: one JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from model_training.config import DecisionsSource
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet, Example
from model_training.datasets.naming import Words


class _Header(BaseModel):
    vitrine: Literal["decisions"]
    format: Literal[1]
    tags: dict[str, str]


class _Line(BaseModel):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str
    accepted: list[str]
    rejected: list[str]


def read_decisions(source: DecisionsSource) -> DataSet:
    """All pictures on which somebody decided. What a model suggested and nobody decided on stays unknown.

    Raises:
        DataError: the file cannot be read or is not what the export writes.
    """
    words = Words(source.file)
    try:
        with source.file.open(encoding="utf-8") as file:
            header = _Header.model_validate_json(next(file, ""))
            lines = [_parsed(text, source.file, number) for number, text in enumerate(file, start=2)]
    except OSError as error:
        raise DataError(f"{source.file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source.file} is not UTF-8: {error}") from error
    except ValidationError as error:
        raise DataError(f"{source.file} does not begin like a file of `vitrine export_claims`") from error
    slug_of = {slug: words.slug(slug) for slug in header.tags}
    unnamed = {slug for line in lines for slug in (*line.accepted, *line.rejected)} - slug_of.keys()
    if unnamed:
        raise DataError(f"{source.file}: its first line does not name {', '.join(sorted(unnamed)[:10])}")
    decided = [line for line in lines if line.accepted or line.rejected]
    used = {slug_of[slug] for line in decided for slug in (*line.accepted, *line.rejected)}
    return DataSet(
        labels=tuple(slug for slug in words.names if slug in used),
        names={slug_of[slug]: name for slug, name in header.tags.items() if slug_of[slug] in used},
        examples=tuple(
            Example(
                path=source.images / line.file,
                source=source.name,
                positive=frozenset(slug_of[slug] for slug in line.accepted),
                negative=frozenset(slug_of[slug] for slug in line.rejected),
                sha256=line.sha256,
            )
            for line in decided
        ),
    )


def _parsed(text: str, path: Path, number: int) -> _Line:
    try:
        return _Line.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        raise DataError(f"{path}, line {number}: {place}: {first['msg']}") from error
