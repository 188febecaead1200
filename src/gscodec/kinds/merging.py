"""Gaussians that share a voxel become one, as where RALHE voxelises a scene (section 2.1).

The one has the moments of those it is made of, each counting as much as it covers: opacity times
the area that it shows from all sides, so that flat ones count too. Mean and covariance are those
of their mixture, colours their mean. Together they cover as much as before, as far as one opacity
can: that of all of them behind each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry import Lattice
from gscodec.geometry.rotation import rotated, sort_axes
from gscodec.kinds.gaussians import MAX_LOG_SCALE, MAX_OPACITY_LOGIT
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.room import Room
    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float64]


def merged(
    scene: GaussianScene, depth: int, room: Room = MEMORY
) -> tuple[GaussianScene, NDArray[np.int64]]:
    """One Gaussian in each voxel of an octree of this ``depth`` over ``scene``.

    Returns:
        A scene, and the rows (M,), rising, that its Gaussians are: of those that are merged, the
        one that covers most. Extra properties are theirs.
    """
    codes = Lattice.covering(scene.means, depth).codes(scene.means)
    _, voxel, counts = np.unique(codes, return_inverse=True, return_counts=True)
    shared = counts[voxel] > 1
    rows = np.flatnonzero(shared)
    if not len(rows):
        return scene, np.arange(len(scene))
    _, group = np.unique(voxel[rows], return_inverse=True)
    one, largest = _Groups(scene.take(rows), group).merged()
    kept = np.sort(np.concatenate([np.flatnonzero(~shared), rows[largest]]))
    found, at = scene.take(kept, room), np.searchsorted(kept, rows[largest])
    for name, values in one.items():
        getattr(found, name)[at] = values
    # Where a corner of the bounding box was merged, voxels have moved.
    found, rest = merged(found, depth, room)
    return found, kept[rest]


class _Groups:
    """Gaussians, row by row, of which those with the same number belong together."""

    def __init__(self, scene: GaussianScene, group: NDArray[np.int64]) -> None:
        self._scene, self._group = scene, group
        logits = np.clip(scene.opacity_logits, -MAX_OPACITY_LOGIT, MAX_OPACITY_LOGIT)
        scales = np.clip(scene.log_scales, -MAX_LOG_SCALE, MAX_LOG_SCALE)
        self._log_scales, self._quats = sort_axes(
            scales.astype(np.float64), scene.quats.astype(np.float64)
        )
        self._opacity = 1 / (1 + np.exp(-logits.astype(np.float64)))
        self._cover = self._opacity * _area(np.exp(self._log_scales))
        self._share = self._cover / self._of(self._sum(self._cover))

    def _sum(self, values: Floats) -> Floats:
        """Over each group: (groups, ...) of (rows, ...)."""
        flat = values.reshape(len(values), -1)
        sums = [np.bincount(self._group, column) for column in flat.T]
        return np.stack(sums, axis=-1, dtype=np.float64).reshape(-1, *values.shape[1:])

    def _of(self, values: Floats) -> Floats:
        """Of the group of each row."""
        found: Floats = values[self._group]
        return found

    def _mean(self, values: NDArray[np.floating]) -> Floats:
        """By what each row covers."""
        share = self._share.reshape(-1, *[1] * (values.ndim - 1))
        return self._sum(values.astype(np.float64) * share)

    def merged(self) -> tuple[dict[str, NDArray[np.floating]], NDArray[np.int64]]:
        """The fields of one Gaussian for each group, and the row that covers most."""
        scene = self._scene
        order = np.lexsort((-self._cover, self._group))
        first = np.unique(self._group[order], return_index=True)[1]
        largest: NDArray[np.int64] = order[first]
        base = scene.means[largest].astype(np.float64)
        away = scene.means - self._of(base)  # small numbers, whose squares are exact enough
        middle = self._mean(away)
        log_scales, quats = _axes(self._spread(away - self._of(middle)))
        fields: dict[str, NDArray[np.floating]] = {
            "means": base + middle,
            "opacity_logits": self._logits(np.exp(log_scales)),
            "log_scales": log_scales,
            "quats": quats,
            "sh_dc": self._mean(scene.sh_dc),
            "sh_rest": self._mean(scene.sh_rest) if scene.sh_rest.size else scene.sh_rest[:1],
        }
        return fields, largest

    def _spread(self, away: Floats) -> Floats:
        """Covariances (groups, 3, 3) of mixtures of Gaussians ``away`` (rows, 3) from the middle."""
        spread = away[:, :, None] * away[:, None, :]
        for axis in range(3):
            scale = np.exp(self._log_scales[:, axis, None])
            along = scale * rotated(self._quats, np.eye(3)[[axis] * len(away)])
            spread += along[:, :, None] * along[:, None, :]
        return self._mean(spread)

    def _logits(self, scales: Floats) -> Floats:
        """(groups,) of opacities with which ``scales`` cover as much as all of a group did."""
        behind = -np.expm1(self._sum(np.log1p(-self._opacity)))
        opacity = np.minimum(self._sum(self._cover) / _area(scales), behind)
        logits: Floats = np.log(opacity) - np.log1p(-opacity)
        return logits


def _area(scales: Floats) -> Floats:
    """(N,) that ellipsoids of these ``scales`` (N, 3) show: mean square over directions, root."""
    squares = scales**2
    first, second, third = squares.T
    area: Floats = np.sqrt(first * second + second * third + third * first)
    return area


def _axes(covariances: Floats) -> tuple[Floats, Floats]:
    """Log-scales (N, 3) and quaternions (N, 4) of ``covariances`` (N, 3, 3)."""
    squares, axes = np.linalg.eigh(covariances)
    axes[np.linalg.det(axes) < 0] *= -1
    least = np.exp(-2 * MAX_LOG_SCALE)
    return 0.5 * np.log(np.maximum(squares, least)), _quaternions(axes)


def _quaternions(turns: Floats) -> Floats:
    """(N, 4) w, x, y, z of rotations ``turns`` (N, 3, 3): the main axis of a symmetric matrix.

    After Bar-Itzhack, New method for extracting the quaternion from a rotation matrix (2000).
    """
    (a, b, c), (d, e, f), (g, h, i) = np.moveaxis(turns, 0, -1)
    rows = [
        [a + e + i, h - f, c - g, d - b],
        [h - f, a - e - i, b + d, c + g],
        [c - g, b + d, e - a - i, f + h],
        [d - b, c + g, f + h, i - a - e],
    ]
    _, vectors = np.linalg.eigh(np.moveaxis(np.array(rows), -1, 0))
    quaternions: Floats = vectors[..., -1]
    return quaternions
