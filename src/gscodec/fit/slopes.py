"""What training of method hemgs minimises, and its slopes, in closed form; numpy float32.

The loss of a value is its bits under the law that codes it, and the error of its step in bits
(`fit.laws.step_cost`). All arrays are of any shape, equal to each other; deviations and residuals
are in steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Family

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SMALLEST_SIGMA = 2.0**-4.5  # of a step: the first table level
_LN2 = math.log(2)
_LEAST_MASS = 2.0**-20
# Deviations: from the first on the density stands for the mass; beyond the second it stays.
_FAR, _FARTHEST = 4.0, 8.0
# Abramowitz and Stegun, 26.2.17: the tail of a normal law over its density, within 7.5e-8.
_TAIL = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
_TAIL_SCALE = 0.2316419
_PEAK = 1 / math.sqrt(2 * math.pi)  # of a normal law


def cheapest(family: Family, size: Floats, sigma: Floats, price: Floats) -> Floats:
    """For residuals of ``size`` the cheapest of the nearest integer, the next one, and zero.

    ``price`` is what a bit costs in squared steps. The saving is that of the density, close
    enough for training.
    """
    whole = np.rint(size)
    gain = 2 * (whole - size) - 1  # less what the squared error grows by, one step down
    gain_all = whole * (whole - 2 * size)  # and down to zero
    if family is Family.LAPLACE:
        saved = price * (math.sqrt(2) / _LN2) / sigma
        gain += saved
        gain_all += saved * whole
    else:
        saved = price / _LN2 / (sigma * sigma)
        gain += saved * (whole - 0.5)
        gain_all += saved * (0.5 * whole * whole)
    none = gain_all > np.maximum(gain, 0)
    whole -= gain > 0
    np.maximum(whole, 0, out=whole)
    whole[none] = 0
    return whole


def by_step(log2_step: Floats, log2_spread: Floats, error: Floats) -> Floats:
    """Slope of the cost of a step by its log2; ``error`` is that of a step, in bits."""
    fine = (log2_step - log2_spread) * (2 * _LN2)
    fine -= math.log(12)
    share = np.reciprocal(np.exp(np.minimum(fine, 80, out=fine), out=fine) + 1)
    slope: Floats = share * (error * share * (2 * _LN2 / 12) - 1)
    return slope


def by_law(
    family: Family, residual: Floats, sigma: Floats, error: Floats
) -> tuple[Floats, Floats]:
    """Slopes of the bits by the value, in steps, and by log2 of the deviation.

    The spread learns from the integers that the encoder chooses; the centre from the slope of
    the density, or from the squared error where zero is chosen.
    """
    narrow, size = np.maximum(sigma, SMALLEST_SIGMA), np.abs(residual)
    whole = cheapest(family, size, narrow, np.reciprocal(error))
    zero = whole == 0
    law = by_laplace if family is Family.LAPLACE else _by_normal
    by_value, by_spread = law(size, whole, zero, narrow)
    by_spread *= np.minimum(sigma * (1 / SMALLEST_SIGMA), 1)
    by_value = np.where(zero, 2 * size * error, by_value)
    return np.copysign(by_value, residual), by_spread


def by_laplace(
    size: Floats,  # noqa: ARG001 - a density has one slope
    whole: Floats,
    zero: NDArray[np.bool_],
    sigma: Floats,
) -> tuple[Floats, Floats]:
    """Slopes of the bits of ``whole`` values, not below 0, by them, and by log2 of ``sigma``."""
    rate = math.sqrt(2) / sigma
    width = np.where(zero, np.float32(0.5), np.float32(1))  # zero has two sides
    tail = width / np.expm1(rate * width)
    return rate / _LN2, rate * (tail - np.maximum(whole - 0.5, 0))


def _by_normal(
    size: Floats, whole: Floats, zero: NDArray[np.bool_], sigma: Floats
) -> tuple[Floats, Floats]:
    inverse = np.reciprocal(sigma)
    low: Floats = (whole - 0.5) * inverse
    high = low + inverse
    low_density, low_tail = _tail(np.abs(low))
    high_density, high_tail = _tail(high)
    mass: Floats = np.where(zero, 1 - 2 * high_tail, low_tail - high_tail)
    np.maximum(mass, _LEAST_MASS, out=mass)
    by_spread: Floats = np.divide(high * high_density - low * low_density, mass)
    far = low > _FAR
    by_spread[far] = -np.square(np.minimum(low[far], _FARTHEST))
    by_value: Floats = np.minimum(size * inverse, _FARTHEST)
    by_value *= inverse / _LN2
    return by_value, by_spread


def _tail(z: Floats) -> tuple[Floats, Floats]:
    """Density of a normal law at ``z``, at least 0, and its mass beyond."""
    density: Floats = np.exp(z * z * -0.5) * _PEAK
    t: Floats = np.reciprocal(z * _TAIL_SCALE + 1)
    series = np.full(t.shape, _TAIL[-1], np.float32)
    for factor in reversed(_TAIL[:-1]):
        series *= t
        series += factor
    series *= t
    return density, density * series
