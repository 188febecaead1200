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

from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

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
# (9, 3) orders by how many axes come before the first, times three, plus before the second.
_ORDERS = np.zeros((9, 3), np.intp)
_ORDERS[[3 * order.index(0) + order.index(1) for order in _TURNS]] = list(_TURNS)


def is_disc(log_scales: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether sorted (N, 3) log-scales are nearer to a disc than to a needle."""
    result: NDArray[np.bool_] = 2 * log_scales[:, 1] >= log_scales[:, 0] + log_scales[:, 2]
    return result


def sort_axes(
    log_scales: NDArray[np.float64], quats: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relabels axes so that scales fall: log-scales (N, 3), unit quaternions (N, 4)."""
    scales, turned = np.empty_like(log_scales), np.empty_like(quats)
    for rows in in_slices(len(quats)):
        scales[rows], turned[rows] = _sorted_axes(log_scales[rows], quats[rows])
    return scales, turned


def _sorted_axes(
    log_scales: NDArray[np.float64], quats: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`sort_axes` of some rows."""
    a, b, c = log_scales.T
    # How many come before the first, and before the second: of the same ones the earlier.
    key = 3 * ((b > a).astype(np.intp) + (c > a)) + (a >= b) + (c > b)
    norm = np.sqrt((quats**2).sum(axis=1, keepdims=True))
    unit = np.where(norm > 0, quats / np.where(norm > 0, norm, 1), [1.0, 0, 0, 0])
    for own, turn in _TURNS.items():
        rows = np.flatnonzero(key == 3 * own.index(0) + own.index(1))
        unit[rows] = _multiply(unit[rows], np.array([turn]))
    return np.take_along_axis(log_scales, _ORDERS[key], axis=1), unit


def to_twist_swing(quats: NDArray[np.float64], disc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Twist, swing, swing (N, 3), each in [-1, 1], of unit quaternions (N, 4)."""
    found = np.empty((3, len(quats)))
    for rows in in_slices(len(quats)):
        found[:, rows] = _twist_swing(quats[rows], disc[rows])
    return found.T


def _twist_swing(
    quats: NDArray[np.float64], disc: NDArray[np.bool_]
) -> Sequence[NDArray[np.float64]]:
    """`to_twist_swing` of some rows."""
    # About the axis with the twist the components are (w, twist), the other two swing. In a
    # product with a half turn, which changes no Gaussian, components change places; take the one with the least swing,
    # then the least twist.
    w, x, y, z = np.ascontiguousarray(quats.T)
    flips = (w, x, y, z), (-x, w, z, -y), (-y, -z, w, x), (-z, y, -x, w)
    best: Sequence[NDArray[np.float64]] = ()
    least_swing = least_twist = np.full(len(quats), np.inf)
    for flip in flips:
        parts = _split(flip, disc)
        _, t, a, b = parts
        swing, twist = a * a + b * b, t * t
        better = (swing < least_swing - 1e-12) | (
            (swing < least_swing + 1e-12) & (twist < least_twist)
        )
        best = [np.where(better, *both) for both in zip(parts, best or parts, strict=True)]
        least_swing = np.where(better, swing, least_swing)
        least_twist = np.where(better, twist, least_twist)
    return _tangents(*best)


def _split(
    quat: Sequence[NDArray[np.float64]], disc: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], ...]:
    """Components (w, about the axis, about the two others in cyclic order), w >= 0."""
    sign = np.where(quat[0] < 0, -1.0, 1.0)
    w, x, y, z = (sign * part for part in quat)
    return w, np.where(disc, z, x), np.where(disc, x, y), np.where(disc, y, z)


def _tangents(
    w: NDArray[np.float64],
    t: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> tuple[NDArray[np.float64], ...]:
    """Half-angle tangents of q = swing * twist, from its components."""
    safe = np.maximum(w, 1e-9)
    square = np.maximum(w * w + t * t, 1e-18)
    # q = (c, sa, sb, 0)(u, 0, 0, v) with u : v = w : t, in axes (a, b, twist).
    return t / safe, (a * w - b * t) / square, (b * w + a * t) / square


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
