"""What the encoder of `hac` decides before a symbol is coded: columns, steps, sizes, model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.coding import Family
from gscodec.colours import to_rgb, to_yuv
from gscodec.fit.pixels import Canonical, PixelSensitivity, coherence, measure
from gscodec.fit.recent import Recent, key_of
from gscodec.fit.sensitivity import (
    BIT_PRICE,
    MAX_STEP,
    Sensitivity,
    closed_form,
    combine,
    log2_ideal,
    overlaps,
)
from gscodec.geometry.rotation import (
    from_twist_swing,
    is_disc,
    sort_axes,
    to_twist_swing,
)
from gscodec.intnet.hashgrid import Box, Level
from gscodec.scene import sh_band

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.fit.context import Learned, Settings
    from gscodec.intnet.context import Group
    from gscodec.render.splat import Conventions
    from gscodec.scene import GaussianScene

MAX_OPACITY_LOGIT = 16.0  # sigmoid(16) is 1 to float32 precision
MAX_LOG_SCALE = 30.0
# Squared error of a picture (mean over pixels and channels) that one bit per Gaussian of the
# source is worth at lambda = 1.
_PRICE = 2e-2
_COHERENCE_VIEWS = 8
_BITS_PER_GAUSSIAN = 60.0  # that leaving one out saves, about
_PRUNE_SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of that, thresholds to try
_PRUNE_LEFT = 0.3  # part of the error of leaving Gaussians out that a descent does not mend
_PRUNE_COHERENCE = 1.0  # as `sensitivity.COHERENCE_SHAPE`: nothing else moves to hide the gap
_SEEN: Recent[Seen] = Recent()
# Fewer Gaussians than `_FEW` are learned in a share of them, as if there were `_FEWEST` at least:
# each is still looked at many thousand times.
_FEW, _FEWEST = 128, 8


def price(lam: float, count: int) -> float:
    """Mean squared error of a picture that a bit is worth."""
    return _PRICE * lam / count


class Seen(NamedTuple):
    """What values do to pixels, and `fit.pixels.coherence`."""

    pixels: PixelSensitivity
    coherence: float


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
        colours = to_yuv(scene.sh_dc.astype(np.float64))
        rest = to_yuv(scene.sh_rest.astype(np.float64))
        columns = [
            opacity.astype(np.float64)[:, None],
            sorted_scales,
            to_twist_swing(quats, disc),
            colours,
        ]
        for degree in range(1, scene.sh_degree + 1):
            band = rest[:, sh_band(degree)]
            columns += [band[..., 0], np.concatenate([band[..., 1], band[..., 2]], axis=1)]
        means = scene.means.astype(np.float64)
        return cls(
            tuple(columns),
            quats,
            closed_form(
                means, columns[0][:, 0], sorted_scales, disc, antialiased=scene.antialiased
            ),
            float((means.max(axis=0) - means.min(axis=0)).max()),
            tuple(_changes(scene)),
        )

    def seen(
        self,
        scene: GaussianScene,
        cameras: Sequence[Camera],
        how: Conventions,
        seed: int,
        progress: Callable[[float], None],
    ) -> Seen:
        """What each value does to pixels; ``scene`` is what this source is of, row by row."""
        sh = np.concatenate([scene.sh_dc[:, None], scene.sh_rest], axis=1).astype(np.float64)
        canonical = Canonical(
            scene.means.astype(np.float64),
            self.columns[0][:, 0],
            self.columns[1],
            self.columns[2],
            is_disc(self.columns[1]),
            sh,
        )
        pixels = measure(canonical, cameras, how, probes=2, seed=seed, progress=progress)
        return Seen(pixels, coherence(canonical, cameras[:_COHERENCE_VIEWS], how, pixels))

    def weighed(self, seen: Seen, together: float) -> Source:
        """With the weights that follow from what was ``seen``.

        ``together`` is 1 where values are rounded one by one; 0 if their errors did not agree
        at all.
        """
        weights = combine(self.weights, seen.pixels, seen.coherence, together)
        return replace(self, weights=weights)

    def take(self, order: NDArray[np.int64]) -> Source:
        """The rows ``order``."""
        columns = tuple(c[order] for c in self.columns)
        weights, quats = self.weights.take(order), self.quats[order]
        return Source(columns, quats, weights, self.extent, self.notes)


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


def to_scene(
    columns: Sequence[NDArray[np.float64]], scene: GaussianScene, disc: NDArray[np.bool_]
) -> GaussianScene:
    """``scene`` with the values of ``columns``; inverse of `Source.of`, positions aside.

    ``disc`` says about which axis the twists are: scales may have changed since.
    """
    rest = np.empty(scene.sh_rest.shape, dtype=np.float32)
    for degree in range(1, scene.sh_degree + 1):
        luma, chroma = columns[2 + 2 * degree], columns[3 + 2 * degree]
        n = luma.shape[1]
        yuv = np.stack([luma, chroma[:, :n], chroma[:, n:]], axis=2)
        rest[:, sh_band(degree)] = to_rgb(yuv)
    return replace(
        scene,
        opacity_logits=columns[0][:, 0].astype(np.float32),
        log_scales=columns[1].astype(np.float32),
        quats=from_twist_swing(columns[2], disc),
        sh_dc=to_rgb(columns[3]),
        sh_rest=rest,
    )


def seen_before(
    source: Source,
    scene: GaussianScene,
    cameras: Sequence[Camera],
    how: Conventions,
    seed: int,
    progress: Callable[[float], None],
) -> Seen:
    """`Source.seen`, measured once for encodes of a scene that follow each other."""
    shots = [(c.width, c.height, c.fx, c.fy, c.cx, c.cy) for c in cameras]
    poses = [camera.world_to_camera.tolist() for camera in cameras]
    key = key_of(scene, shots, poses, how, seed)
    return _SEEN.get(key, lambda: source.seen(scene, cameras, how, seed, progress))


def removal_costs(source: Source, pixels: PixelSensitivity) -> NDArray[np.float64]:
    """(N,) about the squared error of a picture that leaving a Gaussian out makes.

    Taking a Gaussian away changes a picture by its opacity times the derivative, which is that
    by the logit over opacity times (1 - opacity).
    """
    opacity = 1 / (1 + np.exp(-source.columns[0][:, 0]))
    change = pixels.opacity / np.maximum(1 - opacity, 0.05) ** 2
    result: NDArray[np.float64] = change * (1 + _PRUNE_COHERENCE * (overlaps(pixels) - 1))
    return result


def unneeded(
    costs: NDArray[np.float64], price: float, error: Callable[[NDArray[np.bool_]], float]
) -> NDArray[np.bool_]:
    """(N,) which Gaussians are not worth their bits.

    ``costs`` as of `removal_costs`; ``error`` gives the true squared error of a picture when
    the Gaussians that are asked about are left out. Left out together, they err the same way,
    by up to dozens of times the sum of their costs, so the threshold is tried out.
    """
    worth = price * _BITS_PER_GAUSSIAN
    best, gain = np.zeros(len(costs), dtype=bool), 0.0
    for share in _PRUNE_SHARES:
        tried = costs < share * worth
        now = worth * int(tried.sum()) - _PRUNE_LEFT * error(tried)
        if now < gain:
            break
        best, gain = tried, now
    return best


def position_bits(source: Source, price: float) -> int:
    """Octree depth at which a coordinate's error weighs as much as a colour's; at least 1."""
    weight = float(source.weights.position.mean())
    wanted = math.sqrt(price / (weight * BIT_PRICE))
    bits = math.log2(max(source.extent, 1e-300) / wanted) if source.extent else 1
    return max(1, round(bits))


def grid_box(ijk: NDArray[np.int64]) -> Box:
    """Cube around the middle 96 % of the points, so that outliers do not coarsen the grid."""
    low, high = np.percentile(ijk, [2, 98], axis=0)
    edge = max(1, min(int((high - low).max() * 1.1), int(ijk.max())))
    corner = np.maximum(0, ((low + high - edge) / 2).astype(np.int64))
    return Box((int(corner[0]), int(corner[1]), int(corner[2])), edge)


def ideal_steps(source: Source, price: float) -> list[NDArray[np.float64]]:
    """Log2 of the ideal steps (N, steps) of each group."""
    w = source.weights
    dc = log2_ideal(3 * w.dc, price, MAX_STEP["colour"])[:, None]
    rest = log2_ideal(3 * w.rest, price, MAX_STEP["colour"])[:, None]
    first = [
        log2_ideal(w.opacity, price, MAX_STEP["opacity"])[:, None],
        log2_ideal(w.scale, price, MAX_STEP["scale"]),
        log2_ideal(w.rotation, price, MAX_STEP["rotation"]),
        dc,
    ]
    return first + [rest] * (len(source.columns) - len(first))


def learn(
    u: NDArray[np.int64],
    features: NDArray[np.float32],
    source: Source,
    groups: tuple[Group, ...],
    price: float,
    settings: Settings,
    progress: Callable[[float], None],
) -> Learned:
    """Trains the context model of a scene; see `gscodec.fit.context.fit`."""
    from gscodec.fit.context import Target
    from gscodec.fit.context import fit as train

    ideal = ideal_steps(source, price)
    targets = [
        Target(g, Family.GAUSSIAN if n == 2 else Family.LAPLACE, source.columns[n], ideal[n])
        for n, g in enumerate(groups)
    ]
    return train(u, features, targets, settings, progress)


def settings(
    count: int, iterations: float, *, seed: int, device: str, threads: int | None
) -> Settings:
    """How to train the model of ``count`` primitives, in about so many ``iterations``."""
    from gscodec.fit.context import Settings

    enough = iterations * min(1.0, max(count, _FEWEST) / _FEW)
    return Settings(
        max(2, round(enough)), _hidden(count), _levels(count), seed, on_device(device), threads
    )


def on_device(wanted: str) -> str:
    """``wanted``, or the device that is there for "auto"."""
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


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
