"""Method `ralhe`: latents on the levels of the octree (Sridhara et al., RALHE).

Positions are coded losslessly. On some levels of their octree every occupied cell has a few
latents, coded by a small network from latents around and above; a synthesis network makes of
them what all primitives of a cell know (`intnet.latents`). On the finest level, that of the
primitives, latents are the residuals of their values: small networks predict step, centre and
spread of each unit, from what the synthesis gives, and from what is decoded around in earlier
turns (`learned.around`). Where this differs from the paper: docs/ralhe.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from gscodec.bitmap import Level
from gscodec.coding import Decoder, Encoder
from gscodec.geometry.nodes import Nodes
from gscodec.intnet.latents import (
    Latents,
    decode_latents,
    decode_values,
    encode_latents,
    latents_of,
)
from gscodec.learned.around import Around, AroundKnown, around_of, decode_around
from gscodec.learned.decoding import bit_map_of
from gscodec.learned.method import LearnedMethod
from gscodec.payload import Attribute, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.bitmap import BitMap
    from gscodec.fit.options import Options as LearnedOptions
    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Targets
    from gscodec.intnet.latents import Seen
    from gscodec.learned.decoding import Opened
    from gscodec.learned.model import Streams
    from gscodec.learned.networks import Known
    from gscodec.method import Progress
    from gscodec.payload import Payload
    from gscodec.units import Place, Unit


@dataclass(frozen=True)
class Model(Around):
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        latents: How they are coded.
        data: Their stream; what it says is known once positions are, see `placed`.
        finest: Nodes of the finest level; None where there are no latents, or no positions yet.
        made: (nodes, features) int8 of the synthesis.
    """

    latents: Latents
    data: bytes = field(repr=False)
    finest: Nodes | None = None
    made: NDArray[np.int8] | None = None

    @property
    def first(self) -> int:
        """Columns known before the first unit."""
        return super().first + self.latents.features

    def placed(self, place: Place) -> Model:
        """The same with its latents decoded, of the whole scene at ``place``.

        Raises:
            FormatError: Their stream is damaged.
        """
        nodes = [Nodes.of(place, depth) for depth in self.latents.depths]
        levels = decode_values(self.data, self.latents, nodes)
        if not levels:
            return self
        return replace(self, finest=nodes[-1], made=self.latents.synthesised(levels))

    def known(self, place: Place) -> Known:
        """Positions, where neighbours are, and what the synthesis makes of latents."""
        if self.finest is None or self.made is None:
            return AroundKnown(self, place)
        at = self.finest.of_codes(place.codes, place.bits)
        return AroundKnown(self, place, self.made[at])

    def streams(self) -> dict[Attribute, bytes]:
        """Networks and latents."""
        encoder = Encoder()
        encode_latents(encoder, self.latents)
        self.encode(encoder)
        return {Attribute.NETWORKS: encoder.finish(), Attribute.LATENT: self.data}


def read(streams: Streams, units: tuple[Unit, ...], position_bits: int) -> Model:
    """See `Model.streams`.

    Raises:
        FormatError: The stream of networks is damaged.
    """
    decoder = Decoder(streams[Attribute.NETWORKS, 0])
    latents = decode_latents(decoder, position_bits)
    around = decode_around(decoder, units, position_bits, latents.features)
    decoder.finish()
    return _model(around, latents, streams[Attribute.LATENT, 0])


def _model(around: Around, latents: Latents, data: bytes) -> Model:
    a = around
    return Model(a.box, a.usual, a.networks, a.gains, a.kept, latents, data)


def fit(
    work: Work,
    targets: Targets,
    options: LearnedOptions,
    share: float,
    progress: Callable[[float], None],
) -> Model:
    """Trains latents and networks for ``targets``, in ``share`` of the usual iterations."""
    from gscodec.fit.ralhe import learn

    place = work.place
    box, usual, learned, latents, data = learn(place, targets, options, share, progress)
    around = around_of(targets.units, box, usual, learned)
    return _model(around, latents, data).placed(place)


def spent(payload: Payload, progress: Progress, threads: int | None = None) -> BitMap:
    """Tells which bits each primitive takes; those of latents are shared in their cells."""
    opened = METHOD.opened(payload, progress)
    found, levels = bit_map_of(opened, progress, threads), _latents(opened, counts=True)
    if not levels:
        return found
    by_depth = {
        own.depth: _shared(own, level.bits, opened.place, len(found)) for own, level in levels
    }
    bits = {Attribute.LATENT: sum(by_depth.values(), np.zeros(len(found), np.float32))}
    shared = dict(found.shared)
    del shared[Attribute.LATENT]
    return replace(found, bits={**bits, **found.bits}, shared=shared, levels=by_depth)


def _shared(
    nodes: Nodes, bits: NDArray[np.float32], place: Place, count: int
) -> NDArray[np.float32]:
    """What each of ``count`` primitives takes of ``bits`` (n,); those after ``place`` nothing."""
    at = nodes.of_codes(place.codes, place.bits)
    each = bits / np.bincount(at)
    return np.pad(each[at], (0, count - len(at))).astype(np.float32)


def latents(payload: Payload, progress: Progress) -> list[Level]:
    """Of all levels, the coarsest first."""
    return [
        Level(nodes.depth, nodes.cells(slice(None)), latents_of(level.inputs))
        for nodes, level in _latents(METHOD.opened(payload, progress))
    ]


def _latents(opened: Opened, *, counts: bool = False) -> list[tuple[Nodes, Seen]]:
    model = cast("Model", opened.model)
    nodes = [Nodes.of(opened.place, depth) for depth in model.latents.depths]
    levels = decode_values(model.data, model.latents, nodes, counts=counts)
    return list(zip(nodes, levels, strict=True))


METHOD = LearnedMethod(
    Method.RALHE, "ralhe", (Attribute.NETWORKS, Attribute.LATENT), read, fit, Model.placed
)
Options, Given, require = METHOD.Options, METHOD.Given, METHOD.require
encode, decode = METHOD.encode, METHOD.decode
