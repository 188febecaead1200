"""A large scene -> a small one that looks alike from afar, for choosing cameras in no time.

Strategy: keep each Gaussian with a probability, let those that are kept grow by what went
missing (stochastic simplification, Cook et al., SIGGRAPH 2007). Means are moved and scaled so
that the core of the scene has its centre at 0 and size 1: nothing after this depends on units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

_LEAST_OPACITY = 1 / 255  # less is never drawn
_SOLID = 0.3  # opacity that a Gaussian gets only if some camera of the training sees it
LARGEST_LOG = 60.0  # of scales; larger ones leave float32
_FARTHEST = 1e4  # sizes of the core; what lies beyond is lost
# A scene without extent is this many of its Gaussians across.
_GAUSSIANS_ACROSS = 8.0


@dataclass(frozen=True)
class Sample:
    """Some of the Gaussians of a scene.

    Attributes:
        means: (N, 3) float32, in sizes of the core from its centre.
        covariances: (N, 6) float32, xx, xy, xz, yy, yz, zz.
        normals: (N, 3) float64, the shortest axis of each.
        opacities: (N,) float32, 0 to 1.
        copies: (N,) float64, how many Gaussians of the scene each stands for.
        cover: (N,) float64, what they cover together: area times opacity.
        centre: (3,) float64, of the core, scene units.
        size: Of the core, scene units.
        antialiased: Whether renderers dim what their low-pass widens.
    """

    means: NDArray[np.float32]
    covariances: NDArray[np.float32]
    normals: NDArray[np.float64]
    opacities: NDArray[np.float32]
    copies: NDArray[np.float64]
    cover: NDArray[np.float64]
    centre: NDArray[np.float64]
    size: float
    antialiased: bool

    def __len__(self) -> int:
        return len(self.means)

    @property
    def solid(self) -> NDArray[np.float64]:
        """As ``copies``, 0 for those that may have got their opacity without being seen.

        In haze, where none is opaque, all count alike: not all are 0 unless there are none.
        """
        opaque = self.opacities > _SOLID
        result: NDArray[np.float64] = self.copies * opaque if opaque.any() else self.copies
        return result


def draw_sample(scene: GaussianScene, count: int, rng: np.random.Generator) -> Sample:
    """About ``count`` Gaussians of ``scene``: half of them evenly, half by how much they cover.

    What cannot be seen (transparent, not finite, beyond all bounds) is left out, so the sample
    of a scene may be empty.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        opacities = 1 / (1 + np.exp(-scene.opacity_logits.astype(np.float64)))
        logs = np.clip(scene.log_scales.astype(np.float64), -LARGEST_LOG, LARGEST_LOG)
        finite = np.isfinite(scene.means).all(axis=1) & np.isfinite(logs).all(axis=1)
        finite &= np.isfinite(scene.quats).all(axis=1) & (opacities > _LEAST_OPACITY)
    rows = np.flatnonzero(finite)
    if not len(rows):
        return _empty()
    means, logs, opacities = scene.means[rows].astype(np.float64), logs[rows], opacities[rows]
    breadth = breadth_of(logs)
    centre, size = core(means, opacities, breadth)
    means = (means - centre) / size
    near = np.abs(means).max(axis=1) < _FARTHEST
    chance = near * _chances(opacities * breadth, near, count)
    kept = np.flatnonzero(rng.random(len(rows)) < chance)
    copies = 1 / chance[kept]
    scales = _grown(logs[kept] - np.log(size), copies)
    areas = np.sort(scales, axis=1)[:, 1:].prod(axis=1)
    axes = _axes(scene.quats[rows[kept]].astype(np.float64))
    return Sample(
        means=means[kept].astype(np.float32),
        covariances=_covariances(axes, scales),
        normals=np.take_along_axis(axes, scales.argmin(axis=1)[:, None, None], axis=2)[..., 0],
        opacities=opacities[kept].astype(np.float32),
        copies=copies,
        cover=areas * opacities[kept],
        centre=centre,
        size=size,
        antialiased=scene.antialiased,
    )


def _empty() -> Sample:
    nothing = np.zeros((0, 3))
    few = nothing.astype(np.float32)
    none = nothing[:, 0]
    covariances = np.zeros((0, 6), np.float32)
    return Sample(
        few, covariances, nothing, few[:, 0], none, none, np.zeros(3), 1.0, antialiased=False
    )


def breadth_of(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how broad Gaussians of log-scales ``logs`` (N, 3) are, their shortest axes aside."""
    result: NDArray[np.float64] = np.exp(np.sort(logs, axis=1)[:, 1:].mean(axis=1))
    return result


def core(
    means: NDArray[np.float64], opacities: NDArray[np.float64], breadth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) and size of where most opacity is: backgrounds and outliers do not count."""
    spans = np.empty((3, 3))
    for axis in range(3):
        spans[axis] = quantiles(means[:, axis], opacities, (0.1, 0.5, 0.9))
    low, centre, high = spans.T
    across = _GAUSSIANS_ACROSS * float(quantiles(breadth, opacities, (0.5,))[0])
    return centre, max(float(np.linalg.norm(high - low)), across, 1e-30)


def quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: tuple[float, ...]
) -> NDArray[np.float64]:
    """Values (S,) below which are ``shares`` (S,) of all ``weights`` (N,) of ``values`` (N,)."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    at = np.searchsorted(total, total[-1] * np.array(shares))
    result: NDArray[np.float64] = values[order[np.minimum(at, len(values) - 1)]]
    return result


def _chances(
    cover: NDArray[np.float64], near: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """Chance (N,) of each Gaussian to be kept, at most 1; they sum to about ``count``."""
    cover = np.minimum(cover, 100 * np.median(cover[near])) * near if near.any() else cover
    even = near / max(near.sum(), 1)
    chance: NDArray[np.float64] = count / 2 * (even + cover / max(float(cover.sum()), 1e-300))
    for _ in range(3):  # what is above 1 goes to the others
        chance = np.minimum(chance * (count / max(np.minimum(chance, 1).sum(), 1e-300)), 1)
    return chance


def _grown(logs: NDArray[np.float64], copies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales (N, 3), of which the longer two stand for the area of ``copies`` Gaussians."""
    grown = logs + np.log(copies)[:, None] / 2
    shortest = np.arange(3) == logs.argmin(axis=1)[:, None]
    return np.exp(np.minimum(np.where(shortest, logs, grown), np.log(_FARTHEST)))


def _axes(quats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (N, 3, 3) whose columns are the axes of the Gaussians."""
    norm = np.linalg.norm(quats, axis=1, keepdims=True)
    unit = np.where(norm > 0, quats / np.where(norm > 0, norm, 1), [1.0, 0, 0, 0])
    w, x, y, z = unit.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _covariances(axes: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float32]:
    half = axes * scales[:, None]
    full = half @ half.transpose(0, 2, 1)
    result: NDArray[np.float32] = full[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]].astype(
        np.float32
    )
    return result
