"""The plain list of cameras: the fields of `gscodec.camera.Camera` under their own names.

A JSON list of objects: ``width``, ``height``, ``fx``, ``fy``, ``cx``, ``cy`` in pixels,
``world_to_camera`` as four rows, and where there are any ``distortion`` (k1, k2, p1, p2) and
``image``. Other keys are ignored.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from gscodec.cameraio.poses import check_last_row, make_camera, rotation, world_to_camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.cameraio.poses import Straightened
    from gscodec.cameraio.values import Record


def read_plain_camera(record: Record, straightened: Straightened) -> Camera:
    """One entry of the list.

    Raises:
        SceneError: It is no camera.
    """
    k1, k2, p1, p2 = (
        record.vector("distortion", 4).tolist() if "distortion" in record.values else [0.0] * 4
    )
    return make_camera(
        record.place,
        (record.whole("width"), record.whole("height")),
        (record.number("fx"), record.number("fy")),
        (record.number("cx"), record.number("cy")),
        _pose(record, straightened),
        (k1, k2, p1, p2),
        record.text("image", ""),
    )


def _pose(record: Record, straightened: Straightened) -> NDArray[np.float64]:
    """World to camera; one that is made rigid leaves the camera where it stands."""
    matrix = record.matrix("world_to_camera", 4)
    place = f"{record.place}: world_to_camera"
    written = matrix[:3, :3]
    turn = rotation(written, place, straightened)
    check_last_row(matrix, place)
    if turn is written:
        return matrix
    return world_to_camera(turn, turn @ np.linalg.solve(written, matrix[:3, 3]))


def write_cameras(cameras: tuple[Camera, ...]) -> bytes:
    """Inverse of reading: one camera a line, every number exactly."""
    lines = ",\n".join(json.dumps(_plain(camera)) for camera in cameras)
    return f"[\n{lines}\n]\n".encode()


def _plain(camera: Camera) -> dict[str, object]:
    optional = {
        "distortion": list(camera.distortion) if any(camera.distortion) else None,
        "image": camera.image or None,
    }
    return {
        "width": camera.width,
        "height": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "world_to_camera": camera.world_to_camera.tolist(),
        **{key: value for key, value in optional.items() if value is not None},
    }
