from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.tensors import TensorError, to_array, to_strings, to_tensor


def _shape(*sizes: int) -> pb.TensorShape:
    return pb.TensorShape(dim=[pb.TensorShape.Dim(size=size) for size in sizes])


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float32", "float64", "bool"],
)
def test_numbers_come_back_as_they_were_sent(dtype: str) -> None:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    back = to_array(pb.Tensor.FromString(to_tensor(array).SerializeToString()))
    assert back.dtype == array.dtype
    assert (back == array).all()
    assert back.shape == (2, 3)


def test_an_array_that_is_not_contiguous_is_sent_in_reading_order() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    assert (to_array(to_tensor(array)) == array).all()


def test_an_empty_batch_has_its_shape() -> None:
    assert to_array(to_tensor(np.zeros((0, 4), np.float32))).shape == (0, 4)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(2), float_val=[0.5, 1]), [0.5, 1]),
        (pb.Tensor(dtype=pb.DT_DOUBLE, tensor_shape=_shape(1), double_val=[0.5]), [0.5]),
        (pb.Tensor(dtype=pb.DT_INT32, tensor_shape=_shape(2), int_val=[-1, 1]), [-1, 1]),
        (pb.Tensor(dtype=pb.DT_UINT8, tensor_shape=_shape(2), int_val=[0, 255]), [0, 255]),
        (pb.Tensor(dtype=pb.DT_INT64, tensor_shape=_shape(1), int64_val=[2**40]), [2**40]),
        (pb.Tensor(dtype=pb.DT_UINT64, tensor_shape=_shape(1), uint64_val=[2**63]), [2**63]),
        (pb.Tensor(dtype=pb.DT_BOOL, tensor_shape=_shape(2), bool_val=[True, False]), [True, False]),
        (pb.Tensor(dtype=pb.DT_HALF, tensor_shape=_shape(1), half_val=[0x3C00]), [1.0]),
    ],
)
def test_typed_lists_are_read_too(tensor: pb.Tensor, expected: list[Any]) -> None:
    assert to_array(tensor).tolist() == expected


def test_the_last_number_of_a_short_list_is_repeated() -> None:
    tensor = pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(2, 2), float_val=[1, 2])
    assert to_array(tensor).tolist() == [[1, 2], [2, 2]]
    assert to_array(pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(2))).tolist() == [0, 0]


@pytest.mark.parametrize(
    "tensor",
    [
        pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(1), float_val=[1, 2]),
        pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(2), tensor_content=b"\0" * 4),
        pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(-1), float_val=[1]),
        pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(1), string_val=[b"a"]),
        pb.Tensor(),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(tensor: pb.Tensor) -> None:
    with pytest.raises(TensorError):
        to_array(tensor)


def test_arrays_without_a_counterpart_are_refused() -> None:
    with pytest.raises(TensorError, match="complex"):
        to_tensor(np.zeros(1, np.complex64))


def test_strings_are_read_in_order() -> None:
    tensor = pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(2), string_val=[b"caf\xc3\xa9", b"b"])
    assert to_strings(tensor) == ("café", "b")
    scalar = pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(), string_val=[b"a"])
    assert to_strings(scalar) == ("a",)
    assert to_strings(pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(0))) == ()


def test_strings_that_contradict_their_shape_are_refused() -> None:
    with pytest.raises(TensorError):
        to_strings(pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(1), string_val=[b"a", b"b"]))
    with pytest.raises(TensorError):
        to_strings(pb.Tensor(dtype=pb.DT_STRING, tensor_shape=_shape(2)))
    with pytest.raises(TensorError):
        to_strings(pb.Tensor(dtype=pb.DT_FLOAT, tensor_shape=_shape(1), float_val=[1]))
