"""From context, what is known of primitives, to how the next unit is coded; in integers.

A unit is a few columns of one attribute (say, the three log-scales). All its numbers are
integers in units of a quantum, 2**-fraction_bits. For each primitive a network looks at the
context (position, hash grid, every unit decoded before) and gives, per column,

    step    index into the table of steps: step = STEPS[index] quanta
    centre  the value expected, in quanta
    spread  expected deviation from it, as log2 standard deviation

and the value is centre + k * step with a coded integer k, whose table is chosen by
spread / step. Steps stay inside (0, 2 Q0) as in HAC, eq. 5, Q0 being the unit's base step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    LEVELS,
    LEVELS_PER_OCTAVE,
    LOGIT_UNIT,
    UNIT_LEVEL,
    Decoder,
    Encoder,
    Family,
    decision_classes,
    decode_naturals,
    encode_naturals,
)
from gscodec.errors import FormatError
from gscodec.intnet.network import (
    INPUT_MAX,
    Network,
    decode_network,
    encode_network,
)
from gscodec.slices import in_slices
from gscodec.units import NARROW_CENTRE, Law

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.units import Quanta, Unit

Q0_INDEX = 80  # the step index of Q0 in every unit: 2**13 quanta
STEP_COUNT = Q0_INDEX + LEVELS_PER_OCTAVE  # steps stay below 2 * Q0
SMALLEST_STEP_LOG2 = 3
# Steps in quanta: 8 * 2**(i / 8), rounded. Integers, hence the same everywhere; the rounding
# of the generating float is far from any half (tests compare with exact arithmetic).
STEPS = np.array(
    [round(2.0 ** (SMALLEST_STEP_LOG2 + i / LEVELS_PER_OCTAVE)) for i in range(STEP_COUNT)],
    dtype=np.int16,
)
OUTPUT_BITS = 5  # activations are in units of 2**-5
_LOGIT_BITS = LOGIT_UNIT.bit_length() - 1
_MAX_LEAD = 24  # log2 of the unit of narrow centres: neighbours move them by less than 2**27
FINE_SHIFT = 3  # the second, finer feature of a column: eight times the first


@dataclass(frozen=True)
class UnitModel:
    """What one file says about a unit.

    Attributes:
        family: Shape of the likelihood.
        fraction_bits: A quantum is 2**-fraction_bits.
        mean: Typical value, quanta.
        log2_unit: A unit of the network's inputs and outputs is 2**log2_unit quanta.
        step_bias: Added to the network's step index.
        network: From the context to its numbers.
    """

    family: Family
    fraction_bits: int
    mean: int
    log2_unit: int
    step_bias: int
    network: Network

    def law(self, unit: Unit, context: NDArray[np.int8]) -> Law:
        """How ``unit`` is coded, given what is known, (M, inputs)."""
        shape = (unit.columns, len(context))
        centre = np.empty(shape, np.int32 if self.narrow else np.int64)
        step, table = np.empty(shape, np.int16), np.empty(shape, np.uint8)
        for rows in in_slices(len(context)):
            found = self._predict(unit, context[rows])
            centre[:, rows], step[:, rows], table[:, rows] = found
        return Law(centre.T, step.T, table.T, self.family)

    @property
    def narrow(self) -> bool:
        """Whether centres are 32 bits wide, see `units.Law`."""
        most = self.network.farthest << max(0, self.log2_unit - self._one)
        return self.log2_unit <= _MAX_LEAD and most + abs(self.mean) < NARROW_CENTRE

    @property
    def _one(self) -> int:
        """Bits of the fraction of the network's outputs."""
        return self.network.shift + OUTPUT_BITS

    def floats(self, quanta: NDArray[np.signedinteger]) -> NDArray[np.float64]:
        """``quanta`` in the unit of the values: exact, they are below 2**53."""
        floats: NDArray[np.float64] = quanta.astype(np.float64)
        floats *= 2.0**-self.fraction_bits
        return floats

    def _predict(
        self, unit: Unit, context: NDArray[np.int8]
    ) -> tuple[Quanta, NDArray[np.int16], NDArray[np.int32]]:
        """Centres, steps and tables, (columns, rows) each."""
        out, one = self.network(context).T, self._one
        kinds, kind_of = kinds_of_steps(unit)
        index = out[[step for step, _ in kinds]] >> (one - 3)
        index += np.array([[self.step_bias + offset] for _, offset in kinds], np.int32)
        step = STEPS.take(np.clip(index, 0, STEP_COUNT - 1, out=index))
        centre: Quanta = out[unit.steps : unit.steps + unit.columns]
        centre = shifted(
            centre if self.narrow else centre.astype(np.int64), self.log2_unit - one
        )
        centre += self.mean
        # Tables are eighths of an octave apart: spread in units, step in quanta of 2**3 and up.
        table = out[unit.steps + unit.columns :] >> (one - 3)
        index -= LEVELS_PER_OCTAVE * (self.log2_unit - SMALLEST_STEP_LOG2) + UNIT_LEVEL
        table -= index[kind_of]
        return centre, step[kind_of], np.clip(table, 0, LEVELS - 1, out=table)

    def features(self, unit: Unit, values: Quanta) -> NDArray[np.int8]:
        """What later units see of ``values`` (M, columns): (M, features), -127 .. 127."""
        seen = np.empty((unit.features, len(values)), np.int8)
        for rows in in_slices(len(values)):
            offset = values[rows].T - self.mean
            for first in range(0, unit.features, unit.columns):
                bits = OUTPUT_BITS + (FINE_SHIFT if first else 0) - self.log2_unit
                own = shifted(offset.astype(np.int64) if bits > 0 else offset, bits)
                seen[first : first + unit.columns, rows] = np.clip(
                    own, -INPUT_MAX, INPUT_MAX, out=own
                )
        return seen.T


