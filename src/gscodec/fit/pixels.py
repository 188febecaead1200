"""How much pixels change when a value does, measured: the diagonal of J^T J by rendering.

J holds the derivatives of all pixels of all views by all values. For a picture of random signs
v, the square of J^T v has the diagonal of J^T J as its mean (Hutchinson): one backward pass per
view and probe, whatever the number of values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry.rotation import along_axes, from_twist_swing
from gscodec.render.backdrop import speckled
from gscodec.render.splat import Conventions, Gaussians, rasterize
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera

_BASIS = 1 / (4 * math.pi)  # mean square of an SH basis function, over those of one degree
_PULL = 0.3  # small, so that colours clamped at zero stay there
# A zeroed value errs in one direction as long as it is zeroed: from rendered PSNR on two scenes.
_COHERENCE_GAIN = 4.0
_LEAST_COHERENCE, _MOST_COHERENCE = 0.03, 4.0


@dataclass(frozen=True)
class PixelSensitivity:
    """Mean squared change of a pixel channel, per squared unit of one Gaussian's value.

    Sums over pixels and views are divided by the number of pixels, channels and views, so that
    the expected squared error of a picture is the sum over all values of this times the squared
    error of the value. All float64.

    Attributes:
        position: (N, 3) along each axis of the Gaussian, per squared scene unit.
        opacity: (N,) of the opacity logit.
        scale: (N, 3) of each sorted log-scale.
        rotation: (N, 3) of twist, swing, swing (half-angle tangents).
        colour: (N,) of an SH coefficient of one channel, mean over the coefficients of a degree;
            clamping of colours at zero is not counted, for a change may lift it.
        weight: (N,) as ``colour``, with blending weights for their squares: what it would be if
            all Gaussians of a pixel had the same error.
    """

    position: NDArray[np.float64]
    opacity: NDArray[np.float64]
    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    colour: NDArray[np.float64]
    weight: NDArray[np.float64]


@dataclass(frozen=True)
class Canonical:
    """Gaussians in the values that are coded, except that colours are still R, G, B.

    Attributes:
        means: (N, 3) scene units.
        opacity_logits: (N,)
        log_scales: (N, 3) falling.
        twist_swing: (N, 3) see `geometry.rotation`.
        disc: (N,) bool, whether the twist is about the short axis.
        sh: (N, K, 3) float32 of a scene, all coefficients.
    """

    means: NDArray[np.float64]
    opacity_logits: NDArray[np.float64]
    log_scales: NDArray[np.float64]
    twist_swing: NDArray[np.float64]
    disc: NDArray[np.bool_]
    sh: NDArray[np.floating]

    def activate(self) -> Gaussians:
        """As renderers take them."""
        return Gaussians(
            means=np.ascontiguousarray(self.means, np.float32),
            quats=from_twist_swing(self.twist_swing, self.disc),
            scales=np.exp(self.log_scales).astype(np.float32),
            opacities=(1 / (1 + np.exp(-self.opacity_logits))).astype(np.float32),
            colors=np.ascontiguousarray(self.sh, np.float32),
            sh_degree=int(self.sh.shape[1] ** 0.5) - 1,
        )


def measure(
    scene: Canonical,
    cameras: Sequence[Camera],
    conventions: Conventions,
    *,
    probes: int,
    seed: int,
    progress: Callable[[float], None],
    shown: Callable[[NDArray[np.float32]], None] = lambda _: None,
) -> PixelSensitivity:
    """Sensitivity over ``cameras``, each with ``probes`` pictures of random signs.

    ``shown`` gets what each of them sees, drawn by ``conventions``.
    """
    rng = np.random.default_rng(seed)
    gaussians = scene.activate()
    opacity_slope = (gaussians.opacities * (1 - gaussians.opacities))[:, None]
    to_tangents = _QuaternionSlope(scene.twist_swing, scene.disc)
    n = len(scene.means)
    position, scale, rotation = np.zeros((n, 3)), np.zeros((n, 3)), np.zeros((n, 3))
    opacity, colour, weight = np.zeros((n, 1)), np.zeros(n), np.zeros(n)
    means, quats, scales, opacities = map(np.empty_like, gaussians.arrays()[:4])
    colors = np.empty((n, 0, 3), np.float32)  # moments tell more of them
    gradients = (means, quats, scales, opacities, colors)
    pixels, channels = 0, 0
    for number, camera in enumerate(cameras):
        picture = rasterize(gaussians, camera, conventions=conventions)
        shown(picture.image)
        before = speckled(camera.height, camera.width)
        pixels += picture.transmittance.size
        for probe in range(probes):
            for array in gradients:
                array.fill(0)
            signs = _signs(rng, picture.image.shape)
            moments = picture.moments(signs, -before * signs.sum(axis=2))
            weight += 0 if probe else moments[:, 9]
            picture.projection.backward(moments, gradients)
            position += along_axes(gaussians.quats, means) ** 2
            opacity += (opacities[:, None] * opacity_slope) ** 2
            scale += (scales * gaussians.scales) ** 2
            rotation += to_tangents(quats) ** 2
            colour += (moments[:, 6:9] ** 2).mean(axis=1)
            channels += picture.image.size
        progress((number + 1) / len(cameras))
    over = 1 / max(channels, 1)
    return PixelSensitivity(
        position=over * position,
        opacity=over * opacity[:, 0],
        scale=over * scale,
        rotation=over * rotation,
        colour=over * _BASIS * colour,
        weight=weight * (_BASIS / (3 * max(pixels, 1))),  # one channel is a third of the mean
    )


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Of a picture, each -1 or 1."""
    bits = rng.integers(0, 2, shape, dtype=np.int8)
    signs: NDArray[np.float32] = (2 * bits - 1).astype(np.float32)
    return signs


