"""The cameras.json that INRIA's training writes beside a scene.

Source: graphdeco-inria/gaussian-splatting, utils/camera_utils.py, ``camera_to_JSON``. The pose
is camera to world with x right, y down, z forward; the principal point is the centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.cameraio.poses import check_rotation, from_camera_to_world, make_camera

if TYPE_CHECKING:
    from gscodec.camera import Camera
    from gscodec.cameraio.values import Record


def read_inria_camera(record: Record) -> Camera:
    """One entry of the list.

    Raises:
        SceneError: It is no camera.
    """
    turn = record.matrix("rotation", 3)
    check_rotation(turn, f"{record.place}: rotation")
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
