"""State dicts -> the zip archive that torch.save writes, without torch.

Inverse of `archive` and `pickles` for dicts of float32 tensors; ``torch.load`` reads it, with
``weights_only`` too. The same tensors give the same bytes.
"""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    StateDict: TypeAlias = Mapping[str, NDArray[np.float32] | "StateDict"]

_FOLDER = "archive"
_EMPTY_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
_FALSE = b"\x89"


def write_state_dict(state: StateDict) -> bytes:
    """An archive of ``state``: tensors by name, or such dicts by name."""
    storages: list[bytes] = []
    pickled = b"\x80\x02" + _dict(state, storages) + b"."
    members = {
        "data.pkl": pickled,
        "byteorder": b"little",
        **{f"data/{key}": data for key, data in enumerate(storages)},
        "version": b"3\n",
    }
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in members.items():
            info = zipfile.ZipInfo(f"{_FOLDER}/{name}")  # dated 1980, on every system alike
            info.create_system = 3
            zipped.writestr(info, data)
    return out.getvalue()


def _dict(state: StateDict, storages: list[bytes]) -> bytes:
    items = b"".join(
        _text(name)
        + (_tensor(item, storages) if isinstance(item, np.ndarray) else _dict(item, storages))
        for name, item in state.items()
    )
    return _EMPTY_ORDERED_DICT + b"(" + items + b"u"


def _tensor(array: NDArray[np.float32], storages: list[bytes]) -> bytes:
    """A call that torch makes, and adds to ``storages`` what it refers to."""
    key = len(storages)
    storages.append(np.ascontiguousarray(array, "<f4").tobytes())
    storage = _tuple(
        _text("storage"),
        b"ctorch\nFloatStorage\n",
        _text(str(key)),
        _text("cpu"),
        _integer(array.size),
    )
    strides = (int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim))
    arguments = _tuple(
        storage + b"Q",
        _integer(0),
        _tuple(*map(_integer, array.shape)),
        _tuple(*map(_integer, strides)),
        _FALSE,  # it needs no gradient
        _EMPTY_ORDERED_DICT,  # and has no hooks
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)
