"""A camera file in JSON, whichever of the three dialects it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.cameraio.inria import read_inria_camera
from gscodec.cameraio.names import check_distinct
from gscodec.cameraio.plain import read_plain_camera
from gscodec.cameraio.poses import Straightened
from gscodec.cameraio.transforms import read_transforms
from gscodec.cameraio.values import Record, check_count, parse_json, shown
from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.camera import Camera
    from gscodec.cameraio.transforms import SizeOf

_KEYS_SHOWN = 6
_EXPECTED = (
    "expected a list of cameras (with world_to_camera, or with INRIA's position and rotation) "
    "or an object with frames (transforms.json)"
)


def read_cameras(
    data: bytes,
    *,
    name: str = "<bytes>",
    size_of: SizeOf | None = None,
    straightened: Straightened | None = None,
) -> tuple[Camera, ...]:
    """Reads a plain list, INRIA's cameras.json, or a transforms.json, in file order.

    Args:
        data: The whole file.
        name: The file's name, for errors.
        size_of: Name of a photograph -> its width and height, pixels. Asked only where a
            transforms.json has no ``w`` and ``h``.
        straightened: Told of matrices that were nearly rotations and were made into ones.

    Raises:
        SceneError: ``data`` is none of these, a camera in it is none, or the photographs of two
            have one name.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    straightened = Straightened() if straightened is None else straightened
    document = parse_json(data, name)
    if isinstance(document, dict) and "frames" in document:
        cameras = read_transforms(document, name, size_of, straightened)
    else:
        cameras = _read_list(document, name, straightened)
    check_distinct((f"{name}: camera {i}", c.image) for i, c in enumerate(cameras))
    return cameras


def _read_list(document: object, name: str, straightened: Straightened) -> tuple[Camera, ...]:
    if not isinstance(document, list):
        raise SceneError(f"{name}: found {_described(document)}, {_EXPECTED}")
    check_count(len(document), name)
    records = [Record.of(entry, f"{name}: camera {i}") for i, entry in enumerate(document)]
    read = _reader_of(records[0])
    return tuple(read(record, straightened) for record in records)


def _reader_of(first: Record) -> Callable[[Record, Straightened], Camera]:
    if "world_to_camera" in first.values:
        return read_plain_camera
    if "position" in first.values and "rotation" in first.values:
        return read_inria_camera
    raise SceneError(f"{first.place}: found {_described(first.values)}, {_EXPECTED}")


def _described(value: object) -> str:
    if not isinstance(value, dict):
        return shown(value)
    keys = ", ".join(shown(key) for key in list(value)[:_KEYS_SHOWN])
    return f"an object with {keys or 'nothing'}{' ...' if len(value) > _KEYS_SHOWN else ''}"
