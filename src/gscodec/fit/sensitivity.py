"""How much a pixel changes when a value does: closed forms, no rendering.

A Gaussian of opacity o that covers A pixels adds about o**2 * A to the squared error of an
image per unit of squared colour error: its visibility. Every other attribute is reduced to
the same unit by the derivative of the projected Gaussian. Pixels are those of a camera with
focal length `FOCAL` that looks at the scene's core from about its own size away.

Only the encoder uses these numbers: they choose steps, and networks learn to predict them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOCAL = 1000.0  # pixels; finer than most viewers, so that nothing visible is given up
LOW_PASS = 0.3  # pixels**2 added to a projected covariance by every 3DGS renderer
FLOOR = 1e-3  # of the mean visibility: what seems invisible may show in another view
# Step ~ sensitivity**-0.28. Theory says 0.5; a proxy is not to be trusted so far.
EXPONENT = 0.28
# Scale, rotation and position errors show less than a colour error of the same energy, because
# they change sign inside the Gaussian. From rendered PSNR on four scenes, one at a time.
GAIN = {"opacity": 1.8, "scale": 1.2, "rotation": 0.7, "position": 0.6}


@dataclass(frozen=True)
class Sensitivity:
    """Weight of squared errors, per Gaussian, in units of squared colour error.

    Attributes:
        colour: (N,) of each SH coefficient.
        opacity: (N,) of the opacity logit.
        scale: (N, 3) of each log-scale.
        rotation: (N, 2) of the twist, and of each swing component (half-angle tangents).
        position: (N,) of a coordinate, per squared scene unit.
    """

    colour: NDArray[np.float64]
    opacity: NDArray[np.float64]
    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    position: NDArray[np.float64]


def pixel_sizes(
    means: NDArray[np.float64], log_scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Edge of a pixel at each Gaussian, scene units, (N,)."""
    centre = np.median(means, axis=0)
    low, high = np.percentile(means, [10, 90], axis=0)
    # A scene without extent is as large as its Gaussians.
    size = float(np.exp(np.median(log_scales)))
    core = max(float(np.linalg.norm(high - low)), size, 1e-12)
    distance = np.sqrt(core**2 + ((means - centre) ** 2).sum(axis=1))
    result: NDArray[np.float64] = distance / FOCAL
    return result


def sensitivity(
    means: NDArray[np.float64],
    opacity_logits: NDArray[np.float64],
    log_scales: NDArray[np.float64],
    disc: NDArray[np.bool_],
) -> Sensitivity:
    """Sensitivities of Gaussians with sorted ``log_scales`` (N, 3), see `geometry.rotation`."""
    pixel = pixel_sizes(means, log_scales)[:, None]
    opacity = 1 / (1 + np.exp(-opacity_logits))
    square = np.exp(2 * log_scales)
    seen = square + LOW_PASS * pixel**2  # variance on screen along each axis
    a, b, c = (np.sqrt(seen) / pixel).T
    area = np.pi * (a * b + a * c + b * c) / 3
    visibility = opacity**2 * area
    visibility += FLOOR * visibility.mean()
    transparency = (1 - opacity) ** 2
    share = (square / seen) ** 2  # a scale far below a pixel does not matter
    about_short, about_long = _turn(square, seen, 0, 1), _turn(square, seen, 1, 2)
    twist = np.where(disc, about_short, about_long)
    swing = _turn(square, seen, 0, 2) + np.where(disc, about_long, about_short)
    return Sensitivity(
        colour=visibility,
        opacity=GAIN["opacity"] * visibility * (transparency + 1e-4),
        scale=GAIN["scale"] * visibility[:, None] * (share + 1e-4),
        rotation=GAIN["rotation"]
        * visibility[:, None]
        * (np.stack([twist, swing / 2], axis=1) + 1e-2),
        position=GAIN["position"] * visibility * (1 / seen).mean(axis=1),
    )


def _turn(
    square: NDArray[np.float64], seen: NDArray[np.float64], i: int, j: int
) -> NDArray[np.float64]:
    """Relative change of the covariance under a small turn in the plane of axes i and j."""
    result: NDArray[np.float64] = (square[:, i] - square[:, j]) ** 2 / (seen[:, i] * seen[:, j])
    return result


def log2_steps(sensitivities: NDArray[np.float64], log2_base: float) -> NDArray[np.float64]:
    """Ideal log2 steps for ``sensitivities`` (N, ...) of one attribute.

    ``log2_base`` is the log2 step of a value with sensitivity 1 under the theory's exponent of
    one half; around the geometric mean the milder exponent is used.
    """
    level = np.log2(sensitivities)
    mean = level.mean()
    result: NDArray[np.float64] = log2_base - 0.5 * mean - EXPONENT * (level - mean)
    return result
