"""Poses and lenses as files write them -> `gscodec.camera.Camera`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gscodec.camera import Camera
from gscodec.cameraio.names import written_name
from gscodec.errors import SceneError
from gscodec.notes import Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOLERANCE = 1e-3  # of rotations; files hold float32, or six digits of text
_NORM_TOLERANCE = 1e-2  # of quaternions, which are normalised
_MOST_ASKEW = 0.01  # of matrices that are turned into rotations: lengths of their axes less 1


@dataclass
class Straightened:
    """Matrices that were nearly rotations and were made into ones, counted while a file is read.

    Attributes:
        places: Where they stand.
        most: The farthest from 1 that the length of an axis was.
    """

    places: list[str] = field(default_factory=list)
    most: float = 0.0

    def notes(self) -> tuple[str, ...]:
        """One line, if there were any."""
        if not self.places:
            return ()
        note = (
            f"camera matrices made rotations: {len(self.places)}, they scaled or sheared by up "
            f"to {100 * self.most:.2g} % (first: {self.places[0]})"
        )
        return (Note(note, "cameras-made-rotations", changed=False, cameras=len(self.places)),)


def make_camera(
    place: str,
    size: tuple[int, int],
    focal: tuple[float, float],
    principal: tuple[float, float],
    matrix: NDArray[np.float64],
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    image: str = "",
) -> Camera:
    """A camera, or an error that says where.

    Args:
        place: For errors.
        size: Width and height, pixels.
        focal: Across and down, pixels.
        principal: The point, from left and from above, pixels.
        matrix: (4, 4) world to camera.
        distortion: k1, k2, p1, p2.
        image: Name of the photograph.

    Raises:
        SceneError: The numbers make no camera.
    """
    try:
        return Camera(*size, *focal, *principal, matrix, distortion, written_name(image))
    except SceneError as error:
        raise SceneError(f"{place}: {str(error).removeprefix('camera: ')}") from error


def rotation(
    turn: NDArray[np.float64], place: str, straightened: Straightened
) -> NDArray[np.float64]:
    """``turn`` as it is, or the nearest rotation where it is off by up to a hundredth.

    Args:
        turn: (3, 3), finite.
        place: For errors.
        straightened: Told of what was changed.

    Raises:
        SceneError: It scales or shears by more, or mirrors.
    """
    # Entries first: products of large ones overflow.
    if np.abs(turn).max() > 2 or np.linalg.det(turn) < 0:
        raise SceneError(f"{place}: is no rotation")
    if np.abs(turn @ turn.T - np.eye(3)).max() <= _TOLERANCE:
        return turn
    left, lengths, right = np.linalg.svd(turn)
    askew = float(np.abs(lengths - 1).max())
    if askew > _MOST_ASKEW + 1e-6:
        raise SceneError(
            f"{place}: is no rotation, it scales or shears by {100 * askew:.3g} %, expected at "
            f"most {100 * _MOST_ASKEW:g} %"
        )
    straightened.places.append(place)
    straightened.most = max(straightened.most, askew)
    result: NDArray[np.float64] = left @ right
    return result


def check_last_row(pose: NDArray[np.float64], place: str) -> None:
    """Refuses what divides by more than 1.

    Args:
        pose: (4, 4), finite.
        place: For errors.

    Raises:
        SceneError: The last row is not 0 0 0 1.
    """
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise SceneError(f"{place}: the last row is not 0 0 0 1")


def from_camera_to_world(
    turn: NDArray[np.float64], centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The inverse of a pose, (4, 4).

    Args:
        turn: (3, 3) camera to world, already checked; axes x right, y down, z forward.
        centre: (3,) where the camera stands.
    """
    inverse = np.linalg.inv(turn).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # `Camera` refuses infinities
        return world_to_camera(inverse, -inverse @ centre)


def world_to_camera(
    turn: NDArray[np.float64], translation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3, 3) and (3,) as one (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, translation
    return matrix


def rotation_of(quaternion: NDArray[np.float64], place: str) -> NDArray[np.float64]:
    """(4,) w, x, y, z -> (3, 3).

    Raises:
        SceneError: The length is not 1.
    """
    if not np.abs(quaternion).max() < 2 or not (  # NaN too
        abs(np.linalg.norm(quaternion) - 1) < _NORM_TOLERANCE
    ):
        raise SceneError(f"{place}: the quaternion is no rotation, expected length 1")
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
