"""Objects of operators, of which kubernetes-validate has no schema: ``crds.yaml`` has small ones."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rendering import MissingToolError

_FILE = Path(__file__).resolve().parent / "crds.yaml"


def is_custom(one: Mapping[str, Any]) -> bool:
    """Whether an operator's schema is needed: the group is neither Kubernetes' own nor without a dot."""
    group = one["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def faults_of(one: Mapping[str, Any]) -> list[str]:
    """What is wrong with an object of an operator, in words.

    Raises:
        MissingToolError: jsonschema, which comes with kubernetes-validate, is not installed for this Python.
    """
    try:
        from jsonschema import Draft7Validator  # noqa: PLC0415 - not in every environment
    except ImportError as error:
        raise MissingToolError("jsonschema is not installed: make deploy-tools") from error
    kind = f"{one['apiVersion']}/{one['kind']}"
    schema = _schemas()["kinds"].get(kind)
    if schema is None:
        return [f"{kind}: crds.yaml does not know it"]
    whole = {
        "definitions": _schemas()["definitions"],
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {},
            "kind": {},
            "metadata": {"$ref": "#/definitions/metadata"},
            "spec": schema,
        },
    }
    return [
        f"{kind} {one['metadata'].get('name')}: {fault.json_path}: {fault.message}"
        for fault in Draft7Validator(whole).iter_errors(one)
    ]


@functools.cache
def _schemas() -> dict[str, Any]:
    return dict(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
