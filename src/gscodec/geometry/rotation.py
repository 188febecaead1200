"""Rotations and scales as six numbers without the ambiguities of (scales, quaternion).

A Gaussian is unchanged when its axes are relabelled and its quaternion changed to match: 24
equivalent forms. The canonical one has its scales sorted, s0 >= s1 >= s2, and its rotation
split into a twist about one axis and a swing that tilts this axis:

* disc (s0 nearer to s1 than s1 to s2): twist about the short axis s2;
* needle (otherwise): twist about the long axis s0.

Turning about that axis changes the Gaussian least, so the twist can have a coarse step. Twist
and swing are half-angle tangents, all within [-1, 1] because the axes may point either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALF = 0.5**0.5


def _multiply(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hamilton product of (N, 4) quaternions w, x, y, z."""
    a, b, c, d = p.T
    w, x, y, z = q.T
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=1,
    )


# For each order of the axes, the turn that maps new axis k to old axis order[k] up to sign.
_TURNS: dict[tuple[int, int, int], tuple[float, float, float, float]] = {
    (0, 1, 2): (1, 0, 0, 0),
    (1, 2, 0): (0.5, 0.5, 0.5, 0.5),
    (2, 0, 1): (0.5, -0.5, -0.5, -0.5),
    (1, 0, 2): (_HALF, 0, 0, _HALF),
    (2, 1, 0): (_HALF, 0, _HALF, 0),
    (0, 2, 1): (_HALF, _HALF, 0, 0),
}
# Half turns about the axes: they change no Gaussian.
_FLIPS = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float64)


def is_disc(log_scales: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether sorted (N, 3) log-scales are nearer to a disc than to a needle."""
    result: NDArray[np.bool_] = 2 * log_scales[:, 1] >= log_scales[:, 0] + log_scales[:, 2]
    return result


def sort_axes(
    log_scales: NDArray[np.float64], quats: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relabels axes so that scales fall: log-scales (N, 3), unit quaternions (N, 4)."""
    order = np.argsort(-log_scales, axis=1, kind="stable")
    norm = np.sqrt((quats**2).sum(axis=1, keepdims=True))
    unit = np.where(norm > 0, quats / np.where(norm > 0, norm, 1), [1.0, 0, 0, 0])
    turned = unit.copy()
    for key, turn in _TURNS.items():
        rows = (order == key).all(axis=1)
        turned[rows] = _multiply(unit[rows], np.array([turn]))
    return np.take_along_axis(log_scales, order, axis=1), turned


def to_twist_swing(quats: NDArray[np.float64], disc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Twist, swing, swing (N, 3), each in [-1, 1], of unit quaternions (N, 4)."""
    # About the axis with the twist the components are (w, twist), the other two swing. In a
    # product with a half turn components change places; take the one with the least swing,
    # then the least twist.
    best = np.empty((len(quats), 3))
    least = np.full((len(quats), 2), np.inf)
    for flip in _FLIPS:
        w, t, a, b = _split(_multiply(quats, flip[None]), disc)
        swing, twist = a * a + b * b, t * t
        better = (swing < least[:, 0] - 1e-12) | (
            (swing < least[:, 0] + 1e-12) & (twist < least[:, 1])
        )
        values = _tangents(w, t, a, b)
        best[better] = values[better]
        least[better] = np.stack([swing, twist], axis=1)[better]
    return best


def _split(
    quats: NDArray[np.float64], disc: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], ...]:
    """Components (w, about the axis, about the two others in cyclic order), w >= 0."""
    w, x, y, z = np.where(quats[:, :1] < 0, -quats, quats).T
    return w, np.where(disc, z, x), np.where(disc, x, y), np.where(disc, y, z)


def _tangents(
    w: NDArray[np.float64],
    t: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Half-angle tangents of q = swing * twist, from its components."""
    safe = np.maximum(w, 1e-9)
    square = np.maximum(w * w + t * t, 1e-18)
    # q = (c, sa, sb, 0)(u, 0, 0, v) with u : v = w : t, in axes (a, b, twist).
    return np.stack([t / safe, (a * w - b * t) / square, (b * w + a * t) / square], axis=1)


def rotated(quats: NDArray[np.floating], vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """``vectors`` (N, 3) along the axes of unit ``quats`` (N, 4), in the axes of the world.

    Float operations as of `from_twist_swing`.
    """
    w, x, y, z = quats.astype(np.float64).T
    a, b, c = vectors.astype(np.float64).T
    # v + 2 w (q x v) + 2 q x (q x v), q the vector part.
    u, v, t = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    first = (a + w * u) + (y * t - z * v)
    second = (b + w * v) + (z * u - x * t)
    third = (c + w * t) + (x * v - y * u)
    return np.stack([first, second, third], axis=1)


def along_axes(
    quats: NDArray[np.floating], vectors: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Inverse of `rotated`."""
    return rotated(quats * np.array([1, -1, -1, -1], quats.dtype), vectors)


def from_twist_swing(
    values: NDArray[np.float64], disc: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Unit quaternions (N, 4) float32 of ``values`` (N, 3): twist, swing, swing.

    Only additions, multiplications, divisions and square roots of float64, one operation at a
    time: IEEE 754 rounds each of them the same way on every machine.
    """
    t, a, b = values.T
    # (1, a, b, 0)(1, 0, 0, t) in axes (a, b, twist).
    x, y = a + b * t, b - a * t
    norm = np.sqrt((1 + t * t) * ((1 + a * a) + b * b))
    w, x, y, z = 1 / norm, x / norm, y / norm, t / norm
    quats = np.empty((len(values), 4), np.float32)
    parts = w, np.where(disc, x, z), np.where(disc, y, x), np.where(disc, z, y)
    for number, part in enumerate(parts):
        quats[:, number] = part
    return quats
