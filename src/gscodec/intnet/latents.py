"""Latents on the levels of the octree, in integers (RALHE, sections 2.3 to 2.5).

On some depths of the octree every occupied cell, a *node*, has a few latents. They are coded
level by level, each after what contains it, and within a level in the turns of
`intnet.neighbours`: a small network sees the decoded latents around and those of the cell above,
and gives centre and spread of a Laplace law. A second network, the synthesis, sees at each node
of the finest level the latents of all levels there, and the means over the nodes that share a
face with it; what it gives is copied to the primitives of the node.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from gscodec.coding import (
    LEVELS,
    UNIT_LEVEL,
    Decoder,
    Encoder,
    Family,
    decode_naturals,
    decode_residuals,
    encode_naturals,
    encode_residuals,
    residual_bits,
)
from gscodec.errors import FormatError
from gscodec.intnet.context import OUTPUT_BITS
from gscodec.intnet.neighbours import TURNS, neighbours_of, seen_of
from gscodec.intnet.network import INPUT_MAX, decode_network, encode_network
from gscodec.payload import Attribute
from gscodec.slices import in_slices
from gscodec.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gscodec.intnet.network import Network

LATENT_BITS = 3  # a latent of one is 2**3 as an input
MAX_LATENT = INPUT_MAX >> LATENT_BITS  # magnitude that networks can tell
RUN = 1 << 13  # nodes whose neighbours are looked for together
# What a decoder accepts.
MAX_LEVELS = 4
MAX_CHANNELS = 8
MAX_FEATURES = 32  # of a primitive


class Nodes(Protocol):
    """The occupied cells of one depth of the octree, by rising code: `geometry.nodes.Nodes`."""

    def __len__(self) -> int:
        """How many."""

    def cells(self, rows: slice) -> NDArray[np.int64]:
        """(rows, 3) where some of them are, on the lattice of their depth."""

    def holding(self, deeper: Self, rows: slice) -> NDArray[np.int64]:
        """Those that hold some nodes ``deeper`` than these."""

    def faces(self, rows: slice) -> NDArray[np.int64]:
        """(rows, 6) those that share a face with each; itself where there is none."""


@dataclass(frozen=True)
class Seen:
    """A level as networks see it.

    Attributes:
        nodes: Where.
        inputs: (n, channels) int8 of their latents.
        bits: (n,) float32 that each node takes; nothing where nobody counts them.
    """

    nodes: Nodes
    inputs: NDArray[np.int8]
    bits: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def around(self) -> NDArray[np.int8]:
        """Means over the six nodes that share a face: (n, channels)."""
        means = np.empty_like(self.inputs)
        for rows in in_slices(len(means)):
            near = self.inputs[self.nodes.faces(rows)]
            means[rows] = near.sum(axis=1, dtype=np.int64) // near.shape[1]
        return means


@dataclass(frozen=True)
class Latents:
    """How a file codes its latents, and what becomes of them.

    Attributes:
        depths: Of the levels, rising; none if there are no latents.
        channels: Latents of a node.
        entropy: Networks of the levels, from context to laws.
        synthesis: From latents to what primitives know.
    """

    depths: tuple[int, ...]
    channels: int
    entropy: tuple[Network, ...]
    synthesis: tuple[Network, ...]

    @property
    def features(self) -> int:
        """Columns that primitives know of them."""
        return sum(network.outputs for network in self.synthesis)

    def law(
        self, level: int, context: NDArray[np.int8]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Centres and tables (rows, channels) of Laplace laws with steps of one."""
        network = self.entropy[level]
        out = network(context).astype(np.int64)
        one = network.shift + OUTPUT_BITS
        centre, spread = np.split(out, 2, axis=1)
        table = (spread >> (one - 3)) + UNIT_LEVEL  # tables are eighths of an octave apart
        rounded = (centre + (1 << one >> 1)) >> one
        return rounded, np.clip(table, 0, LEVELS - 1).astype(np.uint8)

    def synthesised(self, levels: Sequence[Seen]) -> NDArray[np.int8]:
        """What primitives know, by node of the finest of ``levels``: (n, features)."""
        finest, (network,) = levels[-1].nodes, self.synthesis
        pairs = [(level, level.around()) for level in levels]
        found = np.empty((len(finest), self.features), np.int8)
        for rows in in_slices(len(found)):
            parts = []
            for level, around in pairs:
                at = level.nodes.holding(finest, rows)
                parts += [level.inputs[at], around[at]]
            out = network(np.concatenate(parts, axis=1)) >> network.shift
            found[rows] = np.clip(out, -INPUT_MAX, INPUT_MAX)
        return found


def inputs_of(latents: NDArray[np.int64]) -> NDArray[np.int8]:
    """Latents as inputs of networks."""
    kept = np.clip(latents, -INPUT_MAX, INPUT_MAX) << LATENT_BITS
    seen: NDArray[np.int8] = np.clip(kept, -INPUT_MAX, INPUT_MAX).astype(np.int8)
    return seen


