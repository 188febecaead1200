"""Float weights to integer networks; numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError, FormatError
from gscodec.fit.targets import UNIT, Scaled
from gscodec.intnet.context import OUTPUT_BITS, DecisionModel, UnitModel
from gscodec.intnet.network import Layer, Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.coding import Family
    from gscodec.intnet.context import AnyModel
    from gscodec.units import Unit

WEIGHT_SHIFT = 6
LAYERS = 3
_HALF_BIN = 1 / 16  # octaves: half of what floor() loses in steps and spreads


def unit_of(number: int) -> int:
    """What weights (even ``number``) and biases (odd) have so many to one of, as integers."""
    return 1 << (WEIGHT_SHIFT + OUTPUT_BITS * (number % 2))


def integer_network(real: Sequence[NDArray[np.float64]]) -> Network:
    """``real`` (weight, bias by layer) in 2**-shift, as fine as float32 stays exact."""
    for shift in range(WEIGHT_SHIFT, -1, -1):
        layers = tuple(
            Layer(
                np.rint(real[n] * 2.0**shift).astype(np.float32),
                np.rint(real[n + 1] * (UNIT << shift)).astype(np.float32),
            )
            for n in range(0, 2 * LAYERS, 2)
        )
        try:
            return Network(layers, shift)
        except FormatError as error:
            reason = str(error)
    raise CannotCodeError(f"the trained networks do not fit into integers ({reason})")


def real_weights(unit: Unit, network: Network) -> list[NDArray[np.float64]]:
    """Weights and biases by layer of which `integer_model` of ``unit`` makes ``network``."""
    real = []
    for layer in network.layers:
        real.append(layer.weights.astype(np.float64) * 2.0**-network.shift)
        real.append(layer.bias.astype(np.float64) / (UNIT << network.shift))
    real[-1][: unit.steps] -= _HALF_BIN
    real[-1][unit.steps + unit.columns :] -= _HALF_BIN
    return real


def integer_model(
    unit: Unit, family: Family, scaled: Scaled | None, weights: Sequence[NDArray[np.float64]]
) -> AnyModel:
    """A network as integers, with the constants of its ``unit``; decisions have none."""
    if scaled is None:
        return DecisionModel(integer_network(weights))
    steps, columns = unit.steps, unit.columns
    weights[-1][:steps] += _HALF_BIN
    weights[-1][steps + columns :] += _HALF_BIN
    constants = (scaled.fraction, scaled.mean, scaled.log2_unit, scaled.bias)
    return UnitModel(family, *constants, integer_network(weights))
