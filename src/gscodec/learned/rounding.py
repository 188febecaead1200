"""Which integers stand for wanted values: rate against distortion, nothing is coded here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE, UNIT_LEVEL, bit_costs
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.intnet.context import DecisionModel, kinds_of_steps
from gscodec.kinds.aside import OutlyingError
from gscodec.slices import in_slices
from gscodec.units import Expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.coding import Family
    from gscodec.learned.networks import Known

_NO_STEP = 1e-12


def residuals_of(
    known: Known,
    wanted: NDArray[np.float64],
    log2_ideal: NDArray[np.float64],
    index: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The integers (rows, columns) that code the turn at hand.

    Args:
        known: What the decoder knows.
        wanted: (rows, columns) values.
        log2_ideal: (rows, steps) steps at which a bit is worth its error.
        index: (rows,) which primitives they are of those that were to be coded.

    Raises:
        OutlyingError: Some primitives have values that integers do not hold.
    """
    unit, model, law = known.unit, known.model, known.law()
    if law.family is None or isinstance(model, DecisionModel):
        return wanted.astype(np.int64)
    found = np.empty((unit.columns, len(wanted)), np.int64)
    held = np.ones(len(wanted), np.bool_)
    one = 2.0**model.fraction_bits
    kinds, kind_of = kinds_of_steps(unit)
    for rows in in_slices(len(wanted)):
        # Column by column, as laws are.
        step = np.ascontiguousarray(law.step[rows].T)
        residual = np.empty(step.shape)
        np.multiply(wanted[rows].T, one, out=residual)
        residual -= law.centre[rows].T
        residual /= step
        size = np.abs(residual)
        held[rows] = (size < 2**30).all(axis=0)
        if not held[rows].all():
            continue
        some = np.flatnonzero(np.rint(size))  # the others are zero at any price
        ideal = np.array([log2_ideal[rows, at] + own / LEVELS_PER_OCTAVE for at, own in kinds])
        ideal = np.exp2(ideal)[kind_of].take(some)
        price = BIT_PRICE * (ideal * one / step.take(some)) ** 2
        best = _cheapest(size.take(some), law.table[rows].T.take(some), law.family, price)
        own = np.zeros(step.shape, np.int64)
        own.ravel()[some] = np.where(residual.take(some) < 0, -best, best)
        found[:, rows] = own
    if not held.all():
        name = unit.attribute.name.lower()
        reason, message = f"with {name} beyond integers", f"{name} has values too far apart"
        raise OutlyingError(index[~held], reason, message)
    return found.T


def expected(known: Known) -> Expected:
    """The law of the turn at hand in the unit of its values."""
    law, model, present = known.law(), known.model, known.present()
    coded = np.True_ if present is None else present
    # What is not coded stays where it is: it has hardly a step.
    step = np.where(coded, model.floats(law.step), _NO_STEP)
    centre = model.floats(np.where(coded, law.centre, 0))
    sigma = step * np.exp2((law.table.astype(np.float64) - UNIT_LEVEL) / LEVELS_PER_OCTAVE)
    return Expected(
        centre.astype(np.float32), step.astype(np.float32), sigma.astype(np.float32)
    )


def scattered(parts: Sequence[Expected], turns: Sequence[slice], count: int) -> Expected:
    """The laws of ``count`` rows of a block from those of its turns."""
    if len(parts) == 1:
        return parts[0]
    shape = count, parts[0].centre.shape[1]
    centre, step, sigma = (np.empty(shape, np.float32) for _ in range(3))
    whole = Expected(centre, step, sigma)
    for rows, part in zip(turns, parts, strict=True):
        whole.centre[rows], whole.step[rows] = part.centre, part.step
        whole.sigma[rows] = part.sigma
    return whole


def _cheapest(
    size: NDArray[np.float64],
    level: NDArray[np.uint8],
    family: Family,
    price: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The cheapest magnitude: of the nearest integer to ``size``, the next lower one, and zero.

    ``price`` is what a bit costs in squared steps.
    """
    costs = bit_costs(family)
    last = costs.shape[1] - 1
    start = level * np.intp(costs.shape[1])
    nearest = np.rint(size).astype(np.int64)
    best, least = nearest, np.full(len(size), np.inf)
    for other in (nearest, nearest - 1, np.zeros_like(nearest)):
        cost = price * costs.take(start + np.minimum(other, last)) + (size - other) ** 2
        best = np.where(cost < least, other, best)
        least = np.minimum(cost, least)
    return best
