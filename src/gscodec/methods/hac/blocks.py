"""Codes blocks of primitives group by group; mirrors `decoder.Opened.block` step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    LEVELS_PER_OCTAVE,
    UNIT_LEVEL,
    Encoder,
    bit_costs,
    encode_bits,
    encode_residuals,
)
from gscodec.geometry.rotation import is_disc, to_twist_swing
from gscodec.methods.hac.anchors import offset_columns
from gscodec.methods.hac.aside import OutlyingError
from gscodec.methods.hac.layout import context, floats
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.coding import Family
    from gscodec.fit.joint import Law
    from gscodec.intnet.context import Group
    from gscodec.methods.hac.layout import Model

    # Centres and steps in quanta, and levels of tables.
    Quanta = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]]

_NO_STEP = 1e-12
ROTATION = 2  # number of the group that depends on how scales were decoded


class BlockEncoder:
    """Chooses and codes the residuals of some rows, one group after the other."""

    def __init__(
        self,
        model: Model,
        layout: Sequence[tuple[Attribute, Group]],
        u: NDArray[np.int64],
        index: NDArray[np.int64],
        masks: NDArray[np.bool_] | None = None,
    ) -> None:
        """``u`` (rows, 3) are the positions as the grid sees them.

        ``index`` (rows,) says which primitives they are of those that were to be coded.
        ``masks`` (rows, K) say which offsets of anchors are coded; they are coded right away.
        """
        self._model, self._layout = model, layout
        self._context = context(model, self._layout, u)
        self._index, self._masks = index, masks
        self._encoders: dict[Attribute, Encoder] = {}
        self.values: list[NDArray[np.int64]] = []
        self.laws: list[Law] = []
        self._prediction: tuple[int, Quanta] | None = None
        if masks is not None and model.decisions is not None:
            encoder = self._encoders.setdefault(Attribute.MASK, Encoder())
            bits = masks.astype(np.int64)
            logits = model.decisions.logits(self._context.seen())
            encode_bits(encoder, bits.ravel(), logits.ravel())
            self._context.append(model.decisions.features(bits))

    def wanted(
        self, columns: Sequence[NDArray[np.float64]], quats: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Of the next group, from ``columns`` and ``quats`` of these rows.

        The decoder knows only the decoded scales: the axis of the twist follows them.
        """
        number = len(self.values)
        if quats is not None and number == ROTATION:
            return to_twist_swing(quats, is_disc(self.values[number - 1]))
        return columns[number]

    def code(
        self, wanted: NDArray[np.float64], log2_ideal: NDArray[np.float64], *, laws: bool
    ) -> None:
        """Codes ``wanted`` (rows, columns), the next group's values.

        ``log2_ideal`` (rows, steps) are the steps at which a bit is worth its error. With
        ``laws``, how each value is coded is kept.

        Raises:
            OutlyingError: Some primitives have values that integers do not hold.
        """
        from gscodec.fit.sensitivity import BIT_PRICE

        number = len(self.values)
        (attribute, group), model = self._layout[number], self._model.groups[number]
        centre, step, level = self._predicted()
        residual = (np.ldexp(wanted, model.fraction_bits) - centre) / step
        held = (np.abs(residual) < 2**30).all(axis=1)
        if not held.all():
            name = attribute.name.lower()
            reason, message = f"with {name} beyond integers", f"{name} has values too far apart"
            raise OutlyingError(self._index[~held], reason, message)
        ideal = np.exp2(log2_ideal[:, group.step_of] + np.array(group.step_offset) / 8)
        price = BIT_PRICE * (np.ldexp(ideal, model.fraction_bits) / step) ** 2
        whole = _cheapest(residual, level, model.family, price)
        encoder = self._encoders.setdefault(attribute, Encoder())
        values = centre + whole * step
        coded = np.ones(values.shape, dtype=np.bool_)
        if attribute is Attribute.OFFSET and self._masks is not None:
            coded = offset_columns(self._masks)
            values[~coded] = 0
        encode_residuals(encoder, whole[coded], level[coded], model.family)
        self.values.append(values)
        self._context.append(model.features(group, self.values[-1]))
        if laws:
            # What is not coded stays where it is: it has hardly a step.
            steps = np.where(coded, floats(step, model), _NO_STEP)
            middle = floats(np.where(coded, centre, 0), model)
            self.laws.append(_law(middle, steps, level))

    def next_law(self) -> Law:
        """How the next group will be coded, given those that are."""
        centre, step, level = self._predicted()
        model = self._model.groups[len(self.values)]
        return _law(floats(centre, model), floats(step, model), level)

    def _predicted(self) -> Quanta:
        """Of the next group: `GroupModel.predict`, once for its law and its code."""
        number = len(self.values)
        if self._prediction is None or self._prediction[0] != number:
            (_, group), model = self._layout[number], self._model.groups[number]
            self._prediction = (number, model.predict(group, self._context.seen()))
        return self._prediction[1]

    def decoded(self) -> NDArray[np.float64]:
        """What the last coded group decodes to, (rows, columns)."""
        return floats(self.values[-1], self._model.groups[len(self.values) - 1])

    def forget(self) -> None:
        """Gives the memory of the context back; no further group can be coded."""
        self._prediction = None
        del self._context

    def finish(self) -> list[tuple[Attribute, bytes]]:
        """The streams, one per attribute."""
        return [(a, encoder.finish()) for a, encoder in self._encoders.items()]


def _law(
    centre: NDArray[np.float64], step: NDArray[np.float64], level: NDArray[np.uint8]
) -> Law:
    from gscodec.fit.joint import Law

    sigma = step * np.exp2((level.astype(np.float64) - UNIT_LEVEL) / LEVELS_PER_OCTAVE)
    return Law(centre.astype(np.float32), step.astype(np.float32), sigma.astype(np.float32))


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
