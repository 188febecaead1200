"""What a camera sees of a sample, coarsely and fast: one numba kernel without tiles.

Strategy: tiles of 16 x 16 pixels are wasted on pictures of some thousand pixels. Here each
Gaussian touches only the rows of its own box, near to far, on one transmittance image: 16 pixels
of a row at a time, without a branch, so that they are one or two vector instructions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.compiled import FAST, compiled
from gscodec.render.kernels import falloff
from gscodec.render.splat import near_to_far

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.virtual_sample import Sample

WIDTH, HEIGHT = 64, 48
FOCAL = 0.5 / math.tan(math.radians(29))  # in widths: 58 degrees across, as phones and viewers

_F, _U = np.float32, np.uint64
_MOST_ALPHA = _F(0.99)
_OPAQUE = _F(1e-3)  # transmittance of pixels that take no more
_BLUR = 0.3  # pixels squared, added to projected covariances so that no splat is missed
_REAL_BLUR = 0.003  # what the 0.3 of renderers is, in these ten times larger pixels
# Antialiasing leaves nothing of it; so much that no area is 0.
_NO_BLUR = 1e-9
_REACH = 3.0  # standard deviations
_LAST = _F(_REACH**2 / 2)  # exponent there
_LANES = 16  # pixels at a time, of which a row is a multiple


@dataclass(frozen=True)
class Sight:
    """What one camera sees.

    Attributes:
        weights: (N,) float32, blending weights summed over the picture, whose area is 1.
        visible: (N,) float32, share of a Gaussian that nothing hides; 0 outside of the picture.
        filled: Share of the picture that is not empty.
        distance: Typical depth of what is seen, sizes of the core.
        crowded: Share of the picture that is right before the camera.
    """

    weights: NDArray[np.float32]
    visible: NDArray[np.float32]
    filled: float
    distance: float
    crowded: float


_CROWDED = 0.05  # sizes of the core before the camera where nothing should be


def look(sample: Sample, view: NDArray[np.float64], near: float, focal: float = FOCAL) -> Sight:
    """What a camera with pose ``view`` (4, 4) and ``focal`` (in widths) sees beyond ``near``."""
    n = len(sample)
    rows = np.ascontiguousarray(view[:3], np.float32)
    x, y, z = sample.means.T
    depths = rows[2, 0] * x + rows[2, 1] * y + rows[2, 2] * z + rows[2, 3]
    order = near_to_far(depths, np.flatnonzero(depths > near))
    weights, visible = np.zeros(n, np.float32), np.zeros(n, np.float32)
    transmittance = np.ones((HEIGHT, WIDTH), np.float32)
    _blend(
        sample.means,
        sample.covariances,
        sample.opacities,
        order,
        rows,
        focal * WIDTH,
        _NO_BLUR if sample.antialiased else _REAL_BLUR,
        weights,
        visible,
        transmittance,
    )
    weights /= WIDTH * HEIGHT
    seen = np.flatnonzero(weights)
    total = max(float(weights[seen].sum()), 1e-12)
    distance = math.exp(float((weights[seen] * np.log(depths[seen])).sum()) / total)
    crowded = float(weights[seen][depths[seen] < _CROWDED].sum())
    return Sight(weights, visible, 1 - float(transmittance.mean()), distance, crowded)


@compiled(nogil=True, fastmath=FAST, error_model="numpy")
def _blend(
    means: NDArray[np.float32],
    covariances: NDArray[np.float32],
    opacities: NDArray[np.float32],
    order: NDArray[np.int64],
    view: NDArray[np.float32],
    focal: float,
    blur: float,
    weights: NDArray[np.float32],
    visible: NDArray[np.float32],
    transmittance: NDArray[np.float32],
) -> None:
    """Blends the Gaussians ``order`` near to far; pixel units, the picture's centre is seen.

    ``blur`` is what renderers add to projected covariances without dimming, pixels squared.
    """
    height, width = transmittance.shape
    # Splats far outside of the picture are projected as if at 0.3 half-widths beside it.
    limit_x, limit_y = 0.65 * width / focal, 0.65 * height / focal
    t = np.empty((2, 3))
    unfilled = np.full(height, width, np.float32)  # pixels of each row that take more
    lanes = np.arange(width).astype(np.float32)
    for i in order:
        mx, my, mz = means[i, 0], means[i, 1], means[i, 2]
        z = view[2, 0] * mx + view[2, 1] * my + view[2, 2] * mz + view[2, 3]
        x = (view[0, 0] * mx + view[0, 1] * my + view[0, 2] * mz + view[0, 3]) / z
        y = (view[1, 0] * mx + view[1, 1] * my + view[1, 2] * mz + view[1, 3]) / z
        u, v = min(max(x, -limit_x), limit_x), min(max(y, -limit_y), limit_y)
        for k in range(3):
            t[0, k] = focal / z * (view[0, k] - u * view[2, k])
            t[1, k] = focal / z * (view[1, k] - v * view[2, k])
        # Entries of t C t^T.
        xx, xy, xz = covariances[i, 0], covariances[i, 1], covariances[i, 2]
        yy, yz, zz = covariances[i, 3], covariances[i, 4], covariances[i, 5]
        u0 = xx * t[0, 0] + xy * t[0, 1] + xz * t[0, 2]
        u1 = xy * t[0, 0] + yy * t[0, 1] + yz * t[0, 2]
        u2 = xz * t[0, 0] + yz * t[0, 1] + zz * t[0, 2]
        w0 = xx * t[1, 0] + xy * t[1, 1] + xz * t[1, 2]
        w1 = xy * t[1, 0] + yy * t[1, 1] + yz * t[1, 2]
        w2 = xz * t[1, 0] + yz * t[1, 1] + zz * t[1, 2]
        a = u0 * t[0, 0] + u1 * t[0, 1] + u2 * t[0, 2] + blur
        b = u0 * t[1, 0] + u1 * t[1, 1] + u2 * t[1, 2]
        c = w0 * t[1, 0] + w1 * t[1, 1] + w2 * t[1, 2] + blur
        area = a * c - b * b
        a, c = a + _BLUR, c + _BLUR
        det = a * c - b * b
        px, py = focal * x + width / 2 - 0.5, focal * y + height / 2 - 0.5
        reach_x, reach_y = _REACH * math.sqrt(a), _REACH * math.sqrt(c)
        if not (area > 0 and det > 0 and px + reach_x >= 0 and px - reach_x <= width - 1):
            continue
        if not (py + reach_y >= 0 and py - reach_y <= height - 1):
            continue
        left, right = int(max(px - reach_x + 1, 0)), int(min(px + reach_x, width - 1))
        top, bottom = int(max(py - reach_y + 1, 0)), int(min(py + reach_y, height - 1))
        # As in `kernels`, opacity * exp(-p^2 - q^2).
        pp, pq = _F(math.sqrt(0.5 * c / det)), _F(-b * math.sqrt(0.5 / (c * det)))
        qq, at_x, at_y = _F(math.sqrt(0.5 / c)), _F(px), _F(py)
        own = opacities[i] * math.sqrt(area / det)  # blur covers no more than what is there
        opacity, weight = _F(own), _F(0)
        for row in range(top, bottom + 1):
            if unfilled[row] == 0:
                continue
            dy = _F(row) - at_y
            sheared, q = pq * dy, qq * dy
            qsquared, filled = q * q, _F(0)
            for chunk in range(left // _LANES, right // _LANES + 1):
                for lane in range(_LANES):
                    column = _U(chunk * _LANES) + _U(lane)
                    through = transmittance[_U(row), column]
                    p = pp * (lanes[column] - at_x) + sheared
                    exponent = p * p + qsquared
                    alpha = min(opacity * falloff(min(exponent, _LAST)), _MOST_ALPHA)
                    alpha = alpha if exponent < _LAST and through >= _OPAQUE else _F(0)
                    share = alpha * through
                    left_over = through - share
                    weight += share
                    transmittance[_U(row), column] = left_over
                    filled += _F(1) if through >= _OPAQUE and left_over < _OPAQUE else _F(0)
            unfilled[row] -= filled
        weights[i] = weight
        if -0.5 <= px <= width - 0.5 and -0.5 <= py <= height - 0.5:
            visible[i] = min(weight / (2 * math.pi * own * math.sqrt(det)), 1.0)
