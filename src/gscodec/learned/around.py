"""Decoded neighbours as context: what one file of hemgs, or of ralhe, says about them.

The primitives of a block are coded in turns, each turn sees the nearest ones of earlier turns
(`intnet.neighbours`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from gscodec.coding import (
    Encoder,
    decode_fitted,
    decode_naturals,
    encode_fitted,
    encode_naturals,
)
from gscodec.errors import FormatError
from gscodec.geometry import morton
from gscodec.intnet.box import Box
from gscodec.intnet.context import (
    OUTPUT_BITS,
    DecisionModel,
    UnitModel,
    decode_constants,
    decode_model,
    encode_constants,
    encode_model,
    shifted,
)
from gscodec.intnet.neighbours import (
    FIRST,
    GAIN_BITS,
    MAX_GAIN,
    NEAREST,
    TURNS,
    WEIGHT_BITS,
    columns_of,
    first_of,
    neighbours_of,
    seen_of,
)
from gscodec.intnet.prior import decode_changes, encode_changes, rate_of
from gscodec.learned.networks import Known, Networks
from gscodec.payload import Attribute, Stream, weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder
    from gscodec.fit.hemgs import Learned
    from gscodec.intnet.context import AnyModel
    from gscodec.intnet.prior import Prior, Shared
    from gscodec.units import Law, Place, Quanta, Unit

_MAX_USUAL = 1 << 11  # of `octaves`: no distance of a lattice has more
# From gain times mean of neighbours to a unit of a network.
_LEAD_BITS = GAIN_BITS + OUTPUT_BITS + WEIGHT_BITS
_SHARES = 2  # flag of a unit that says what it adds to a prior
_NEIGHBOUR_BYTES = 18 * NEAREST  # index and weight, these repeated, of all neighbours of a row


@dataclass(frozen=True)
class Around:
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        box: The part of the lattice that networks see positions in.
        usual: Typical distance, `intnet.neighbours.octaves`.
        networks: Of all units.
        gains: For each unit, (columns,) int64: how much of the neighbours' mean its centre
            has, besides what the network says; nothing for decisions.
        kept: For each unit, whether later ones see its neighbours, too.
        prior: Networks that those of the first units may be told apart from.
    """

    box: Box
    usual: int
    networks: Networks
    gains: tuple[NDArray[np.int64], ...]
    kept: tuple[bool, ...]
    prior: Prior | None = field(default=None, kw_only=True)

    @property
    def first(self) -> int:
        """Columns known before the first unit."""
        return FIRST

    @property
    def spare(self) -> int:
        """Columns of neighbours at most."""
        own = [columns_of(unit) for unit in self.networks.units]
        return sum(n for n, kept in zip(own, self.kept, strict=True) if kept) + max(own)

    @property
    def width(self) -> int:
        """Bytes of what is known of a primitive in the end."""
        return self.first + self.networks.features + self.spare + _NEIGHBOUR_BYTES

    def known(self, place: Place) -> Known:
        """Positions, and where neighbours are."""
        return AroundKnown(self, place)

    def streams(self) -> dict[Attribute, bytes]:
        """Of everything, and of the prior where it is worth its name."""
        own = Encoder()
        replace(self, prior=None).encode(own)
        data = own.finish()
        if self.prior is not None:
            encoder = Encoder()
            self.encode(encoder)
            told, stream = encoder.finish(), self.prior.stream()
            if weight([Stream(Attribute.PRIOR, 0, stream)]) + len(told) < len(data):
                return {Attribute.NETWORKS: told, Attribute.PRIOR: stream}
        return {Attribute.NETWORKS: data}

    def encode(self, encoder: Encoder) -> None:
        """Codes what this class has."""
        encode_naturals(encoder, np.array([*self.box.low, self.box.edge, self.usual]))
        for number in range(len(self.kept)):
            shared = self._shared(number)
            ways = [False] if shared is None else [False, True]
            changes = min(ways, key=lambda way: self._size(number, changes=way))
            self._encode_unit(encoder, number, changes=changes)

    def _size(self, number: int, *, changes: bool) -> int:
        """Bytes of a unit on its own."""
        encoder = Encoder()
        self._encode_unit(encoder, number, changes=changes)
        return len(encoder.finish())

    def _encode_unit(self, encoder: Encoder, number: int, *, changes: bool) -> None:
        """Codes a unit; with ``changes`` what it adds to the prior."""
        model, gains, shared = self.networks.models[number], self.gains[number], None
        if changes:
            shared = self._shared(number)
        encode_naturals(encoder, np.array([self.kept[number] + _SHARES * changes]))
        if isinstance(model, DecisionModel):
            encode_model(encoder, model)
        elif shared is None:
            encode_fitted(encoder, gains)
            encode_model(encoder, model)
        else:
            encode_fitted(encoder, gains - shared.gains)
            encode_constants(encoder, model)
            encode_changes(encoder, model.network, shared.of(model))

    def _shared(self, number: int) -> Shared | None:
        """What the prior says about a unit, if its networks see the same and are as wide."""
        if self.prior is None or number >= len(self.prior.shared):
            return None
        shared, own = self.prior.shared[number], self.networks.models[number].network
        return shared if own.is_like(shared.network) else None

    def at(self, ratio: float) -> Self:
        """Coarser steps for ``ratio`` times the lambda; networks of a prior see the new rate."""
        networks = self.networks.at(ratio)
        models = list(networks.models)
        for number, (old, new) in enumerate(zip(self.networks.models, models, strict=True)):
            shared = self._shared(number)
            if shared is not None and isinstance(old, UnitModel) and isinstance(new, UnitModel):
                models[number] = replace(new, network=shared.moved(old, new))
        return replace(self, networks=replace(networks, models=tuple(models)))

    def farthest_mean(self) -> int:
        """Magnitude, quanta."""
        return self.networks.farthest_mean()


