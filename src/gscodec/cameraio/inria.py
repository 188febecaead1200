"""The cameras.json that INRIA's training writes beside a scene.

Source: graphdeco-inria/gaussian-splatting, utils/camera_utils.py, ``camera_to_JSON``. The pose
is camera to world with x right, y down, z forward; the principal point is the centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.cameraio.poses import from_camera_to_world, make_camera, rotation

if TYPE_CHECKING:
    from gscodec.camera import Camera
    from gscodec.cameraio.poses import Straightened
    from gscodec.cameraio.values import Record


def read_inria_camera(record: Record, straightened: Straightened) -> Camera:
    """One entry of the list.

    Raises:
        SceneError: It is no camera.
    """
    turn = rotation(record.matrix("rotation", 3), f"{record.place}: rotation", straightened)
    width, height = record.whole("width"), record.whole("height")
    matrix = from_camera_to_world(turn, record.vector("position", 3))
    return make_camera(
        record.place,
        (width, height),
        (record.number("fx"), record.number("fy")),
        (width / 2, height / 2),
        matrix,
        image=record.text("img_name", ""),
    )
