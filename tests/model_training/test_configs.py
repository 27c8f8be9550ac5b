"""The documented example names everything that can be set, at its default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

import model_training
from model_training.config import Config, load_config
from model_training.search.space import read_space

_EXAMPLE = Path(model_training.__file__).parent / "configs" / "example.yaml"


def fields(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names of all values with a default, and the default."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        elif not field.is_required():
            yield f"{prefix}{name}", field.default


def test_the_example_names_every_value_at_its_default() -> None:
    content = yaml.safe_load(_EXAMPLE.read_text())
    for name, default in fields(Config):
        value = content
        for part in name.split("."):
            assert part in value, name
            value = value[part]
        if name.startswith(("training.head", "training.fine_tune", "search.parameters")):
            continue  # these differ by phase, or have no default worth showing
        assert (tuple(value) if isinstance(value, list) else value) == default, name


def test_the_example_can_be_read_and_its_search_made() -> None:
    config = load_config(_EXAMPLE)
    assert config.training == Config.model_validate({"name": "x", "data": config.data}).training
    assert {source.kind for source in config.data.sources} == {"coco", "voc", "csv", "folder", "decisions"}
    assert len(read_space(config)) == 3
