"""Balls -> a picture: orthographic, shaded, the nearest one in front. Plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIGHT = np.array([-0.40, 0.55, 0.73])  # from the left, above and the front; of unit length
_DARKEST = 0.45  # of the colour, where no light falls
_SAMPLES = 2  # per pixel and axis


def draw_balls(
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    colours: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """The picture of balls, as large as fits.

    Args:
        centres: (V, 3), x to the right, y up, z towards the viewer.
        radii: (V,), in the same units, above 0.
        colours: (V, 3), 0 to 1.
        size: Width and height of the picture, pixels.

    Returns:
        (height, width, 4) float32, 0 to 1: colour, not multiplied by the coverage, and coverage.
    """
    width, height = (_SAMPLES * edge for edge in size)
    canvas = np.zeros((height, width, 4), dtype=np.float32)
    depth = np.full((height, width), -np.inf, dtype=np.float32)
    if len(centres):
        low = (centres[:, :2] - radii[:, None]).min(axis=0)
        high = (centres[:, :2] + radii[:, None]).max(axis=0)
        scale = min((np.array([width, height]) - 2) / (high - low))
        middle = (low + high) / 2
        x = width / 2 + scale * (centres[:, 0] - middle[0])
        y = height / 2 - scale * (centres[:, 1] - middle[1])
        for ball in zip(x, y, scale * centres[:, 2], scale * radii, colours, strict=True):
            _draw(canvas, depth, *ball)
    return _reduced(canvas)


def _draw(
    canvas: NDArray[np.float32],
    depth: NDArray[np.float32],
    x: float,
    y: float,
    z: float,
    radius: float,
    colour: NDArray[np.float64],
) -> None:
    """One ball, all lengths in samples."""
    height, width = depth.shape
    left, right = max(int(x - radius), 0), min(int(x + radius) + 2, width)
    top, bottom = max(int(y - radius), 0), min(int(y + radius) + 2, height)
    across = (np.arange(left, right) + 0.5 - x) / radius
    up = (y - np.arange(top, bottom) - 0.5)[:, None] / radius
    square = 1 - across**2 - up**2
    towards = np.sqrt(np.maximum(square, 0))
    here = (slice(top, bottom), slice(left, right))
    front = (square > 0) & (z + radius * towards > depth[here])
    light = np.maximum(across * _LIGHT[0] + up * _LIGHT[1] + towards * _LIGHT[2], 0)
    shade = (_DARKEST + (1 - _DARKEST) * light)[front]
    depth[here][front] = (z + radius * towards)[front]
    canvas[here][front, :3] = shade[:, None] * colour
    canvas[here][front, 3] = 1


def _reduced(canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the samples of each pixel."""
    height, width = (edge // _SAMPLES for edge in canvas.shape[:2])
    means: NDArray[np.float32] = canvas.reshape(height, _SAMPLES, width, _SAMPLES, 4).mean(
        axis=(1, 3)
    )
    means[..., :3] /= np.maximum(means[..., 3:], 1e-6)
    return means
