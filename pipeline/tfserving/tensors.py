"""numpy ↔ TensorFlow's ``TensorProto``.

A tensor's numbers travel either as raw little-endian bytes (``tensor_content``) or in a typed list
(``float_val`` …). TensorFlow Serving answers with typed lists by default, so both are read.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.tfserving import predict_pb2 as pb

_DTYPES: dict[pb.DataType, np.dtype[Any]] = {
    pb.DT_FLOAT: np.dtype("<f4"),
    pb.DT_DOUBLE: np.dtype("<f8"),
    pb.DT_INT32: np.dtype("<i4"),
    pb.DT_UINT8: np.dtype("u1"),
    pb.DT_INT16: np.dtype("<i2"),
    pb.DT_INT8: np.dtype("i1"),
    pb.DT_INT64: np.dtype("<i8"),
    pb.DT_BOOL: np.dtype("?"),
    pb.DT_HALF: np.dtype("<f2"),
    pb.DT_UINT32: np.dtype("<u4"),
    pb.DT_UINT64: np.dtype("<u8"),
}
_FIELDS = {
    pb.DT_FLOAT: "float_val",
    pb.DT_DOUBLE: "double_val",
    pb.DT_INT32: "int_val",
    pb.DT_UINT8: "int_val",
    pb.DT_INT16: "int_val",
    pb.DT_INT8: "int_val",
    pb.DT_INT64: "int64_val",
    pb.DT_BOOL: "bool_val",
    pb.DT_UINT32: "uint32_val",
    pb.DT_UINT64: "uint64_val",
}


class TensorError(ValueError):
    """A tensor that contradicts itself, or of a type we do not know."""


def to_tensor(array: NDArray[Any]) -> pb.Tensor:
    """Numbers as raw bytes, in the array's own type and shape.

    Raises:
        TensorError: the type has no counterpart.
    """
    for dtype, known in _DTYPES.items():
        if array.dtype == known:
            content = np.ascontiguousarray(array, dtype=known).tobytes()
            return pb.Tensor(dtype=dtype, tensor_shape=_shape(array), tensor_content=content)
    raise TensorError(f"arrays of {array.dtype} cannot be sent")


def _shape(array: NDArray[Any]) -> pb.TensorShape:
    return pb.TensorShape(dim=[pb.TensorShape.Dim(size=size) for size in array.shape])


def to_array(tensor: pb.Tensor) -> NDArray[Any]:
    """The numbers of a tensor in its type and shape.

    Raises:
        TensorError: strings, an unknown type, or another count of numbers than the shape says.
    """
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise TensorError(f"tensors of type {tensor.dtype} are not numbers that we know")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    count = _count(shape)
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * dtype.itemsize:
            raise TensorError(f"{len(tensor.tensor_content)} bytes cannot have the shape {shape}")
        return np.frombuffer(tensor.tensor_content, dtype=dtype).reshape(shape).copy()
    if tensor.dtype == pb.DT_HALF:  # its bits, each in an integer
        values = np.array(tensor.half_val, dtype=np.uint16).view(np.float16)
    else:
        values = np.array(getattr(tensor, _FIELDS[tensor.dtype]), dtype=dtype)
    return _filled(values, count, shape)


def _filled(values: NDArray[Any], count: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """TensorFlow may leave out the end of a list: its last number is meant to be repeated."""
    if len(values) > count:
        raise TensorError(f"{len(values)} numbers cannot have the shape {shape}")
    if len(values) < count:
        last = values[-1] if len(values) else values.dtype.type(0)
        values = np.concatenate([values, np.full(count - len(values), last, dtype=values.dtype)])
    return values.reshape(shape)


def to_strings(tensor: pb.Tensor) -> tuple[str, ...]:
    """The texts of a string tensor of any shape, in order.

    Raises:
        TensorError: not a string tensor, or another count of texts than the shape says.
        UnicodeDecodeError: not UTF-8.
    """
    if tensor.dtype != pb.DT_STRING:
        raise TensorError(f"a tensor of type {tensor.dtype} is not of strings")
    count = _count(tuple(dim.size for dim in tensor.tensor_shape.dim))
    values = list(tensor.string_val)
    if not values or len(values) > count:
        if count == 0:
            return ()
        raise TensorError(f"{len(values)} strings where the shape says {count}")
    values += values[-1:] * (count - len(values))
    return tuple(value.decode("utf-8") for value in values)


def _count(shape: tuple[int, ...]) -> int:
    if any(size < 0 for size in shape):
        raise TensorError(f"a tensor of shape {shape} is not complete")
    return math.prod(shape)
