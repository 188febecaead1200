"""How much a pixel changes when a value does, and the steps that follow from it.

`closed_form` needs no rendering; `combine` joins it with what was measured (`fit.pixels`), as a
floor under values that no view happened to show.

A Gaussian of opacity o that covers A pixels adds about o**2 * A to the squared error of an
image per unit of squared colour error: its visibility. Every other attribute is reduced to
the same unit by the derivative of the projected Gaussian. Pixels are those of a camera with
focal length `FOCAL` that looks at the scene's core from about its own size away.

Only the encoder uses these numbers: they choose steps, and networks learn to predict them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.fit.pixels import PixelSensitivity

FOCAL = 1000.0  # pixels; finer than most viewers, so that nothing visible is given up
LOW_PASS = 0.3  # pixels**2 added to a projected covariance by every 3DGS renderer
PIXELS = 0.5 * FOCAL**2  # of the picture that such a camera takes
# Cost of a bit in squared steps, from D = step**2 / 12 and dR = -1 bit per halved step.
BIT_PRICE = math.log(2) / 6
FLOOR = 1e-3  # of the mean visibility: what seems invisible may show in another view
# Scale, rotation and position errors show less than a colour error of the same energy, because
# they change sign inside the Gaussian. From rendered PSNR on four scenes, one at a time.
GAIN = {"opacity": 1.8, "scale": 1.2, "rotation": 0.7, "position": 0.6}

# The same for displacements along the long, middle and short axis, on top of the slopes: a splat
# that moves along its plane also changes places with others in depth, which no slope tells.
ALONG = np.array([3.0, 1.8, 1.15])

# Share of the closed form that is added to measured numbers: absolute, and in proportion to the
# measured visibility. The second is for splats at the edge of what is drawn: there the picture
# jumps, and a derivative does not see it.
PRIOR = 1e-3
SHAPE_PRIOR = 0.1
# Part of the errors that agree between Gaussians which share a pixel: such errors add up, not
# their squares. From rendered PSNR; that of the higher SH coefficients is measured per scene.
COHERENCE_DC, COHERENCE_SHAPE = 0.3, 0.1
_MAX_OVERLAP = 1e3
# Largest ideal steps: beyond them a derivative says nothing.
MAX_STEP = {"opacity": 1.0, "scale": 0.5, "rotation": 0.25, "colour": 0.5, "position": 2.0}


@dataclass(frozen=True)
class Sensitivity:
    """Squared error of a picture (mean over pixels and channels) per squared error of a value.

    Attributes:
        dc: (N,) of the constant SH coefficient of one channel.
        rest: (N,) of a higher one.
        opacity: (N,) of the opacity logit.
        scale: (N, 3) of each log-scale.
        rotation: (N, 2) of the twist, and of each swing component (half-angle tangents).
        position: (N, 3) along each axis of the Gaussian, per squared scene unit.
    """

    dc: NDArray[np.float64]
    rest: NDArray[np.float64]
    opacity: NDArray[np.float64]
    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    position: NDArray[np.float64]

    def take(self, order: NDArray[np.int64] | slice) -> Sensitivity:
        """The rows ``order``."""
        return Sensitivity(*(getattr(self, f.name)[order] for f in fields(self)))

    def largest(self) -> float:
        """Of all numbers; NaN if there is one."""
        return float(np.max([getattr(self, f.name).max() for f in fields(self)]))


class Core(NamedTuple):
    """Where most Gaussians are.

    Attributes:
        centre: (3,) scene units.
        size: Scene units.
    """

    centre: NDArray[np.float64]
    size: float

    def pixel_sizes(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Edge of a pixel at each of ``means``, scene units, (N,)."""
        distance = np.sqrt(self.size**2 + ((means - self.centre) ** 2).sum(axis=1))
        result: NDArray[np.float64] = distance / FOCAL
        return result


def core_of(means: NDArray[np.float64], log_scales: NDArray[np.float64]) -> Core:
    """Where most Gaussians are."""
    centre = np.median(means, axis=0)
    low, high = np.percentile(means, [10, 90], axis=0)
    # A scene without extent is as large as its Gaussians.
    size = float(np.exp(np.median(log_scales)))
    return Core(centre, max(float(np.linalg.norm(high - low)), size, 1e-12))


class Usual(NamedTuple):
    """What sensitivities of a Gaussian are told by besides its own values.

    Attributes:
        core: Of the scene.
        visibility: Of a Gaussian, mean.
    """

    core: Core
    visibility: float


