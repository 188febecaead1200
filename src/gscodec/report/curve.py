"""Rate-distortion curves and how far apart they are.

A curve is a set of pairs (bytes, PSNR in dB), in any order; bytes are above 0. Between its
points the logarithm of the bytes is a function of the PSNR. Nothing is ever extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import exp, expm1, log
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Curve: TypeAlias = Iterable[tuple[float, float]]

_CUBIC_POINTS = 4  # with fewer the slopes of a cubic are guesses: straight lines instead


def bjontegaard_rate(reference: Curve, test: Curve) -> float | None:
    """Bytes of ``test`` against those of ``reference`` at equal PSNR, mean over the overlap.

    The measure of Bjontegaard (VCEG-M33, 2001) with the monotone piecewise cubic interpolation
    that replaced his polynomial in common test conditions (Strom et al., JVET-H0030, 2017).

    Returns:
        Percent, -50 where ``test`` needs half the bytes; None where a curve has fewer than two
        different PSNR or the curves share no interval of PSNR.
    """
    first, second = _knots(reference), _knots(test)
    if min(first.shape[1], second.shape[1]) < 2:
        return None
    low = max(first[0, 0], second[0, 0])
    high = min(first[0, -1], second[0, -1])
    if low >= high:
        return None
    difference = _area(second, low, high) - _area(first, low, high)
    return 100 * expm1(difference / (high - low))


def bytes_at(psnr: float, curve: Curve) -> float | None:
    """Bytes at ``psnr``: log(bytes) linear in PSNR between the two points around it.

    Returns:
        None where ``psnr`` is not between two points.
    """
    knots = _knots(curve).T.tolist()
    for (p0, b0), (p1, b1) in pairwise(knots):
        if p0 <= psnr <= p1:
            return exp(b0 + (b1 - b0) * (psnr - p0) / (p1 - p0))
    return None


def _knots(curve: Curve) -> NDArray[np.float64]:
    """(2, K): PSNR, strictly increasing, and log(bytes); the smallest file of each PSNR."""
    least: dict[float, float] = {}
    for size, psnr in curve:
        least[psnr] = min(size, least.get(psnr, size))
    points = sorted(least.items())
    return np.array([[p for p, _ in points], [log(b) for _, b in points]], dtype=np.float64)


def _area(knots: NDArray[np.float64], low: float, high: float) -> float:
    """Integral of log(bytes) over PSNR from ``low`` to ``high``, which the knots enclose."""
    psnr, log_bytes = knots
    if len(psnr) < _CUBIC_POINTS:
        inner = psnr[(psnr > low) & (psnr < high)]
        grid = np.concatenate([[low], inner, [high]])
        heights = np.interp(grid, psnr, log_bytes)
        return float((heights[1:] + heights[:-1]) @ np.diff(grid) / 2)
    from scipy.interpolate import PchipInterpolator

    return float(PchipInterpolator(psnr, log_bytes).integrate(low, high))
