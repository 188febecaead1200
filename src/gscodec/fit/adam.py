"""Adam with one cycle of its rate; numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SECOND = 0.95  # of squares: what is remembered must be short where slopes change often
_FIRST, _FIRST_AT_TOP = 0.95, 0.85  # of slopes, at the ends of the cycle and at its top
_TINY = 1e-8
_RISE = 0.15  # share of the steps until the rate is at its top
_START, _END = 1 / 25, 4e-6  # of the highest rate


class Adam:
    """Kingma and Ba's, along the cycle of Smith and Topin."""

    def __init__(self, parameters: NDArray[np.float32], rate: float, steps: int) -> None:
        """Changes ``parameters`` in place; ``rate`` is the highest in so many ``steps``."""
        self._parameters, self._rate, self._steps = parameters, rate, steps
        self._slope, self._square = np.zeros_like(parameters), np.zeros_like(parameters)
        self._left = self._left_square = 1.0
        self._done = 0

    def step(self, slopes: NDArray[np.float32]) -> None:
        """Along ``slopes``, which it may overwrite."""
        rate, first = self._now()
        self._left *= first
        self._left_square *= _SECOND
        self._slope *= first
        self._slope += (1 - first) * slopes
        np.square(slopes, out=slopes)
        self._square *= _SECOND
        slopes *= 1 - _SECOND
        self._square += slopes
        np.multiply(self._square, 1 / (1 - self._left_square), out=slopes)
        np.sqrt(slopes, out=slopes)
        slopes += _TINY
        np.divide(self._slope, slopes, out=slopes)
        slopes *= rate / (1 - self._left)
        self._parameters -= slopes
        self._done += 1

    def _now(self) -> tuple[float, float]:
        """Rate, and share of the slope that is remembered."""
        top = max(_RISE * self._steps - 1, 1e-9)
        if self._done <= top:
            share, start, end = self._done / top, _START, 1.0
            return self._rate * _between(start, end, share), _between(
                _FIRST, _FIRST_AT_TOP, share
            )
        share = min(1.0, (self._done - top) / max(self._steps - top, 1e-9))
        return self._rate * _between(1.0, _END, share), _between(_FIRST_AT_TOP, _FIRST, share)


def _between(start: float, end: float, share: float) -> float:
    """Along half a wave."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
