"""cameras.bin and images.bin of a COLMAP sparse model: little-endian records after a count."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.cameraio.colmap_model import (
    MODEL_NAMES,
    PARAMETERS,
    Image,
    Lens,
    assemble,
    check_model,
)
from gscodec.cameraio.values import MAX_CAMERAS
from gscodec.errors import SceneError

if TYPE_CHECKING:
    from gscodec.camera import Camera

_COUNT = struct.Struct("<Q")
_LENS = struct.Struct("<iiQQ")  # identity, model, width, height
_IMAGE = struct.Struct("<i7di")  # identity, quaternion, translation, identity of the camera
_POINT_BYTES = 24  # x and y as doubles, identity of the 3D point
_MAX_NAME_BYTES = 4096
_SMALLEST_LENS = _LENS.size + 8 * min(map(len, PARAMETERS.values()))
_SMALLEST_IMAGE = _IMAGE.size + 1 + _COUNT.size


def read_colmap_binary(
    cameras: bytes, images: bytes, *, name: str = "<bytes>"
) -> tuple[Camera, ...]:
    """The views of a sparse model, sorted by the names of their photographs.

    Args:
        cameras: The file cameras.bin.
        images: The file images.bin.
        name: Of the folder, for errors.

    Raises:
        SceneError: A file is truncated, inconsistent, or holds no views.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    return assemble(
        _read_lenses(_Cursor(cameras, f"{name}/cameras.bin")),
        _read_images(_Cursor(images, f"{name}/images.bin")),
        name,
    )


@dataclass
class _Cursor:
    """Bytes read from front to back; every step is held against the end.

    Attributes:
        data: The whole file.
        place: Where it stands, for errors.
        offset: Of the next byte.
    """

    data: bytes
    place: str
    offset: int = 0

    def take(self, form: struct.Struct) -> tuple[int | float, ...]:
        start = self.skip(form.size)
        values: tuple[int | float, ...] = form.unpack_from(self.data, start)
        return values

    def skip(self, count: int) -> int:
        """Goes on by ``count`` bytes; gives the offset before."""
        left = len(self.data) - self.offset
        if count > left:
            raise SceneError(
                f"{self.place}: truncated at byte {self.offset}: found {left} bytes, "
                f"expected {count}"
            )
        self.offset += count
        return self.offset - count

    def count(self, smallest: int) -> int:
        """The number of records, each of at least ``smallest`` bytes."""
        count = int(self.take(_COUNT)[0])
        left = len(self.data) - self.offset
        if count > MAX_CAMERAS or count * smallest > left:
            raise SceneError(
                f"{self.place}: found {left} bytes for {count} records of at least {smallest} "
                f"bytes; truncated, or more than {MAX_CAMERAS} records"
            )
        return count

    def name(self) -> str:
        """UTF-8 up to a zero byte."""
        end = self.data.find(b"\0", self.offset, self.offset + _MAX_NAME_BYTES + 1)
        if end < 0:
            raise SceneError(
                f"{self.place}: a name without end at byte {self.offset}; truncated, or "
                f"more than {_MAX_NAME_BYTES} bytes"
            )
        start = self.skip(end + 1 - self.offset)
        try:
            return self.data[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise SceneError(f"{self.place}: the name at byte {start}: {error}") from error

    def finish(self) -> None:
        surplus = len(self.data) - self.offset
        if surplus:
            raise SceneError(f"{self.place}: {surplus} bytes after the last record")


def _read_lenses(cursor: _Cursor) -> list[Lens]:
    lenses = [_read_lens(cursor) for _ in range(cursor.count(_SMALLEST_LENS))]
    cursor.finish()
    return lenses


def _read_lens(cursor: _Cursor) -> Lens:
    identity, number, width, height = map(int, cursor.take(_LENS))
    model = MODEL_NAMES.get(number, str(number))
    check_model(model, f"{cursor.place}: camera {identity}")
    parameters = cursor.take(struct.Struct(f"<{len(PARAMETERS[model])}d"))
    return Lens(identity, model, width, height, parameters)


def _read_images(cursor: _Cursor) -> list[Image]:
    images = [_read_image(cursor, index) for index in range(cursor.count(_SMALLEST_IMAGE))]
    cursor.finish()
    return images


def _read_image(cursor: _Cursor, index: int) -> Image:
    _, *pose, lens = cursor.take(_IMAGE)
    name = cursor.name()
    cursor.skip(_POINT_BYTES * int(cursor.take(_COUNT)[0]))
    place = f"{cursor.place}: image {index}"
    return Image(place, np.array(pose[:4]), np.array(pose[4:]), int(lens), name)
