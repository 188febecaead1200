"""A second decoder of method ralhe, written from format-spec.md: slow, nothing of gscodec.

What it shares with hemgs is in `reference_hemgs`. Importing this module adds the method to
`reference_decoder.METHODS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_decoder import METHODS, RangeDecoder, naturals, need
from reference_hac import (
    NETWORKS,
    Learned,
    Network,
    clamp,
    decode_learned,
    decode_network,
    decode_values,
    fractions_of,
)
from reference_hemgs import TURNS, decode_block, decode_parts, look, neighbours

if TYPE_CHECKING:
    from reference_decoder import Arrays, File
    from reference_hac import BlockDecoder, Decided, Group, Point, Streams, Values

LATENT = 18
RUN = 8192

# --- Latents of ralhe in the networks stream -------------------------------------------------


@dataclass
class Latents:
    """What a file says about its latents; no synthesis where there are no levels."""

    depths: list[int]
    channels: int
    features: int
    entropy: list[Network]
    synthesis: Network | None


def decode_head(decoder: RangeDecoder, position_bits: int) -> Latents:
    """The start of the networks stream."""
    (levels,) = naturals(decoder, 1)
    need(levels <= 4, "levels")
    if not levels:
        return Latents([], 0, 0, [], None)
    channels, features, *depths = naturals(decoder, 2 + levels)
    need(1 <= channels <= 8, "channels")
    need(1 <= features <= 32, "features")
    need(depths == sorted(set(depths)), "depths")
    need(depths[0] >= 1 and depths[-1] <= position_bits, "depths")
    entropy = [decode_network(decoder, 3 * channels, 2 * channels) for _ in depths]
    synthesis = decode_network(decoder, 2 * channels * levels, features)
    return Latents(depths, channels, features, entropy, synthesis)


# --- Nodes -----------------------------------------------------------------------------------


def code_of(cell: Point) -> int:
    """Of Morton."""
    return sum(
        (cell[axis] >> bit & 1) << (3 * bit + axis) for bit in range(21) for axis in range(3)
    )


def ancestor(cell: Point, levels: int) -> Point:
    """The cell so many levels above."""
    x, y, z = cell
    return x >> levels, y >> levels, z >> levels


def nodes_of(cells: list[Point], levels: int) -> list[Point]:
    """The occupied cells so many levels above ``cells``, by rising code."""
    return sorted({ancestor(cell, levels) for cell in cells}, key=code_of)


# --- Latent stream ---------------------------------------------------------------------------

Inputs = dict["Point", list[int]]  # of the latents of each node


def decode_level(
    decoder: RangeDecoder, latents: Latents, level: int, nodes: list[Point], above: Inputs
) -> Inputs:
    """Of all nodes of a level; ``above`` is the level before, or empty."""
    network, channels = latents.entropy[level], latents.channels
    one = network.shift + 5
    found: Inputs = {}
    for start in range(0, len(nodes), RUN):
        run = nodes[start : start + RUN]
        own: list[list[int]] = [[] for _ in run]
        for first, step, nearest, apart in TURNS:
            rows = range(first, len(run), step)
            laws = []
            for p in rows:
                around = neighbours(run, p, nearest, apart)
                seen, _ = look(own, channels, around, fine=False)
                out = network.outputs(seen + held(latents, level, run[p], above))
                laws.append(
                    [
                        (
                            (out[n] + (1 << (one - 1))) >> one,
                            1,
                            clamp((out[channels + n] >> (one - 3)) + 36, 0, 87),
                        )
                        for n in range(channels)
                    ]
                )
            coded = [[True] * channels for _ in rows]
            for p, row in zip(rows, decode_values(decoder, 1, laws, coded), strict=True):
                own[p] = [clamp(8 * latent, -127, 127) for latent in row]
        found.update(zip(run, own, strict=True))
    return found


def held(latents: Latents, level: int, node: Point, above: Inputs) -> list[int]:
    """Inputs of the node of the level before that holds ``node``."""
    if not level:
        return [0] * latents.channels
    return above[ancestor(node, latents.depths[level] - latents.depths[level - 1])]


def decode_latents(
    data: bytes, latents: Latents, cells: list[Point], bits: int
) -> list[Inputs]:
    """Of all levels."""
    decoder, found = RangeDecoder(data), list[Inputs]()
    for level, depth in enumerate(latents.depths):
        nodes = nodes_of(cells, bits - depth)
        above = found[-1] if found else {}
        found.append(decode_level(decoder, latents, level, nodes, above))
    decoder.finish()
    return found


# --- Synthesis -------------------------------------------------------------------------------


def around_of(inputs: Inputs, node: Point) -> list[int]:
    """Means over the six faces."""
    x, y, z = node
    faces = [
        (x + 1, y, z),
        (x - 1, y, z),
        (x, y + 1, z),
        (x, y - 1, z),
        (x, y, z + 1),
        (x, y, z - 1),
    ]
    rows = [inputs.get(face, inputs[node]) for face in faces]
    return [sum(column) // 6 for column in zip(*rows, strict=True)]


def synthesis_features(
    latents: Latents, found: list[Inputs], cell: Point, bits: int
) -> list[int]:
    """Of a primitive."""
    if latents.synthesis is None:
        return []
    seen = []
    for depth, inputs in zip(latents.depths, found, strict=True):
        node = ancestor(cell, bits - depth)
        seen += inputs[node] + around_of(inputs, node)
    shift = latents.synthesis.shift
    return [clamp(z >> shift, -127, 127) for z in latents.synthesis.outputs(seen)]


# --- The method ------------------------------------------------------------------------------


def read_ralhe(
    streams: Streams,
    layout: list[Group],
    decisions: int,
    position_bits: int,
    cells: list[Point],
) -> tuple[list[list[int]], BlockDecoder]:
    """The networks stream and the latent stream."""
    decoder = RangeDecoder(streams[NETWORKS, 0])
    latents = decode_head(decoder, position_bits)
    box, usual, parts = decode_parts(
        decoder, layout, decisions, position_bits, latents.features
    )
    found = decode_latents(streams[LATENT, 0], latents, cells, position_bits)
    models = [part.model for part in parts if part.model is not None]

    def decode(data: dict[int, bytes], rows: list[Point]) -> tuple[Decided, Values]:
        def more(cell: Point) -> list[int]:
            return synthesis_features(latents, found, cell, position_bits)

        return decode_block(box, usual, parts, data, rows, more)

    return fractions_of(models, layout), decode


def decode_ralhe(file: File) -> Arrays:
    """All arrays of a scene."""
    return decode_learned(file, Learned({NETWORKS, LATENT}, read_ralhe))


METHODS[4] = decode_ralhe
