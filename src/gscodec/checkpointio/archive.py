"""A zip archive of torch (TorchScript, or what torch.save writes) -> its value and tensors.

Layout: every member is below one folder; ``data.pkl`` describes a value, ``data/<key>`` holds
the bytes of each storage that it names, ``byteorder`` may say their order. Code, constants and
traced inputs are never read.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.checkpointio.pickles import STORAGE_ITEM_BYTES, Value, parse_pickle
from gscodec.errors import SceneError
from gscodec.sceneio.foreign import ZIP_DAMAGE, Kind, kind_of, refuse_other_formats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.checkpointio.pickles import Storage, Tensor

MAX_MEMBERS = 10_000
_PICKLE = re.compile(r"[^/]+/data\.pkl")
_KEY = re.compile(r"[0-9]{1,20}", re.ASCII)
_MAX_DIMENSIONS = 8
_FLOATS = {
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.DoubleStorage": "<f8",
}
_BFLOAT16 = "torch.BFloat16Storage"


@dataclass(frozen=True)
class Archive:
    """An opened archive.

    Attributes:
        value: What its pickle describes.
        zipped: The archive; only members that are stored, not compressed, are read.
        folder: What stands before the names of its members, with the slash.
        name: The file's name, for errors.
    """

    value: Value
    zipped: zipfile.ZipFile
    folder: str
    name: str

    def floats(self, tensor: Tensor) -> NDArray[np.float32]:
        """The tensor's values, rounded to float32, as a new array.

        Raises:
            SceneError: It is not of floats, or reaches beyond its storage.
        """
        _check_view(tensor, self.name)
        flat = self._storage(tensor.storage)
        strides = tuple(s * flat.itemsize for s in tensor.strides)
        view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are found later
            return np.array(view, dtype=np.float32, order="C")

    def _storage(self, storage: Storage) -> NDArray[Any]:
        if storage.kind not in (*_FLOATS, _BFLOAT16):
            raise SceneError(f"{self.name}: found {storage.kind}, expected numbers of float")
        if not _KEY.fullmatch(storage.key):
            raise SceneError(f"{self.name}: storage {storage.key[:80]!a}, expected a number")
        member = f"{self.folder}data/{storage.key}"
        data = _read_member(self.zipped, member, self.name)
        wanted = storage.count * STORAGE_ITEM_BYTES[storage.kind]
        if len(data) != wanted:
            raise SceneError(
                f"{self.name}: {member}: found {len(data)} bytes, expected {wanted} for "
                f"{storage.count} elements of {storage.kind}"
            )
        if storage.kind == _BFLOAT16:  # the upper half of a float32
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(data, _FLOATS[storage.kind])


def is_archive(data: bytes) -> bool:
    """Whether a zip archive is one of torch, damaged or not."""
    try:
        names = zipfile.ZipFile(BytesIO(data)).namelist()
    except ZIP_DAMAGE:
        return b"/data.pkl" in data
    return any(map(_PICKLE.fullmatch, names))


def open_archive(data: bytes, name: str) -> Archive:
    """Opens an archive and parses its pickle.

    Args:
        data: The whole file.
        name: The file's name, for errors.

    Raises:
        SceneError: It is no archive of torch, is damaged, or would run something.
    """
    if kind_of(data) is Kind.OLD_TORCH:
        refuse_other_formats(data, name)
    if kind_of(data) is not Kind.ZIP:
        found = f"{data[:8]!r}" if data else "an empty file"
        raise SceneError(f"{name}: found {found}, expected a zip archive as torch writes it")
    try:
        zipped = zipfile.ZipFile(BytesIO(data))
    except ZIP_DAMAGE as error:
        raise SceneError(f"{name}: damaged or truncated archive: {_line(error)}") from error
    _check_members(zipped, len(data), name)
    pickles = [n for n in zipped.namelist() if _PICKLE.fullmatch(n)]
    if len(pickles) != 1:
        raise SceneError(f"{name}: found {len(pickles)} members data.pkl, expected 1")
    folder = pickles[0].removesuffix("data.pkl")
    _check_byte_order(zipped, folder, name)
    value = parse_pickle(_read_member(zipped, pickles[0], name), name)
    return Archive(value, zipped, folder, name)


def _check_members(zipped: zipfile.ZipFile, size: int, name: str) -> None:
    """Refuses what no writer of torch makes: names that are paths, copies, overlaps."""
    members = zipped.infolist()
    if len(members) > MAX_MEMBERS:
        raise SceneError(f"{name}: {len(members)} members, expected at most {MAX_MEMBERS}")
    seen = set()
    for member in members:
        shown = f"{member.filename[:80]!a}"
        parts = re.split(r"[/\\]", member.orig_filename.removesuffix("/"))
        if "\0" in member.orig_filename or not {"", ".."}.isdisjoint(parts):
            raise SceneError(f"{name}: member {shown}, expected a name inside the archive")
        if member.filename in seen:
            raise SceneError(f"{name}: member {shown} found twice")
        seen.add(member.filename)
    stored = sum(member.compress_size for member in members)
    if stored > size:
        raise SceneError(f"{name}: members of {stored} bytes in {size}; they overlap")


def _check_byte_order(zipped: zipfile.ZipFile, folder: str, name: str) -> None:
    if f"{folder}byteorder" not in zipped.namelist():
        return  # torch before 2.1 did not write it
    order = _read_member(zipped, f"{folder}byteorder", name)
    if order != b"little":
        raise SceneError(f"{name}: byte order {order[:20]!r}, expected little")


def _read_member(zipped: zipfile.ZipFile, member: str, name: str) -> bytes:
    if member not in zipped.namelist():
        raise SceneError(f"{name}: no member {member[:80]!a}")
    info = zipped.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise SceneError(f"{name}: member {member[:80]!a} is compressed, expected it stored")
    try:
        return zipped.read(info)
    except ZIP_DAMAGE as error:
        raise SceneError(f"{name}: damaged or truncated archive: {_line(error)}") from error


def _check_view(tensor: Tensor, name: str) -> None:
    """Invariant afterwards: every element lies in the storage, and they are no more than it."""
    shape, strides, count = tensor.shape, tensor.strides, tensor.storage.count
    shown = (
        f"tensor of shape {_short(shape)}, strides {_short(strides)}, offset {tensor.offset}"
    )
    fits = (
        0 < len(shape) == len(strides) <= _MAX_DIMENSIONS
        and min(shape) >= 0 <= tensor.offset <= count
        and all(1 <= s <= max(count, 1) for s in strides)
        and tensor.offset + sum((d - 1) * s for d, s in zip(shape, strides, strict=True))
        < count
    )
    if not fits or np.prod(shape, dtype=object) > count:
        raise SceneError(f"{name}: {shown} does not fit its storage of {count} elements")


def _short(numbers: tuple[int, ...]) -> str:
    return f"{numbers[:_MAX_DIMENSIONS]}"


def _line(error: Exception) -> str:
    return f"{error}"[:120].encode("ascii", "replace").decode().replace("\n", " ")
