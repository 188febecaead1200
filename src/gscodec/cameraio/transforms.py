"""transforms.json of NeRF-synthetic, instant-ngp and nerfstudio.

Poses are camera to world with OpenGL axes (x right, y up, z backward), taken as they are
written: nerfstudio's orientation and scaling before training, ``applied_transform``, and
instant-ngp's ``scale`` and ``offset`` do not apply. What a frame says goes before what the
file says for all of them.
"""

from __future__ import annotations

import math
from collections import ChainMap
from typing import TYPE_CHECKING

from gscodec.cameraio.names import written_name
from gscodec.cameraio.poses import (
    check_last_row,
    from_camera_to_world,
    make_camera,
    rotation,
)
from gscodec.cameraio.values import Record, check_count, shown
from gscodec.errors import SceneError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from gscodec.camera import Camera
    from gscodec.cameraio.poses import Straightened

    SizeOf: TypeAlias = Callable[[str], tuple[int, int]]

_OPENGL = (1.0, -1.0, -1.0)  # signs of the axes against x right, y down, z forward
# All of these have distortion only in k1, k2, p1 and p2.
_MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_OTHER_DISTORTION = ("k3", "k4", "k5", "k6")


def read_transforms(
    document: dict[str, object],
    name: str,
    size_of: SizeOf | None,
    straightened: Straightened,
) -> tuple[Camera, ...]:
    """The frames of a transforms.json, in file order.

    Args:
        document: The whole file.
        name: The file's name, for errors.
        size_of: ``file_path`` -> width and height of the photograph, pixels. NeRF-synthetic
            files need it: they do not say how large their images are.
        straightened: Told of poses that were nearly rigid and were made so.

    Raises:
        SceneError: A frame is no camera, or its size is not known.
        UnsupportedError: A frame has a lens that is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    frames = document.get("frames")
    if not isinstance(frames, list):
        raise SceneError(f"{name}: frames: found {shown(frames)}, expected a list")
    check_count(len(frames), name)
    cameras = []
    for index, frame in enumerate(frames):
        own = Record.of(frame, f"{name}: frame {index}")
        record = Record(ChainMap(dict(own.values), document), own.place)
        cameras.append(_read_frame(record, size_of, straightened))
    return tuple(cameras)


def _read_frame(record: Record, size_of: SizeOf | None, straightened: Straightened) -> Camera:
    _check_lens(record)
    image = written_name(record.text("file_path"))
    width, height = _size(record, image, size_of)
    focal = _focal_lengths(record, width, height)
    pose = record.matrix("transform_matrix", 4)
    place = f"{record.place}: transform_matrix"
    turn = rotation(pose[:3, :3], place, straightened)
    check_last_row(pose, place)
    return make_camera(
        record.place,
        (width, height),
        focal,
        (record.number("cx", width / 2), record.number("cy", height / 2)),
        from_camera_to_world(turn * _OPENGL, pose[:3, 3]),
        (
            record.number("k1", 0.0),
            record.number("k2", 0.0),
            record.number("p1", 0.0),
            record.number("p2", 0.0),
        ),
        image,
    )


def _check_lens(record: Record) -> None:
    model = record.text("camera_model", "OPENCV")
    if record.values.get("is_fisheye"):  # instant-ngp
        model = "FISHEYE"
    if model not in _MODELS:
        raise UnsupportedError(
            f"{record.place}: camera model {shown(model)} is not supported, expected one of "
            f"{', '.join(_MODELS)}"
        )
    for key in _OTHER_DISTORTION:
        if record.number(key, 0.0) != 0:
            raise UnsupportedError(
                f"{record.place}: {key}: found {record.number(key):g}, expected 0; only "
                "distortion k1, k2, p1 and p2 is supported"
            )


def _size(record: Record, image: str, size_of: SizeOf | None) -> tuple[int, int]:
    if "w" in record.values or "h" in record.values:
        return record.whole("w"), record.whole("h")
    if size_of is None:
        raise SceneError(f"{record.place}: no w and h, and no photograph to take them from")
    return size_of(image)


def _focal_lengths(record: Record, width: int, height: int) -> tuple[float, float]:
    """Across and down, pixels; a file with only one means it for both."""
    fx = _focal_length(record, "fl_x", "camera_angle_x", width)
    fy = _focal_length(record, "fl_y", "camera_angle_y", height)
    if fx is None:
        raise SceneError(f"{record.place}: no fl_x and no camera_angle_x")
    return fx, fx if fy is None else fy


def _focal_length(record: Record, length: str, angle: str, edge: int) -> float | None:
    if length in record.values:
        return record.number(length)
    if angle not in record.values:
        return None
    radians = record.number(angle)
    if not 0 < radians < math.pi:
        raise SceneError(f"{record.place}: {angle}: found {radians:g}, expected 0 to pi")
    return edge / (2 * math.tan(radians / 2))
