"""What the encoder of `hac` decides before a symbol is coded: columns, steps, sizes, model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Family
from gscodec.fit.sensitivity import Sensitivity, log2_steps, sensitivity
from gscodec.geometry.rotation import is_disc, sort_axes, to_twist_swing
from gscodec.intnet.hashgrid import Box, HashGrid, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.intnet.context import Group, GroupModel
    from gscodec.scene import GaussianScene

MAX_OPACITY_LOGIT = 16.0  # sigmoid(16) is 1 to float32 precision
MAX_LOG_SCALE = 30.0
# Step of a colour coefficient of sensitivity 1 at lambda = 2e-3 in a scene of 1e5 Gaussians.
# Errors of Gaussians that share a pixel add up, so a denser scene needs finer steps.
_BASE_STEP = 0.09
_BASE_LAMBDA = 2e-3
_BASE_COUNT = 1e5
ITERATIONS = 1000  # of the training: each looks at 4096 Gaussians


def log2_base_step(lam: float, count: int) -> float:
    """Log2 step of a value of sensitivity 1: distortion goes with the square of the step."""
    return math.log2(_BASE_STEP) + 0.5 * math.log2(lam / _BASE_LAMBDA * _BASE_COUNT / count)


@dataclass(frozen=True)
class Source:
    """A scene in the columns that are coded.

    Attributes:
        columns: One (N, columns) float64 array per group, in coding order.
        quats: (N, 4) float64 unit quaternions that go with the sorted scales.
        weights: How much each value matters.
        extent: Longest edge of the bounding box, scene units.
        notes: What was changed to get here, one line each.
    """

    columns: tuple[NDArray[np.float64], ...]
    quats: NDArray[np.float64]
    weights: Sensitivity
    extent: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, scene: GaussianScene) -> Source:
        """Sorts axes, rotates colours, clamps what no renderer can tell apart."""
        opacity = np.clip(scene.opacity_logits, -MAX_OPACITY_LOGIT, MAX_OPACITY_LOGIT)
        scales = np.clip(scene.log_scales, -MAX_LOG_SCALE, MAX_LOG_SCALE)
        sorted_scales, quats = sort_axes(
            scales.astype(np.float64), scene.quats.astype(np.float64)
        )
        disc = is_disc(sorted_scales)
        colours = _to_yuv(scene.sh_dc.astype(np.float64))
        rest = _to_yuv(scene.sh_rest.astype(np.float64))
        columns = [
            opacity.astype(np.float64)[:, None],
            sorted_scales,
            to_twist_swing(quats, disc),
            colours,
        ]
        for degree in range(1, scene.sh_degree + 1):
            band = rest[:, degree**2 - 1 : (degree + 1) ** 2 - 1]
            columns += [band[..., 0], np.concatenate([band[..., 1], band[..., 2]], axis=1)]
        means = scene.means.astype(np.float64)
        return cls(
            tuple(columns),
            quats,
            sensitivity(means, columns[0][:, 0], sorted_scales, disc),
            float((means.max(axis=0) - means.min(axis=0)).max()),
            tuple(_changes(scene)),
        )

    def take(self, order: NDArray[np.int64]) -> Source:
        """The rows ``order``."""
        weights = Sensitivity(*(getattr(self.weights, f)[order] for f in _FIELDS))
        columns = tuple(c[order] for c in self.columns)
        return Source(columns, self.quats[order], weights, self.extent, self.notes)


_FIELDS = ("colour", "opacity", "scale", "rotation", "position")


def _changes(scene: GaussianScene) -> list[str]:
    """One line for each kind of change that `Source.of` makes."""
    notes = [
        "sorted the axes of every Gaussian and normalised quaternions (covariances unchanged)",
    ]
    for name, array, limit in (
        ("opacity logits", scene.opacity_logits, MAX_OPACITY_LOGIT),
        ("log-scales", scene.log_scales, MAX_LOG_SCALE),
    ):
        count = int((np.abs(array) > limit).sum())
        if count:
            notes.append(f"clamped {count} {name} to +-{limit:g}")
    zero = int((np.abs(scene.quats).max(axis=1, initial=0) == 0).sum())
    if zero:
        notes.append(f"replaced {zero} zero quaternions by the identity")
    return notes


def _to_yuv(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) R, G, B to Y, U, V; inverse of R = Y + U - V, G = Y + 2 V, B = Y - U - V."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([(r + g + b) / 3, (r - b) / 2, (2 * g - r - b) / 6], axis=-1)


def position_bits(source: Source, base: float) -> int:
    """Octree depth at which a coordinate's error weighs as much as a colour's; at least 1."""
    weight = float(source.weights.position.mean())
    wanted = 2.0**base / math.sqrt(weight)
    bits = math.log2(max(source.extent, 1e-300) / wanted) if source.extent else 1
    return max(1, round(bits))


def grid_box(ijk: NDArray[np.int64]) -> Box:
    """Cube around the middle 96 % of the points, so that outliers do not coarsen the grid."""
    low, high = np.percentile(ijk, [2, 98], axis=0)
    edge = max(1, min(int((high - low).max() * 1.1), int(ijk.max())))
    corner = np.maximum(0, ((low + high - edge) / 2).astype(np.int64))
    return Box((int(corner[0]), int(corner[1]), int(corner[2])), edge)


def targets_steps(source: Source, base: float) -> list[NDArray[np.float64]]:
    """Wanted log2 steps (N, steps) of each group."""
    w = source.weights
    luma = log2_steps(3 * w.colour, base)[:, None]
    first = [
        np.full((len(luma), 1), float(log2_steps(w.opacity, base).mean())),
        log2_steps(w.scale, base),
        log2_steps(w.rotation, base),
        luma,
    ]
    return first + [luma] * (len(source.columns) - len(first))


def learn(
    u: NDArray[np.int64],
    features: NDArray[np.float32],
    source: Source,
    groups: tuple[Group, ...],
    base: float,
    *,
    seed: int,
    device: str,
    threads: int | None,
    progress: Callable[[float], None],
) -> tuple[HashGrid, tuple[GroupModel, ...]]:
    """Trains the context model of a scene; see `gscodec.fit.context.fit`."""
    import torch

    from gscodec.fit.context import Settings, Target
    from gscodec.fit.context import fit as train

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = targets_steps(source, base)
    targets = [
        Target(g, Family.GAUSSIAN if n == 2 else Family.LAPLACE, source.columns[n], steps[n])
        for n, g in enumerate(groups)
    ]
    settings = Settings(ITERATIONS, _hidden(len(u)), _levels(len(u)), seed, device, threads)
    return train(u, features, targets, settings, progress)


def _hidden(count: int) -> int:
    """Width of the networks: what they save must outweigh what they cost to send."""
    return 16 if count < 150_000 else 24 if count < 500_000 else 48


def _levels(count: int) -> tuple[Level, ...]:
    """Grids worth trying for ``count`` Gaussians; training drops those that do not pay.

    The paper's grid has 12 levels of 3D and 4 of 2D for a million anchors and more; its
    resolutions are kept, and tables shrink with the scene.
    """
    if count < 5_000:
        return ()
    small = (Level(3, 16, 12), Level(3, 32, 12))
    if count < 50_000:
        return small
    medium = (*small, Level(3, 64, 13), Level(2, 128, 12))
    if count < 500_000:
        return medium
    fine = (Level(3, res, 13) for res in (16, 24, 32, 44, 60, 80, 108, 148, 200, 276, 376, 512))
    planes = (Level(2, res, 15) for res in (128, 256, 512, 1024))
    return (*fine, *planes)
