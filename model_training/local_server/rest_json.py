"""JSON of TensorFlow Serving's REST API to tensors and back."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
from google.protobuf import json_format

from model_training.local_server.errors import Code, ServingError, invalid
from model_training.serving_protos import get_model_metadata_pb2, tf

_BYTES_SUFFIX = "_bytes"


def error(message: str) -> str:
    """The body of every failure."""
    return json.dumps({"error": message}, indent=4) + "\n"


def message(proto: Any) -> str:
    """A response proto, field names kept, defaults written out."""
    return (
        json_format.MessageToJson(
            proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        + "\n"
    )


def metadata(response: Any) -> str:
    """A ``GetModelMetadataResponse`` with its signatures unpacked, as TensorFlow Serving writes it."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    text = {
        "model_spec": json.loads(message(response.model_spec)),
        "metadata": {"signature_def": json.loads(message(signatures))},
    }
    return json.dumps(text, indent=1) + "\n"


def parse(body: bytes) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as failure:
        raise invalid(f"JSON Parse error: {failure}") from failure
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_short(document)} Is not object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The signature that is asked for; empty: the default one."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_short(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def fill_request(document: dict[str, Any], signature: Any, request: Any) -> bool:
    """Read ``instances`` (rows) or ``inputs`` (columns) into a ``PredictRequest``.

    Returns:
        Whether the answer goes by rows too.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    infos = dict(signature.inputs)
    if not infos:
        name = request.model_spec.signature_name or "DEFAULT"
        raise invalid(f"Failed to get input map for signature: {name}")
    by_row = "instances" in document
    if by_row and "inputs" in document:
        raise invalid(
            f"JSON Value: {_short(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist"
        )
    if by_row:
        columns = _columns_of_rows(document["instances"], infos, document)
    elif "inputs" in document:
        columns = _columns(document["inputs"], infos)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    for name, value in columns.items():
        array = _array(name, value, infos[name].dtype)
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array, dtype=infos[name].dtype))
    return by_row


def _columns_of_rows(rows: Any, infos: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {_short(document)} Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {_short(document)} No values in 'instances' array")
    named = [isinstance(row, dict) and not _is_base64(row) for row in rows]
    if not any(named):
        if len(infos) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required "
                "as per tensorinfo_map"
            )
        return {next(iter(infos)): rows}
    if not all(named):
        raise invalid(
            f"Expecting object but got list at item {named.index(False)} of input list"
            if named[0]
            else f"Expecting value/list but got object at item {named.index(True)} of input list"
        )
    for position, row in enumerate(rows):
        if set(row) != set(infos):
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: {_short(row)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    return {name: [row[name] for row in rows] for name in infos}


def _columns(value: Any, infos: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or _is_base64(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required "
                "as per tensorinfo_map"
            )
        return {next(iter(infos)): value}
    for name in infos:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: value[name] for name in infos}


def _array(name: str, value: Any, dtype: int) -> Any:
    kind = tf.dtypes.as_dtype(dtype)
    if kind == tf.string:
        return np.array(_decoded(value), dtype=object)
    try:
        array = np.array(value)
    except ValueError as failure:  # rows of different lengths
        message = f"JSON Value of input {name}: Encountered list at unexpected size: {failure}"
        raise invalid(message) from failure
    fits = array.dtype.kind in ("b" if kind == tf.bool else "iuf" if kind.is_floating else "iu")
    if not fits or array.dtype == object:
        raise invalid(f"JSON Value: {_short(value)} is not of expected type: {kind.name}")
    if kind.is_integer and array.size and not (kind.min <= array.min() and array.max() <= kind.max):
        raise invalid(f"JSON Value: {_short(value)} is not of expected type: {kind.name}")
    return array.astype(kind.as_numpy_dtype)


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(entry) for entry in value]
    if isinstance(value, str):
        return value.encode()
    if _is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as failure:
            raise invalid("Unable to base64 decode") from failure
    raise invalid(f"JSON Value: {_short(value)} is not of expected type: string")


def prediction(response: Any, *, by_row: bool) -> str:
    """A ``PredictResponse`` as rows (``predictions``) or columns (``outputs``)."""
    values = {name: _plain(name, tf.make_ndarray(tensor)) for name, tensor in response.outputs.items()}
    if not by_row:
        return json.dumps({"outputs": next(iter(values.values())) if len(values) == 1 else values}) + "\n"
    sizes = {len(value) if isinstance(value, list) else None for value in values.values()}
    if len(sizes) != 1 or None in sizes:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "Tensors have no common batch dimension; use 'inputs' instead of 'instances'",
        )
    if len(values) == 1:
        return json.dumps({"predictions": next(iter(values.values()))}) + "\n"
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json.dumps({"predictions": rows}) + "\n"


def _plain(name: str, array: Any) -> Any:
    if array.dtype == np.float32:  # 0.2, not the 0.20000000298 of the nearest double
        return array.astype(str).astype(float).tolist()
    if array.dtype != object:
        return array.tolist()
    as_base64 = name.endswith(_BYTES_SUFFIX)

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(entry) for entry in value]
        return {"b64": base64.b64encode(value).decode()} if as_base64 else value.decode()

    return text(array.tolist())


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