def latents_of(inputs: NDArray[np.int8]) -> NDArray[np.int64]:
    """Inverse of `inputs_of`, as far as networks see latents."""
    return inputs.astype(np.int64) >> LATENT_BITS


def turns_of(
    nodes: Nodes, inputs: NDArray[np.int8], above: Seen | None
) -> Iterator[tuple[slice, NDArray[np.int8]]]:
    """Rows that are coded together, and what an entropy network sees there: 3 columns a channel.

    A decoder fills the rows of ``inputs`` (nodes, channels) as they come; ``above`` is the
    level before.
    """
    unit = _unit(inputs.shape[1])
    for run in in_slices(len(nodes), RUN):
        around = neighbours_of(nodes.cells(run))
        parents = np.zeros_like(inputs[run])
        if above is not None:
            parents = above.inputs[above.nodes.holding(nodes, run)]
        for turn, near in zip(TURNS, around, strict=True):
            seen, _ = seen_of(unit, np.ascontiguousarray(inputs[run].T), near)
            rows = slice(run.start + turn.start, run.stop, turn.step)
            yield rows, np.concatenate([seen, parents[turn]], axis=1)


def _unit(channels: int) -> Unit:
    """The latents of a level."""
    return Unit(Attribute.LATENT, channels, (0,) * channels, (0,) * channels)


def encode_values(
    latents: Latents, levels: Sequence[Nodes], values: Sequence[NDArray[np.int64]]
) -> bytes:
    """Codes ``values`` (nodes, channels) of all ``levels``."""
    encoder, above = Encoder(), None
    for number, nodes in enumerate(levels):
        inputs = inputs_of(values[number])
        for rows, context in turns_of(nodes, inputs, above):
            centre, table = latents.law(number, context)
            residuals = values[number][rows] - centre
            encode_residuals(encoder, residuals.ravel(), table.ravel(), Family.LAPLACE)
        above = Seen(nodes, inputs)
    return encoder.finish()


def decode_values(
    data: bytes, latents: Latents, levels: Sequence[Nodes], *, counts: bool = False
) -> list[Seen]:
    """Inverse of `encode_values`, as networks see them; with bits if it ``counts`` them.

    Raises:
        FormatError: The stream is damaged.
    """
    decoder, found = Decoder(data), list[Seen]()
    for number, nodes in enumerate(levels):
        inputs = np.zeros((len(nodes), latents.channels), np.int8)
        bits = np.zeros(len(nodes) * counts, np.float32)
        for rows, context in turns_of(nodes, inputs, found[-1] if found else None):
            centre, table = latents.law(number, context)
            residuals = decode_residuals(decoder, table.ravel(), Family.LAPLACE)
            inputs[rows] = inputs_of(centre + residuals.reshape(centre.shape))
            if counts:
                each = residual_bits(residuals, table.ravel(), Family.LAPLACE)
                bits[rows] = each.reshape(centre.shape).sum(axis=1)
        found.append(Seen(nodes, inputs, bits))
    decoder.finish()
    return found


def encode_latents(encoder: Encoder, latents: Latents) -> None:
    """Codes depths, widths and networks."""
    sizes = [latents.channels, latents.features] if latents.depths else []
    encode_naturals(encoder, np.array([len(latents.depths)]))
    encode_naturals(encoder, np.array([*sizes, *latents.depths]))
    for network in (*latents.entropy, *latents.synthesis):
        encode_network(encoder, network)


def decode_latents(decoder: Decoder, position_bits: int) -> Latents:
    """Inverse of `encode_latents`.

    Raises:
        FormatError: A field is out of range.
    """
    levels = int(decode_naturals(decoder, 1)[0])
    if levels > MAX_LEVELS:
        raise FormatError(f"latents: found {levels} levels, expected at most {MAX_LEVELS}")
    if not levels:
        return Latents((), 0, (), ())
    channels, features, *depths = decode_naturals(decoder, 2 + levels).tolist()
    if not (1 <= channels <= MAX_CHANNELS and 1 <= features <= MAX_FEATURES):
        raise FormatError(
            f"latents: found {channels} of a node and {features} features, expected 1 to "
            f"{MAX_CHANNELS} and 1 to {MAX_FEATURES}"
        )
    if not all(a < b for a, b in pairwise([0, *depths, position_bits + 1])):
        raise FormatError(
            f"latents: found depths {depths}, expected them to rise from 1 to {position_bits}"
        )
    entropy = [decode_network(decoder, 3 * channels, 2 * channels) for _ in depths]
    synthesis = decode_network(decoder, 2 * channels * levels, features)
    return Latents(tuple(depths), channels, tuple(entropy), (synthesis,))
