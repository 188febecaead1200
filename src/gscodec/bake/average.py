"""What networks say of an offset from many cameras, averaged into one Gaussian.

Everything is weighted by how much of a picture the offset is from there: colours become SH by
least squares, covariances their mean. Opacity is the hard part, for from some sides an offset
is not there at all: such views pull it down, if less than those that show it (`_ABSENT`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.kernels import GAUSSIANS_AT_ONCE, basis_functions
from gscodec.render.neural import gaussians_of, generate, in_picture, respond
from gscodec.render.parts import in_parts
from gscodec.render.splat import Conventions, rasterize
from gscodec.scene import GaussianScene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera

    Array = NDArray[np.float32]
    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

_ANCHORS = 8192  # whose equations are held at once, 1 kB for each offset
_ABSENT = 0.3  # weight of views in which an offset is not there; 0 loses 1.5 dB on mic-scaffold
_RIDGE = 0.02  # pulls SH above the constant to zero where few directions are known
_OPACITIES = (1e-4, 0.999)
_THINNEST = 1e-6  # of the longest axis


@dataclass(frozen=True)
class Sight:
    """What one camera sees.

    Attributes:
        centre: (3,) float32, where it stands.
        index: (M,) int64 rising, anchor * K + offset of what is there and seen.
        weights: (M,) float32, blending weights summed over the picture, above 0.
        present: (N,) bool, which anchors are in the picture.
    """

    centre: Array
    index: Indices
    weights: Array
    present: NDArray[np.bool_]


def watch(
    scene: AnchorScene,
    cameras: Sequence[Camera],
    conventions: Conventions,
    progress: Callable[[float], None],
) -> list[Sight]:
    """Looks at ``scene`` from every camera."""
    near = conventions.near_plane
    sights = []
    for number, camera in enumerate(cameras):
        found = generate(scene, camera, near)
        weights = rasterize(found.gaussians, camera, conventions=conventions).weights()
        seen = weights > 0
        centre = camera.centre.astype(np.float32)
        there = in_picture(scene, camera, near)
        sights.append(Sight(centre, found.index[seen], weights[seen], there))
        progress((number + 1) / len(cameras))
    return sights


def average(
    scene: AnchorScene,
    sights: Sequence[Sight],
    sh_degree: int,
    progress: Callable[[float], None],
) -> GaussianScene:
    """One Gaussian for each offset that is seen, in the order of ``Sight.index``."""
    seen = np.zeros(len(scene) * scene.offset_count, np.bool_)
    for sight in sights:
        seen[sight.index] = True
    parts = [_nothing(sh_degree)]
    for start in range(0, len(scene), _ANCHORS):
        end = min(start + _ANCHORS, len(scene))
        span = (start * scene.offset_count, end * scene.offset_count)
        kept = span[0] + np.flatnonzero(seen[span[0] : span[1]])
        sums = _Sums(kept, sh_degree)
        for sight in sights:
            sums.add(scene, sight, span)
        parts.append(sums.solve())
        progress(end / len(scene))
    columns = zip(*(part.attributes().values() for part in parts), strict=True)
    means, opacities, scales, quats, dc, rest = (np.concatenate(c) for c in columns)
    return GaussianScene(means, opacities, scales, quats, dc, rest, has_normals=True)


class _Sums:
    """Weighted sums over cameras, for some offsets."""

    def __init__(self, kept: Indices, sh_degree: int) -> None:
        """Offsets ``kept`` (M,), rising."""
        count, size = len(kept), (sh_degree + 1) ** 2
        self._kept, self._degree = kept, sh_degree
        self._weight = np.zeros(count)
        self._products = np.zeros((count, size, size), np.float32)
        self._colors = np.zeros((count, size, 3), np.float32)
        self._covariances = np.zeros((count, 3, 3))
        self._means = np.zeros((count, 3), np.float32)
        # Of views that show an offset: how many, what it would be if opaque, and what it is.
        self._views, self._extent, self._covered = (
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
        )
        self._chances = np.zeros(count)  # views that have its anchor in the picture

    def add(self, scene: AnchorScene, sight: Sight, span: tuple[int, int]) -> None:
        """Counts one camera in; ``span`` bounds the offsets."""
        count = scene.offset_count
        self._chances += sight.present[self._kept // count]
        first, end = np.searchsorted(sight.index, span)
        index, weights = sight.index[first:end], sight.weights[first:end]
        if not len(index):
            return
        rows, owner = np.unique(index // count, return_inverse=True)
        responses = respond(scene, rows, sight.centre)
        means, quats, scales, opacities, colors = gaussians_of(
            scene, rows, responses, owner, index % count
        )
        at = np.searchsorted(self._kept, index)  # each at most once
        self._means[at] = means
        self._weight[at] += weights
        self._views[at] += 1
        self._extent[at] += weights / opacities
        self._covered[at] += weights
        axes = _rotations(quats) * scales[:, None]
        self._covariances[at] += weights[:, None, None] * (axes @ axes.transpose(0, 2, 1))
        basis = self._basis(means - sight.centre)
        weighted = (basis * weights[:, None])[:, :, None]
        self._products[at] += weighted * basis[:, None]
        self._colors[at] += weighted * (colors - np.float32(0.5))[:, None]

    def solve(self) -> GaussianScene:
        """The Gaussians, in the order of the offsets."""
        logs, quats = _shapes(self._covariances / self._weight[:, None, None])
        sh = self._spherical_harmonics()
        opacities = np.clip(self._opacities(), *_OPACITIES)
        return GaussianScene(
            means=self._means,
            opacity_logits=np.log(opacities / (1 - opacities)).astype(np.float32),
            log_scales=logs.astype(np.float32),
            quats=quats.astype(np.float32),
            sh_dc=np.ascontiguousarray(sh[:, 0]),
            sh_rest=np.ascontiguousarray(sh[:, 1:]),
        )

    def _opacities(self) -> Floats:
        absent = np.maximum(self._chances - self._views, 0)
        missed = _ABSENT * absent * self._extent / self._views
        result: Floats = self._covered / (self._extent + missed)
        return result

    def _spherical_harmonics(self) -> Array:
        size = self._products.shape[1]
        weight = self._weight[:, None, None].astype(np.float32)
        # The constant is pulled next to nothing: only so much that equations can be solved.
        ridge = np.diag([1e-6, *[_RIDGE] * (size - 1)]).astype(np.float32)
        result: Array = np.linalg.solve(self._products / weight + ridge, self._colors / weight)
        return result

    def _basis(self, towards: Array) -> Array:
        length = np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
        out = np.zeros((len(towards), 16), np.float32)
        directions = np.ascontiguousarray(towards / length, np.float32)
        in_parts(basis_functions, len(out), GAUSSIANS_AT_ONCE, self._degree, directions, out)
        return out[:, : self._products.shape[1]]


def _nothing(sh_degree: int) -> GaussianScene:
    return _Sums(np.zeros(0, np.int64), sh_degree).solve()


def _rotations(quats: Array) -> Array:
    """(N, 3, 3) of unit quaternions w, x, y, z; their columns are the axes."""
    w, x, y, z = quats.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _shapes(covariances: Floats) -> tuple[Floats, Floats]:
    """Log-scales (N, 3) and unit quaternions (N, 4) of symmetric matrices (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    if not len(covariances):
        return np.zeros((0, 3)), np.zeros((0, 4))
    variances, axes = np.linalg.eigh(covariances)
    axes[:, :, 0] *= np.linalg.det(axes)[:, None]  # a rotation, no mirror
    least = np.maximum(_THINNEST**2 * variances[:, -1:], np.finfo(np.float32).tiny)
    quats = Rotation.from_matrix(axes).as_quat()  # x, y, z, w
    return np.log(np.maximum(variances, least)) / 2, np.roll(quats, 1, axis=1)
