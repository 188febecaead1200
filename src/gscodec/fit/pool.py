"""A spatial feature pool for coordinates, learned where it pays (Predict-GS, 3.2 and 3.3).

In the paper's words the first of two stages: what the pool alone can predict, residuals off. How
much a grid could know at best is told by the means of its cells; only one that promises more
than it costs is learned, and only one that keeps the promise stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Encoder, Family
from gscodec.errors import CannotCodeError, FormatError
from gscodec.fit.targets import Target
from gscodec.intnet.box import box_around, position_features
from gscodec.intnet.context import OUTPUT_BITS, UnitModel
from gscodec.intnet.hashgrid import VALUES, GridLevel, encode_grid
from gscodec.intnet.network import Layer, Network
from gscodec.intnet.pool import Pool, encode_fusion
from gscodec.payload import Attribute
from gscodec.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.intnet.box import Box

    Bits = Callable[[NDArray[np.float64]], float]

# Of what a pool saves alone, what it saves where laws see decoded neighbours, about.
SHARE = 0.2
# Of what means of cells promise, what a trained grid keeps, at most.
_KEPT = 0.5
# Of the bits of all coordinates, what a grid must promise: training takes longer than all the
# rest. The larger a scene, the less of it pays for a grid of one size.
_LEAST = 5e-3
_SHRINKAGE = 2.0  # primitives: a cell knows as much less as if so many others were in it
_RESOLUTIONS = (8, 12, 16, 24, 32, 48, 64)
_LARGEST_TABLE = 13  # log2 of its entries, as in the paper
_JUDGED = 8  # coordinates, the largest: they have most of what is to be known
_HIDDEN = 8
_WEIGHT_BITS = 5.0  # of the fusion network in a file, about


def learned_pool(
    cells: NDArray[np.int64],
    coordinates: NDArray[np.float64],
    log2_ideal: NDArray[np.float64],
    bits: Bits,
    options: Options,
    progress: Callable[[float], None],
) -> Pool | None:
    """A pool that predicts coordinates; None if it does not pay.

    Args:
        cells: (N, 3) of the lattice.
        coordinates: (N, F) that are to be predicted.
        log2_ideal: (N, F) of the steps that they should have.
        bits: From variances of all coordinates to what they take.
        options: Seed, device, threads, iterations.
        progress: Called with the share that is done.
    """
    box = box_around(cells)
    u = box.normalise(cells)
    resolution = _promising(u, coordinates, bits)
    if resolution is None:
        return None
    level = GridLevel(3, resolution, _LARGEST_TABLE)
    pool = _trained(u, box, coordinates, log2_ideal, level, options, progress)
    if pool is None:
        return None
    left = coordinates - predicted_by(pool, cells)
    saved = bits(coordinates.var(axis=0)) - bits(left.var(axis=0))
    return pool if SHARE * saved > _size(pool) else None


def predicted_by(pool: Pool, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Coordinates (N, F) in ``cells`` (N, 3)."""
    return np.ldexp(pool(cells).astype(np.float64), -pool.fraction_bits)


def _promising(
    u: NDArray[np.int64], coordinates: NDArray[np.float64], bits: Bits
) -> int | None:
    """The resolution of the grid that might save most; None if none pays."""
    judged = coordinates[:, :_JUDGED]
    judged = judged - judged.mean(axis=0)
    count = coordinates.shape[1]
    whole = coordinates.var(axis=0)
    best, most = None, _LEAST * bits(whole)
    for resolution in _RESOLUTIONS:
        left = whole.copy()
        left[:_JUDGED] = _left(u * (resolution - 1) >> 16, judged)
        entries = GridLevel(3, resolution, _LARGEST_TABLE).entries
        weights = (3 + VALUES + _HIDDEN + count) * _HIDDEN
        cost = VALUES * entries + _WEIGHT_BITS * weights
        net = _KEPT * SHARE * (bits(whole) - bits(left)) - cost
        if net > most:
            best, most = resolution, net
    return best


def _left(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variances of ``values`` (N, columns) about the mean of the others in their cell."""
    order = np.lexsort(cells.T)
    sorted_cells, own = cells[order], values[order]
    new = np.ones(len(cells), bool)
    new[1:] = (sorted_cells[1:] != sorted_cells[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    counts = np.diff([*starts, len(cells)])
    others = np.repeat(np.add.reduceat(own, starts), counts, axis=0) - own
    expected = others / (np.repeat(counts, counts)[:, None] - 1 + _SHRINKAGE)
    result: NDArray[np.float64] = ((own - expected) ** 2).mean(axis=0)
    return result


def _trained(
    u: NDArray[np.int64],
    box: Box,
    coordinates: NDArray[np.float64],
    log2_ideal: NDArray[np.float64],
    level: GridLevel,
    options: Options,
    progress: Callable[[float], None],
) -> Pool | None:
    """Learned as method hac learns its grid: the centres of its laws are the predictions."""
    from gscodec.fit.devices import on_device
    from gscodec.fit.grid import Settings, fit
    from gscodec.fit.options import enough

    count = coordinates.shape[1]
    unit = Unit(Attribute.FEATURE, count, tuple(range(count)), (0,) * count)
    means = coordinates.mean(axis=0)
    target = Target(unit, Family.LAPLACE, coordinates - means, log2_ideal)
    settings = Settings(
        max(2, round(enough(options.training, len(u)))),
        _HIDDEN,
        (level,),
        options.seed,
        on_device(options.device),
        options.threads,
    )
    try:
        learned = fit(u, position_features(u), [target], settings, progress)
        model = learned.models[0]
        if not isinstance(model, UnitModel) or not learned.grid.levels:
            return None
        fusion = _centres(unit, model, means)
    except (CannotCodeError, FormatError):  # beyond exact integers
        return None
    return Pool(learned.grid, box, model.fraction_bits, model.log2_unit, fusion)


def _centres(unit: Unit, model: UnitModel, means: NDArray[np.float64]) -> Network:
    """The part of a network that tells centres, with all that is added to them as biases."""
    last, own = model.network.layers[-1], slice(unit.steps, unit.steps + unit.columns)
    quanta = np.ldexp(means, model.fraction_bits) + model.mean
    more = np.ldexp(quanta, model.network.shift + OUTPUT_BITS - model.log2_unit)
    bias = last.bias[own] + np.rint(more).astype(np.float32)
    layers = (*model.network.layers[:-1], Layer(last.weights[:, own], bias))
    return Network(layers, model.network.shift)


def _size(pool: Pool) -> int:
    """Bits in a file."""
    encoder = Encoder()
    encode_grid(encoder, pool.grid, pool.box)
    encode_fusion(encoder, pool)
    return 8 * len(encoder.finish())
