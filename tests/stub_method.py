"""A method in a few lines: every unit is coded by its position alone, each by one linear layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.coding import Decoder, Encoder
from gscodec.geometry import morton
from gscodec.intnet.context import DecisionModel, UnitModel, decode_model
from gscodec.intnet.network import Layer, Network
from gscodec.learned.method import LearnedMethod
from gscodec.learned.networks import Known, Networks
from gscodec.payload import Attribute, Method

if TYPE_CHECKING:
    from gscodec.units import Law, Place


class _ByPosition(Known):
    def law(self) -> Law:
        return (
            self.model.law(self.unit, self._columns[:3].T) if self._law is None else self._law
        )


@dataclass(frozen=True)
class Model:
    networks: Networks

    @property
    def width(self) -> int:
        return 3 + self.networks.features

    def known(self, place: Place) -> Known:
        cells = morton.decode(place.codes) >> max(0, place.bits - 7)
        return _ByPosition(self.networks, cells.astype(np.int8))

    def streams(self) -> dict[Attribute, bytes]:
        encoder = Encoder()
        self.networks.encode(encoder)
        return {Attribute.NETWORKS: encoder.finish()}

    def at(self, ratio: float) -> Model:
        return replace(self, networks=self.networks.at(ratio))

    def farthest_mean(self) -> int:
        return max(int(abs(getattr(m, "mean", 0))) for m in self.networks.models)


def _read(streams: Any, units: Any, bits: int) -> Model:  # noqa: ARG001
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    models = tuple(decode_model(decoder, unit, 3) for unit in units)
    decoder.finish()
    return Model(Networks(units, models))


def _fit(work: Any, targets: Any, options: Any, share: float, progress: Any) -> Model:  # noqa: ARG001
    from gscodec.fit.targets import scaling

    models: list[Any] = []
    for target in targets:
        weights = np.zeros((3, target.unit.outputs), np.float32)
        network = Network((Layer(weights, weights[0]),), 6)
        if target.unit.decides:
            models.append(DecisionModel(network))
        else:
            fraction, mean, unit, bias = scaling(target)
            models.append(UnitModel(target.family, fraction, mean, unit, bias, network))
    return Model(Networks(tuple(target.unit for target in targets), tuple(models)))


METHOD = LearnedMethod(Method.RALHE, "stub-law", (Attribute.NETWORKS,), _read, _fit)
Options, Given, require = METHOD.Options, METHOD.Given, METHOD.require
encode, decode, spent = METHOD.encode, METHOD.decode, METHOD.spent