@cache
def kinds_of_steps(unit: Unit) -> tuple[list[tuple[int, int]], list[int]]:
    """Step outputs with what is added to each, and which of them each column uses."""
    own = list(zip(unit.step_of, unit.step_offset, strict=True))
    kinds = list(dict.fromkeys(own))
    return kinds, [kinds.index(kind) for kind in own]


def shifted(values: Quanta, bits: int) -> Quanta:
    """``values`` times 2**bits, rounded down, of the same type."""
    return values >> -bits if bits < 0 else values << bits


@dataclass(frozen=True)
class DecisionModel:
    """How yes-or-no decisions are coded: a probability for each column.

    Attributes:
        network: One output per column, its logit.
    """

    network: Network

    def law(self, unit: Unit, context: NDArray[np.int8]) -> Law:
        """Which table codes each decision of ``unit``, given what is known, (M, inputs)."""
        shape = (len(context), unit.columns)
        classes = decision_classes(self.logits(context))
        return Law(np.zeros(shape, np.int64), np.ones(shape, np.int16), classes, None)

    def logits(self, context: NDArray[np.int8]) -> NDArray[np.float32]:
        """Logits (M, columns) of a one, integers in 1 / `LOGIT_UNIT` nat."""
        logits = self.network(context)
        logits >>= self.network.shift + OUTPUT_BITS - _LOGIT_BITS
        return logits.astype(np.float32)  # exact: below 2**24

    @staticmethod
    def floats(quanta: NDArray[np.signedinteger]) -> NDArray[np.float64]:
        """Decisions are what they are."""
        return quanta.astype(np.float64)

    @staticmethod
    def features(unit: Unit, decisions: NDArray[np.integer]) -> NDArray[np.int8]:  # noqa: ARG004
        """What later units see of ``decisions`` (M, columns): one step of the inputs for a one."""
        return decisions.astype(np.int8) << OUTPUT_BITS


AnyModel = UnitModel | DecisionModel

# What a decoder accepts. With these limits every number below stays under 2**59: a centre
# under 2**49 + MAX_MEAN quanta, an escaped residual under 2**32 steps of less than 2**14.
MAX_FRACTION_BITS = 60
MAX_LOG2_UNIT = 30
MAX_STEP_BIAS = 128  # magnitude
MAX_MEAN = 1 << 40  # magnitude, quanta


def encode_model(encoder: Encoder, model: AnyModel) -> None:
    """Codes the fields in order; signed ones as zigzag naturals, the mean in two halves."""
    if isinstance(model, DecisionModel):
        encode_network(encoder, model.network)
        return
    encode_constants(encoder, model)
    encode_network(encoder, model.network)


def encode_constants(encoder: Encoder, model: UnitModel) -> None:
    """Codes all fields but the network."""
    mean = _zigzag(model.mean)
    fields = [
        int(model.family),
        model.fraction_bits,
        model.log2_unit,
        _zigzag(model.step_bias),
        mean & 0xFFFFF,
        mean >> 20,
    ]
    encode_naturals(encoder, np.array(fields))


def decode_model(decoder: Decoder, unit: Unit, inputs: int) -> AnyModel:
    """Inverse of `encode_model` for a network of ``inputs`` inputs.

    Raises:
        FormatError: A field is out of range.
    """
    if unit.decides:
        return DecisionModel(decode_network(decoder, inputs, unit.outputs))
    constants = decode_constants(decoder)
    return constants.model(decode_network(decoder, inputs, unit.outputs))


@dataclass(frozen=True)
class Constants:
    """A `UnitModel` without its network."""

    family: Family
    fraction_bits: int
    mean: int
    log2_unit: int
    step_bias: int

    def model(self, network: Network) -> UnitModel:
        """With it."""
        return UnitModel(
            self.family, self.fraction_bits, self.mean, self.log2_unit, self.step_bias, network
        )


def decode_constants(decoder: Decoder) -> Constants:
    """Inverse of `encode_constants`.

    Raises:
        FormatError: A field is out of range.
    """
    family, fraction, log2_unit, bias, low, high = decode_naturals(decoder, 6).tolist()
    step_bias, mean = _unzigzag(bias), _unzigzag(low | high << 20)
    for name, value, limit in (
        ("table family", family, max(Family)),
        ("fraction bits", fraction, MAX_FRACTION_BITS),
        ("log2 unit", log2_unit, MAX_LOG2_UNIT),
        ("step bias", step_bias, MAX_STEP_BIAS),
        ("low half of the mean", low, (1 << 20) - 1),
        ("mean", mean, MAX_MEAN),
    ):
        if abs(value) > limit:
            raise FormatError(f"group model: {name} {value}, expected at most {limit}")
    return Constants(Family(family), fraction, mean, log2_unit, step_bias)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(natural: int) -> int:
    return -(natural + 1) // 2 if natural & 1 else natural // 2