def coherence(
    scene: Canonical,
    cameras: Sequence[Camera],
    conventions: Conventions,
    pictures: Sequence[NDArray[np.float32]],
    pixels: PixelSensitivity,
) -> float:
    """Part of the errors of higher SH coefficients that agree between Gaussians, weighted.

    Coarse steps pull these coefficients towards what is expected of them. Pulling all of them
    a little shows how much more ``pictures``, which ``cameras`` see, change than independent
    errors would change them.
    """
    if scene.sh.shape[1] == 1:
        return _LEAST_COHERENCE
    pulled, square = scene.sh.copy(), np.empty(len(scene.sh))
    for rows in in_slices(len(pulled)):
        rest = scene.sh[rows, 1:].astype(np.float64)
        pulled[rows, 1:] = rest * (1 - _PULL)
        square[rows] = ((_PULL * rest) ** 2).sum(axis=(1, 2))
    after, changes = replace(scene, sh=pulled).activate(), []
    for camera, before in zip(cameras, pictures, strict=False):
        found = rasterize(after, camera, conventions=conventions).image
        changes.append(float(((found - before) ** 2).mean()))
    # No product of a BLAS: how it adds up depends on its number of threads.
    apart = float((square * pixels.colour).sum())
    together = float((square * pixels.weight).sum())
    if not together > apart > 0:
        return _LEAST_COHERENCE
    return coherent((float(np.mean(changes)) - apart) / (together - apart))


def coherent(agreeing: float) -> float:
    """`coherence` where so much of errors, 0 to 1, agrees."""
    return float(np.clip(_COHERENCE_GAIN * agreeing, _LEAST_COHERENCE, _MOST_COHERENCE))


class _QuaternionSlope:
    """Gradients by quaternions (N, 4) to gradients by twist, swing, swing (N, 3).

    In axes (a, b, twist), the quaternion is (1, a + b t, b - a t, t) over its length. A gradient
    by a normalised quaternion has no part along it, so the length's own change does not matter.
    """

    def __init__(self, twist_swing: NDArray[np.float64], disc: NDArray[np.bool_]) -> None:
        self._values = twist_swing.astype(np.float32)
        t, a, b = self._values.T
        self._over_length = (1 / np.sqrt((1 + t * t) * (1 + a * a + b * b)))[:, None]
        self._disc = disc

    def __call__(self, by_quats: NDArray[np.float32]) -> NDArray[np.float32]:
        t, a, b = self._values.T
        _, x, y, z = by_quats.T
        along = np.where(self._disc, z, x)
        first = np.where(self._disc, x, y)
        second = np.where(self._disc, y, z)
        by_twist = b * first - a * second + along
        slopes = np.stack([by_twist, first - t * second, t * first + second], axis=1)
        result: NDArray[np.float32] = slopes * self._over_length
        return result