def around_of(
    units: tuple[Unit, ...],
    box: Box,
    usual: int,
    learned: Learned,
    prior: Prior | None = None,
) -> Around:
    """What `fit.hemgs.learn` gives for ``units``."""
    networks = Networks(units, learned.models)
    return Around(box, usual, networks, learned.gains, learned.kept, prior=prior)


def known(model: object, units: tuple[Unit, ...]) -> Learned | None:
    """What a training of ``units`` may go on from: of a ``model`` of the same ones."""
    from gscodec.fit.hemgs import Learned

    if not isinstance(model, Around) or model.networks.units != units:
        return None
    return Learned(model.networks.models, model.gains, model.kept)


class AroundKnown(Known):
    """With neighbours of earlier turns."""

    turns = TURNS

    def __init__(
        self, model: Around, place: Place, more: NDArray[np.int8] | None = None
    ) -> None:
        """``more`` (rows, columns) is what else is known before the first unit."""
        cells = morton.decode(place.codes)
        self._model = model
        around = neighbours_of(cells)
        first = first_of(cells, around, model.box, model.usual)
        if more is not None:
            first = np.concatenate([first, more], axis=1)
        super().__init__(model.networks, first, model.spare)
        moved = np.empty(len(cells), np.int64)
        for rows, place_of in zip(self.turns, self._places(), strict=True):
            moved[rows] = np.arange(place_of.start, place_of.stop)
        self._around = [replace(one, index=moved.take(one.index)) for one in around]
        self._features = self._empty()

    def _empty(self) -> NDArray[np.int8]:
        """What is decoded of the unit at hand, as neighbours see it: (columns, block)."""
        return np.zeros((self.unit.columns, self._columns.shape[1]), np.int8)

    def predicted(self) -> Law:
        """Networks see neighbours' values of the unit; centres follow their mean as well."""
        unit, model = self.unit, self.model
        earlier = max(self._places()[self._turn].start, 1)
        seen, means = seen_of(unit, self._features[:, :earlier], self._around[self._turn])
        self._put(self._used, seen)
        law = self._law_after(self._used + seen.shape[1])
        if isinstance(model, UnitModel):
            gains = self._model.gains[self.number].astype(law.centre.dtype)
            lead = shifted(means.T * gains[:, None], model.log2_unit - _LEAD_BITS)
            np.add(law.centre.T, lead, out=law.centre.T)
        return law

    @property
    def _kept(self) -> int:
        """Columns of the neighbours of the unit at hand that later ones see."""
        return columns_of(self.unit) if self._model.kept[self.number] else 0

    def _decoded(self, values: Quanta) -> None:
        own = self.model.features(self.unit, values)
        self._features[:, self._places()[self._turn]] = own[:, : self.unit.columns].T
        self._put(self._used + self._kept, own)

    def _finish(self, values: Quanta) -> None:
        self._used += self._kept
        super()._finish(values)
        if self.number < len(self._model.kept):
            self._features = self._empty()


def decode_around(
    decoder: Decoder,
    units: tuple[Unit, ...],
    position_bits: int,
    more: int = 0,
    prior: Prior | None = None,
) -> Around:
    """Inverse of `Around.encode`, for ``more`` columns beside those of places.

    Raises:
        FormatError: A field is out of range.
    """
    x, y, z, edge, usual = decode_naturals(decoder, 5).tolist()
    size = 1 << position_bits
    box = Box((x, y, z), edge)
    if not box.fits(size) or usual > _MAX_USUAL:
        raise FormatError(
            f"networks: box ({x}, {y}, {z}) + {edge} and distance {usual}, expected inside "
            f"{size} cells and at most {_MAX_USUAL}"
        )
    width, kept, gains = FIRST + more, [], []
    models: list[AnyModel] = []
    shared = () if prior is None else prior.shared
    for number, unit in enumerate(units):
        (flags,) = decode_naturals(decoder, 1).tolist()
        if flags >= 2 * _SHARES or (flags >= _SHARES and number >= len(shared)):
            raise FormatError(
                f"networks: flag {flags}, expected at most 1, or 3 of the first {len(shared)} "
                "units, which a prior has"
            )
        inputs = width + columns_of(unit)
        model: AnyModel
        if flags >= _SHARES:
            gain, model = _decode_shared(decoder, shared[number], inputs)
        else:
            gain = np.zeros(0, np.int64)
            if not unit.decides:
                gain = decode_fitted(decoder, unit.columns)
            model = decode_model(decoder, unit, inputs)
        if np.abs(gain).max(initial=0) > MAX_GAIN:
            raise FormatError(
                f"networks: gains up to {np.abs(gain).max()}, expected at most {MAX_GAIN}"
            )
        models.append(model)
        kept.append(bool(flags & 1))
        width += unit.features + kept[-1] * columns_of(unit)
        gains.append(gain)
    networks = Networks(units, tuple(models))
    return Around(box, usual, networks, tuple(gains), tuple(kept), prior=prior)


def _decode_shared(
    decoder: Decoder, shared: Shared, inputs: int
) -> tuple[NDArray[np.int64], UnitModel]:
    """Gains and model of a unit that a prior has, with ``inputs`` in this file."""
    if inputs != shared.network.inputs:
        raise FormatError(
            f"networks: {inputs} inputs, expected {shared.network.inputs} as the prior has"
        )
    gains = shared.gains + decode_fitted(decoder, shared.unit.columns)
    constants = decode_constants(decoder)
    start = shared.at(rate_of(constants.log2_unit, constants.step_bias))
    return gains, constants.model(decode_changes(decoder, start))
