"""Files of method predict-gs that mix and predict, whether that pays or not."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.fit import predict_gs
from gscodec.intnet.box import box_around
from gscodec.intnet.hashgrid import GridLevel, HashGrid
from gscodec.intnet.network import Layer, Network
from gscodec.intnet.pool import Pool

if TYPE_CHECKING:
    import pytest
    from numpy.typing import NDArray

LEVELS = (GridLevel(3, 4, 12), GridLevel(2, 16, 5))  # the second one is hashed


def pool_of(cells: NDArray[np.int64], columns: int, fraction_bits: int = 9) -> Pool:
    """A pool of random numbers around ``cells`` (N, 3)."""
    rng = np.random.default_rng(7)
    values = tuple(
        rng.random((level.entries, 4)) < 0.5 for level in LEVELS for _ in level.tables
    )
    grid = HashGrid(LEVELS, values)
    widths = (3 + grid.features, 5, columns)
    layers = tuple(
        Layer(
            rng.integers(-40, 41, (rows, own)).astype(np.float32),
            rng.integers(-900, 901, own).astype(np.float32),
        )
        for rows, own in pairwise(widths)
    )
    return Pool(grid, box_around(cells), fraction_bits, 3, Network(layers, 5))


def always_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes any basis that is regular."""
    monkeypatch.setattr(predict_gs, "_ENTRY_BITS", -1e9)
    monkeypatch.setattr(predict_gs, "_EXPONENT_BITS", -1e9)


def always_predict(monkeypatch: pytest.MonkeyPatch, fraction_bits: int = 9) -> None:
    """By a pool of random numbers."""

    def pool(cells: NDArray[np.int64], coordinates: NDArray[np.float64], *_: Any) -> Any:
        return pool_of(cells, coordinates.shape[1], fraction_bits)

    monkeypatch.setattr(predict_gs, "learned_pool", pool)
