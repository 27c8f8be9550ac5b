from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from model_training.weights import EFFICIENTNET_LITE2, WeightsError, package_state, read_legacy_torch

_MAGIC = 0x1950A86A20F9469CFC6C


class _Storage:
    """Pickled by reference, as torch does it."""

    def __init__(self, key: str, size: int) -> None:
        self.key, self.size = key, size


def _stream(
    values: list[float],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    extra_size: int = 0,
) -> bytes:
    """A legacy stream of one tensor ``w``, written without torch."""
    out = io.BytesIO()
    for header in (_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(header, out, protocol=2)
    state = io.BytesIO()
    # Opcodes by hand: torch is not there to pickle its own functions.
    state.write(b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00w")
    state.write(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n")
    state.write(b"X\x01\x00\x00\x001X\x03\x00\x00\x00cpu")
    state.write(pickle.dumps(len(values) + extra_size, protocol=2)[2:-1] + b"NtQ")
    for part in (offset, shape, strides):
        state.write(pickle.dumps(part, protocol=2)[2:-1])
    state.write(b"\x89ccollections\nOrderedDict\n)RtRu.")
    out.write(state.getvalue())
    pickle.dump(["1"], out, protocol=2)
    out.write(struct.pack("<q", len(values)) + np.array(values, dtype="<f4").tobytes())
    return out.getvalue()


def test_a_tensor_is_read_with_its_own_strides() -> None:
    state = read_legacy_torch(io.BytesIO(_stream([1, 2, 3, 4, 5, 6], (3, 2), (1, 3))))
    assert state["w"].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_a_tensor_that_reaches_outside_its_storage_is_refused() -> None:
    with pytest.raises(WeightsError, match="outside"):
        read_legacy_torch(io.BytesIO(_stream([1, 2, 3], (2, 2), (2, 1))))
    with pytest.raises(WeightsError, match="outside"):
        read_legacy_torch(io.BytesIO(_stream([1, 2, 3], (2,), (1,), offset=2)))
    with pytest.raises(WeightsError, match="outside"):
        read_legacy_torch(io.BytesIO(_stream([1, 2, 3], (2,), (-1,), offset=1)))


def test_a_stream_that_ends_too_early_is_refused() -> None:
    whole = _stream([1, 2, 3, 4], (4,), (1,))
    for length in range(len(whole)):
        with pytest.raises(WeightsError):
            read_legacy_torch(io.BytesIO(whole[:length]))


def test_a_storage_of_another_size_than_announced_is_refused() -> None:
    with pytest.raises(WeightsError, match="another size"):
        read_legacy_torch(io.BytesIO(_stream([1, 2], (2,), (1,), extra_size=1)))


def test_a_pickle_that_would_run_code_is_refused_before_it_runs() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("ran",)

    out = io.BytesIO()
    for part in (_MAGIC, 1001, {"little_endian": True}, OrderedDict(w=Evil())):
        pickle.dump(part, out, protocol=2)
    out.seek(0)
    with pytest.raises(WeightsError, match=r"asks for (__builtin__|builtins)\.print"):
        read_legacy_torch(out)


def test_the_installed_weights_are_those_of_efficientnet_lite2() -> None:
    state = package_state(EFFICIENTNET_LITE2)
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(values).all() for values in state.values())
    assert (state["_bn1.running_var"] > 0).all()