def closed_form(
    means: NDArray[np.float64],
    opacity_logits: NDArray[np.float64],
    log_scales: NDArray[np.float64],
    disc: NDArray[np.bool_],
    *,
    antialiased: bool,
    usual: Usual | None = None,
) -> tuple[Sensitivity, Usual]:
    """Sensitivities of Gaussians with sorted ``log_scales`` (N, 3), see `geometry.rotation`.

    ``antialiased`` renderers dim what the low-pass widens, so that it covers no more than before.
    What is ``usual`` is that of these Gaussians unless it is given.
    """
    core = core_of(means, log_scales) if usual is None else usual.core
    pixel = core.pixel_sizes(means)[:, None]
    opacity = 1 / (1 + np.exp(-opacity_logits))
    square = np.exp(2 * log_scales)
    seen = square + LOW_PASS * pixel**2  # variance on screen along each axis
    edges = np.sqrt(seen) / pixel
    # The square of opacity falls by the share that is left of the area along both axes.
    a, b, c = (edges * square / seen if antialiased else edges).T
    area = np.pi * (a * b + a * c + b * c) / 3
    visibility = opacity**2 * area / PIXELS
    usual = usual or Usual(core, float(visibility.mean()))
    visibility += FLOOR * usual.visibility
    transparency = (1 - opacity) ** 2
    share = (square / seen) ** 2  # a scale far below a pixel does not matter
    about_short, about_long = _turn(square, seen, 0, 1), _turn(square, seen, 1, 2)
    twist = np.where(disc, about_short, about_long)
    swing = _turn(square, seen, 0, 2) + np.where(disc, about_long, about_short)
    found = Sensitivity(
        dc=visibility,
        rest=visibility,
        opacity=GAIN["opacity"] * visibility * (transparency + 1e-4),
        scale=GAIN["scale"] * visibility[:, None] * (share + 1e-4),
        rotation=GAIN["rotation"]
        * visibility[:, None]
        * (np.stack([twist, swing / 2], axis=1) + 1e-2),
        position=GAIN["position"] * visibility[:, None] / seen,
    )
    return found, usual


def _turn(
    square: NDArray[np.float64], seen: NDArray[np.float64], i: int, j: int
) -> NDArray[np.float64]:
    """Relative change of the covariance under a small turn in the plane of axes i and j."""
    result: NDArray[np.float64] = (square[:, i] - square[:, j]) ** 2 / (seen[:, i] * seen[:, j])
    return result


def combine(prior: Sensitivity, pixels: PixelSensitivity, coherence_rest: float) -> Sensitivity:
    """Measured sensitivities with a share of the closed form, errors of neighbours agreeing.

    ``coherence_rest`` is the part of the errors of higher SH coefficients that agree.
    """
    overlap = overlaps(pixels)
    shape = 1 + COHERENCE_SHAPE * (overlap - 1)
    edge = SHAPE_PRIOR * pixels.colour / prior.dc * shape
    share = edge + PRIOR  # what nobody saw does not agree with anything
    rotation = np.stack([pixels.rotation[:, 0], pixels.rotation[:, 1:].mean(axis=1)], axis=1)
    floor = PRIOR * prior.dc
    return Sensitivity(
        dc=pixels.colour * (1 + COHERENCE_DC * (overlap - 1)) + floor,
        rest=pixels.colour * (1 + coherence_rest * (overlap - 1)) + floor,
        opacity=pixels.opacity * shape + share * prior.opacity,
        scale=pixels.scale * shape[:, None] + share[:, None] * prior.scale,
        rotation=rotation * shape[:, None] + share[:, None] * prior.rotation,
        position=pixels.position * shape[:, None] + share[:, None] * prior.position,
    )


def overlaps(pixels: PixelSensitivity) -> NDArray[np.float64]:
    """(N,) how many times worse errors are that agree with all others; 1 where nothing shows."""
    seen = pixels.colour > 0
    result = np.ones(len(seen))
    result[seen] = np.clip(pixels.weight[seen] / pixels.colour[seen], 1, _MAX_OVERLAP)
    return result


def log2_ideal(
    sensitivities: NDArray[np.float64], price: float, largest: float
) -> NDArray[np.float64]:
    """Log2 of the step at which a bit costs ``price`` of squared error, at most ``largest``.

    From D = sensitivity * step**2 / 12 and dR = -1 bit per halved step; `BIT_PRICE`.
    """
    ideal = 0.5 * np.log2(price / (sensitivities * BIT_PRICE))
    result: NDArray[np.float64] = np.minimum(ideal, math.log2(largest))
    return result
