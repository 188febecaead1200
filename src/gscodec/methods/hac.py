"""Method `hac`: hash-grid assisted context (Chen et al., ECCV 2024).

Positions are coded losslessly on a lattice. A binary hash grid and small integer networks then
predict, from the position and from everything decoded before, the step, the centre and the
spread of each unit of values; residuals are range coded. Every number between the bytes and the
symbols is an integer. Where this differs from the paper: docs/hac.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Decoder, Encoder
from gscodec.geometry import morton
from gscodec.intnet.box import POSITION_FEATURES, position_features
from gscodec.intnet.hashgrid import decode_grid, encode_grid
from gscodec.learned.method import LearnedMethod
from gscodec.learned.networks import Known, Networks
from gscodec.payload import Attribute, Method
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gscodec.fit.options import Options as LearnedOptions
    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Target
    from gscodec.intnet.box import Box
    from gscodec.intnet.hashgrid import HashGrid
    from gscodec.learned.model import Streams
    from gscodec.units import Place, Unit


@dataclass(frozen=True)
class Model:
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        grid: Binary hash grid.
        box: The part of the lattice that it covers.
        networks: Of all units.
    """

    grid: HashGrid
    box: Box
    networks: Networks

    @property
    def width(self) -> int:
        """Columns of what is known in the end."""
        return POSITION_FEATURES + self.grid.features + self.networks.features

    def known(self, place: Place) -> Known:
        """Positions and what the grid has there."""
        first = np.empty((len(place.codes), POSITION_FEATURES + self.grid.features), np.int8)
        for rows in in_slices(len(first)):
            u = self.box.normalise(morton.decode(place.codes[rows]))
            first[rows, :POSITION_FEATURES] = position_features(u)
            first[rows, POSITION_FEATURES:] = self.grid(u)
        return Known(self.networks, first)

    def streams(self) -> dict[Attribute, bytes]:
        """Networks and grid."""
        networks, grid = Encoder(), Encoder()
        self.networks.encode(networks)
        encode_grid(grid, self.grid, self.box)
        return {Attribute.NETWORKS: networks.finish(), Attribute.GRID: grid.finish()}

    def at(self, ratio: float) -> Model:
        """Coarser steps for ``ratio`` times the lambda."""
        return replace(self, networks=self.networks.at(ratio))

    def farthest_mean(self) -> int:
        """Magnitude, quanta."""
        return self.networks.farthest_mean()


def read(streams: Streams, units: tuple[Unit, ...], position_bits: int) -> Model:
    """Grid first: its width decides how many inputs the networks have.

    Raises:
        FormatError: A stream is damaged.
    """
    decoder = Decoder(streams[Attribute.GRID, 0])
    grid, box = decode_grid(decoder, position_bits)
    decoder.finish()
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    networks = Networks.decode(decoder, units, POSITION_FEATURES + grid.features)
    decoder.finish()
    return Model(grid, box, networks)


def fit(
    work: Work,
    targets: Sequence[Target],
    options: LearnedOptions,
    share: float,
    progress: Callable[[float], None],
) -> Model:
    """Trains grid and networks for ``targets``, in ``share`` of the usual iterations."""
    from gscodec.fit.hac import learn

    box, learned = learn(work.cells, targets, options, share, progress)
    units = tuple(target.unit for target in targets)
    return Model(learned.grid, box, Networks(units, learned.models))


METHOD = LearnedMethod(
    Method.HAC, "hac", (Attribute.NETWORKS, Attribute.GRID), read, fit, torch=True
)
Options, Given, require = METHOD.Options, METHOD.Given, METHOD.require
encode, decode, spent = METHOD.encode, METHOD.decode, METHOD.spent
