"""Finds the lambda that gives a wanted size or PSNR."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gscodec.errors import UsageError
from gscodec.methods.hac.options import LEAST_LAMBDA, MOST_LAMBDA

if TYPE_CHECKING:
    from collections.abc import Callable

_TRIALS = 10
# Stop well inside of what is promised: 3 % of a size, 0.1 dB.
_CLOSE_BYTES, _CLOSE_PSNR = 0.01, 0.03
_BYTES_SLOPE = -0.2  # of log(bytes) over log(lambda), about: where to look first
_PSNR_SLOPE = -4.0  # dB over log(lambda)


def search(
    result: Callable[[float], float],
    start: float,
    target_bytes: int | None,
    target_psnr: float | None,
) -> float:
    """The lambda at which ``result`` (bytes, or PSNR in dB) is as wanted; it falls with lambda.

    Raises:
        UsageError: Out of reach; says what is in reach.
    """
    if target_bytes is not None:
        goal, slope, close = math.log(target_bytes), _BYTES_SLOPE, _CLOSE_BYTES
    else:
        goal, slope, close = float(target_psnr or 0), _PSNR_SLOPE, _CLOSE_PSNR

    def excess(log_lam: float) -> float:
        found = result(math.exp(log_lam))
        return (math.log(found) if target_bytes is not None else found) - goal

    least, most = math.log(LEAST_LAMBDA), math.log(MOST_LAMBDA)
    at = math.log(start)
    known: list[tuple[float, float]] = []
    for _ in range(_TRIALS):
        known.append((at, excess(at)))
        if abs(known[-1][1]) < close:
            break
        if (at == most and known[-1][1] > 0) or (at == least and known[-1][1] < 0):
            raise _out_of_reach(result, target_bytes)
        at = min(max(_next(known, slope), least), most)
    return math.exp(min(known, key=lambda point: abs(point[1]))[0])


def _next(known: list[tuple[float, float]], slope: float) -> float:
    """Where a line through the two nearest points on both sides, or on one, crosses zero."""
    above = max((p for p in known if p[1] > 0), default=None)
    below = min((p for p in known if p[1] <= 0), default=None)
    if above and below:
        share = above[1] / (above[1] - below[1])
        # Not too near to either end, so that the bracket shrinks for any curve.
        share = min(max(share, 0.1), 0.9)
        return above[0] + share * (below[0] - above[0])
    at, value = known[-1]
    return at - 1.3 * value / slope


def _out_of_reach(result: Callable[[float], float], target_bytes: int | None) -> UsageError:
    large, small = result(LEAST_LAMBDA), result(MOST_LAMBDA)
    if target_bytes is not None:
        return UsageError(
            f"target size {target_bytes:,} bytes: out of reach, this scene takes "
            f"{small:,.0f} to {large:,.0f} bytes, about"
        )
    return UsageError(
        f"target PSNR: out of reach, this scene has {small:.2f} to {large:.2f} dB"
    )
