"""Which integers stand for wanted values: rate against distortion, nothing is coded here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE, UNIT_LEVEL, bit_costs
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.intnet.context import DecisionModel
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
    found = np.empty(wanted.shape, np.int64)
    held = np.ones(len(wanted), np.bool_)
    offset = np.array(unit.step_offset) / LEVELS_PER_OCTAVE
    for rows in in_slices(len(wanted)):
        step = law.step[rows]
        residual = (np.ldexp(wanted[rows], model.fraction_bits) - law.centre[rows]) / step
        held[rows] = (np.abs(residual) < 2**30).all(axis=1)
        if not held[rows].all():
            continue
        ideal = np.exp2(log2_ideal[rows][:, unit.step_of] + offset)
        price = BIT_PRICE * (np.ldexp(ideal, model.fraction_bits) / step) ** 2
        found[rows] = _cheapest(residual, law.table[rows], law.family, price)
    if not held.all():
        name = unit.attribute.name.lower()
        reason, message = f"with {name} beyond integers", f"{name} has values too far apart"
        raise OutlyingError(index[~held], reason, message)
    return found


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
    residual: NDArray[np.float64],
    level: NDArray[np.uint8],
    family: Family,
    price: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The cheapest of the nearest integer, the next one towards zero, and zero.

    ``price`` is what a bit costs in squared steps.
    """
    costs = bit_costs(family)
    last = costs.shape[1] - 1
    size = np.abs(residual)
    best = np.rint(size).astype(np.int64)
    least = price * costs[level, np.minimum(best, last)] + (size - best) ** 2
    for other in (np.maximum(best - 1, 0), np.zeros_like(best)):
        cost = price * costs[level, np.minimum(other, last)] + (size - other) ** 2
        best = np.where(cost < least, other, best)
        least = np.minimum(cost, least)
    return np.where(residual < 0, -best, best)
