"""What nerfstudio does to a world before it trains, and cameras that are moved likewise.

Source: nerfstudio, data/dataparsers/nerfstudio_dataparser.py and base_dataparser.py. Poses are
turned and shifted, then their positions scaled: x -> scale * (turn @ x + shift). The file
dataparser_transforms.json has that for coordinates before ``applied_transform`` and
``applied_scale`` of a transforms.json, whose own coordinates come after them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gscodec.cameraio.poses import Straightened, rotation, world_to_camera
from gscodec.cameraio.values import Record, parse_json
from gscodec.errors import SceneError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gscodec.camera import Camera

DATAPARSER_FILE = "dataparser_transforms.json"
# What data made of COLMAP had before the field was written.
_COLMAP_APPLIED = ((0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0))


@dataclass(frozen=True)
class Similarity:
    """x -> scale * (turn @ x + shift).

    Attributes:
        scale: Above 0.
        turn: (3, 3), a rotation.
        shift: (3,) float64.
    """

    scale: float
    turn: NDArray[np.float64]
    shift: NDArray[np.float64]

    def moved(self, camera: Camera) -> Camera:
        """``camera`` where it sees of the moved world what it saw of the world."""
        turn = camera.world_to_camera[:3, :3] @ self.turn.T
        centre = self.scale * (self.turn @ camera.centre + self.shift)
        return replace(camera, world_to_camera=world_to_camera(turn, -turn @ centre))


def read_dataparser(data: bytes, name: str) -> Similarity:
    """What a dataparser_transforms.json says of coordinates before any ``applied_transform``.

    Raises:
        SceneError: It is none, or its transform is no rotation and shift.
    """
    record = Record.of(parse_json(data, name), name)
    return _similarity(record, "transform", record.number("scale"))


def after_applied(
    similarity: Similarity, data: bytes, name: str, *, from_colmap: bool
) -> Similarity:
    """The same for the coordinates that a camera file in JSON has.

    Args:
        similarity: Of coordinates before what was applied.
        data: The camera file.
        name: Its name, for errors.
        from_colmap: Whether the data set has COLMAP's model beside the camera file.

    Raises:
        SceneError: What it says was applied is no rotation and shift.
    """
    document = parse_json(data, name)
    if not isinstance(document, dict) or "frames" not in document:
        return similarity
    record = Record(document, name)
    scale = record.number("applied_scale", 1.0)
    if "applied_transform" not in document:
        if not from_colmap:
            return replace(similarity, scale=similarity.scale / scale)
        record = Record({"applied_transform": [list(row) for row in _COLMAP_APPLIED]}, name)
    applied = _similarity(record, "applied_transform", scale)
    turn = similarity.turn @ applied.turn.T
    shift = similarity.shift - turn @ applied.shift
    return Similarity(similarity.scale / scale, turn, shift)


def _similarity(record: Record, key: str, scale: float) -> Similarity:
    if scale <= 0:
        raise SceneError(f"{record.place}: {key}: found scale {scale:g}, expected more than 0")
    matrix = record.matrix(key, 4, rows=3)
    turn = rotation(matrix[:, :3], f"{record.place}: {key}", Straightened())
    return Similarity(scale, turn, matrix[:, 3])
