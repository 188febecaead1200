"""A second decoder of method hemgs, written from format-spec.md: slow, nothing of gscodec.

Plain Python integers; what learned methods share is in `reference_hac`. Sections follow the
specification, in its order. Importing this module adds the method to
`reference_decoder.METHODS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

from reference_decoder import METHODS, RangeDecoder, naturals, need
from reference_hac import (
    MASK,
    NETWORKS,
    Box,
    Layer,
    Learned,
    Model,
    Network,
    check_bound,
    clamp,
    decide,
    decode_fields,
    decode_learned,
    decode_model,
    decode_network,
    decode_values,
    features,
    fitted,
    fractions_of,
    is_coded,
    position_features,
    predict,
    read_box,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_decoder import Arrays, File
    from reference_hac import BlockDecoder, Decided, Group, Point, Streams, Values

# --- Turns, neighbours -----------------------------------------------------------------------

PRIOR = 21
# The first number of a turn and the step to the next, then `first` and `apart` of the table.
TURNS = ((0, 8, 0, 0), (4, 8, 4, 8), (2, 4, 2, 4), (1, 2, 1, 2))


@dataclass
class Neighbour:
    """A primitive of the block, its weight, and 1 + floor(sqrt(4 * d2))."""

    number: int
    weight: int
    half: int


def squared(a: Point, b: Point) -> int:
    """d2 of two cells."""
    return sum((i - j) ** 2 for i, j in zip(a, b, strict=True))


def half_of(d2: int) -> int:
    """1 + floor(sqrt(4 * d2))."""
    return 1 + isqrt(4 * d2)


def neighbours(cells: list[Point], p: int, first: int, apart: int) -> list[Neighbour]:
    """Of ``p``, the nearest first."""
    if not apart:
        return []
    candidates = [p - (first + apart * c) for c in range(8)]
    candidates += [p + (first + apart * c) for c in range(8)]
    found = sorted(
        (squared(cells[p], cells[q]) * 16 + c, q)
        for c, q in enumerate(candidates)
        if 0 <= q < len(cells)
    )[:8]
    halves = [half_of(key // 16) for key, _ in found]
    total = sum(2**40 // half for half in halves)
    return [
        Neighbour(q, ((2**40 // half) << 8) // total, half)
        for half, (_, q) in zip(halves, found, strict=True)
    ]


# --- First features --------------------------------------------------------------------------


def octaves(n: int) -> int:
    """Log2 in 2**-5, linear between powers of two."""
    b = n.bit_length() - 1
    return (b << 5) + ((n << 5) >> b) - 32


def distance_features(
    cells: list[Point], p: int, found: list[Neighbour], usual: int
) -> list[int]:
    """Five of them."""
    places = [*range(p - 8, p), *range(p + 1, p + 9)]
    d2 = sorted(squared(cells[p], cells[q]) if 0 <= q < len(cells) else 2**50 for q in places)
    far = [octaves(half_of(d2[rank])) for rank in (0, 1, 3, 7)]
    far.append(octaves(found[0].half) if found else 0)
    return [clamp(d - usual, -127, 127) for d in far]


# --- Neighbour features ----------------------------------------------------------------------


def look(
    own: list[list[int]], columns: int, found: list[Neighbour], *, fine: bool
) -> tuple[list[int], list[int]]:
    """Neighbour features, and s of each column; ``own`` has f of each primitive and column."""
    sums = [sum(n.weight * own[n.number][c] for n in found) for c in range(columns)]
    seen = [s >> 8 for s in sums]
    off = [
        sum(n.weight * abs(own[n.number][c] - seen[c]) for n in found) for c in range(columns)
    ]
    if fine:
        seen += [clamp(s >> 5, -127, 127) for s in sums]
    if columns <= 10:
        seen += [min(t >> 8, 127) for t in off]
    else:
        b = next(b for b in range(32) if 2**b >= columns)
        seen.append(min(sum(off) >> (8 + b), 127))
    return seen, sums


def neighbour_columns(columns: int, *, fine: bool) -> int:
    """How many neighbour features there are."""
    return columns * (2 if fine else 1) + (columns if columns <= 10 else 1)


# --- Prior -----------------------------------------------------------------------------------

SHIPPED = Path(__file__).parent.parent / "src" / "gscodec" / "intnet" / "prior.bin"


@dataclass
class Shared:
    """What a prior says about a group."""

    gains: list[int]
    rates: list[int]
    network: Network
    inputs: int


def read_prior(stream: bytes, layout: list[Group]) -> list[Shared]:
    """The first groups of a file, those that a prior has."""
    need(len(stream) >= 16, "prior")
    data = stream[16:] or SHIPPED.read_bytes()
    need(sha256(data).digest()[:16] == stream[:16], "name of the prior")
    decoder = RangeDecoder(data)
    (count,) = naturals(decoder, 1)
    width, found = 3 + 5, []
    for group in layout[:count]:
        attribute, columns, kept = naturals(decoder, 3)
        if (attribute, columns) != (group.attribute, group.columns):
            break
        extra = neighbour_columns(columns, fine=group.fine)
        network = decode_network(decoder, width + extra, group.steps + 2 * columns)
        rates = fitted(decoder, len(network.layers[0].bias))
        gains = fitted(decoder, columns)
        need(kept <= 1 and max(map(abs, rates)) <= 1 << 12, "kept and rates of a prior")
        need(max(map(abs, gains)) <= 127, "gains of a prior")
        found.append(Shared(gains, rates, network, width + extra))
        width += columns * (2 if group.fine else 1) + kept * extra
    return found


def decode_shared(
    decoder: RangeDecoder, shared: Shared, inputs: int
) -> tuple[list[int], Model]:
    """Gains and model of a group that a prior has."""
    need(inputs == shared.inputs, "inputs of a prior")
    changes = fitted(decoder, len(shared.gains))
    gains = [a + b for a, b in zip(shared.gains, changes, strict=True)]
    model = decode_fields(decoder)
    coarse_w, coarse_b = naturals(decoder, 2)
    need(max(coarse_w, coarse_b) <= 15, "coarse")
    rate = clamp(8 * (model.log2_unit - 3) - model.step_bias, -127, 127)
    layers = []
    for number, layer in enumerate(shared.network.layers):
        start = layer
        if not number:
            bias = [b + rate * r for b, r in zip(layer.bias, shared.rates, strict=True)]
            start = Layer(layer.weights, bias)
            check_bound(start, 127)
        columns, rows = len(start.bias), len(start.weights[0])
        flat = fitted(decoder, rows * columns)
        added = fitted(decoder, columns)
        weights = [
            [w + (c << coarse_w) for w, c in zip(own, flat[column::columns], strict=True)]
            for column, own in enumerate(start.weights)
        ]
        bias = [b + (c << coarse_b) for b, c in zip(start.bias, added, strict=True)]
        layers.append(Layer(weights, bias))
        check_bound(layers[-1], 255 if number else 127)
    model.network = Network(shared.network.shift, layers)
    return gains, model


# --- Networks stream of hemgs ----------------------------------------------------------------


@dataclass
class Part:
    """What a file says about the decisions, which have no group, or about a group."""

    group: Group | None
    columns: int
    kept: bool
    gains: list[int]
    network: Network
    model: Model | None

    @property
    def fine(self) -> bool:
        """Whether it is."""
        return self.group is not None and self.group.fine


def decode_parts(
    decoder: RangeDecoder,
    layout: list[Group],
    decisions: int,
    position_bits: int,
    more: int = 0,
    prior: list[Shared] | None = None,
) -> tuple[Box, int, list[Part]]:
    """Box, usual, and all parts in coding order, to the end; ``more`` first features."""
    *fields, usual = naturals(decoder, 5)
    box = read_box(fields, position_bits)
    need(usual <= 2048, "usual")
    width = 3 + 5 + more
    parts: list[Part] = []
    for group in [*([None] if decisions else []), *layout]:
        (flag,) = naturals(decoder, 1)
        kept, number = flag % 2, len(parts)
        shared = prior[number] if flag >= 2 and prior and number < len(prior) else None
        need(flag <= 3 and (flag < 2 or shared is not None), "flag")
        columns = decisions if group is None else group.columns
        fine = group is not None and group.fine
        extra = neighbour_columns(columns, fine=fine)
        gains: list[int] = []
        model = None
        if group is None:
            network = decode_network(decoder, width + extra, columns)
        elif shared is not None:
            gains, model = decode_shared(decoder, shared, width + extra)
            network = model.network
        else:
            gains = fitted(decoder, columns)
            model = decode_model(decoder, width + extra, group.steps + 2 * columns)
            network = model.network
        need(max(map(abs, gains), default=0) <= 127, "gains")
        parts.append(Part(group, columns, kept == 1, gains, network, model))
        width += columns * (2 if fine else 1) + kept * extra
    decoder.finish()
    return box, usual, parts


# --- Blocks ----------------------------------------------------------------------------------


@dataclass
class Block:
    """A block, as far as it is decoded.

    Attributes:
        decoders: By attribute.
        around: Neighbours of each primitive.
        seen: Features of each primitive.
        decisions: Of each primitive.
    """

    decoders: dict[int, RangeDecoder]
    around: list[list[Neighbour]]
    seen: list[list[int]]
    decisions: Decided

    def decode(self, part: Part) -> list[list[int]]:
        """Values, or decisions, by primitive and column; turn after turn."""
        values: list[list[int]] = [[] for _ in self.seen]
        own: list[list[int]] = [[] for _ in self.seen]  # f
        looked: list[list[int]] = [[] for _ in self.seen]
        for start, step, _, _ in TURNS:
            rows = range(start, len(self.seen), step)
            sums = []
            for p in rows:
                looked[p], s = look(own, part.columns, self.around[p], fine=part.fine)
                sums.append(s)
            inputs = [self.seen[p] + looked[p] for p in rows]
            decided = [self.decisions[p] for p in rows]
            for p, row in zip(rows, self.turn(part, inputs, sums, decided), strict=True):
                values[p] = row
                own[p] = own_features(part, row)[: part.columns]
        for known, extra, row in zip(self.seen, looked, values, strict=True):
            known.extend((extra if part.kept else []) + own_features(part, row))
        return values

    def turn(
        self, part: Part, inputs: list[list[int]], sums: list[list[int]], decided: Decided
    ) -> list[list[int]]:
        """Of one turn, by primitive and column."""
        if part.group is None or part.model is None:
            return decide(self.decoders[MASK], part.network, inputs)
        predicted = []
        for row, s in zip(inputs, sums, strict=True):
            law = predict(part.model, part.group, row)
            lead = [
                ((s[n] * gain) << part.model.log2_unit) >> 19
                for n, gain in enumerate(part.gains)
            ]
            predicted.append(
                [
                    (c + more, step, level)
                    for (c, step, level), more in zip(law, lead, strict=True)
                ]
            )
        coded = [is_coded(part.group, row) for row in decided]
        decoder = self.decoders[part.group.attribute]
        return decode_values(decoder, part.model.family, predicted, coded)


def own_features(part: Part, values: list[int]) -> list[int]:
    """What later groups see of one primitive's values, or decisions."""
    if part.group is None or part.model is None:
        return [32 * bit for bit in values]
    return features(part.model, part.group, values)


def decode_block(
    box: Box,
    usual: int,
    parts: list[Part],
    streams: dict[int, bytes],
    cells: list[Point],
    more: Callable[[Point], list[int]] = lambda _: [],
) -> tuple[Decided, Values]:
    """Decisions and values of a block; ``more`` are further first features of a primitive."""
    decoders = {attribute: RangeDecoder(data) for attribute, data in streams.items()}
    around: list[list[Neighbour]] = [[] for _ in cells]
    for start, step, first, apart in TURNS:
        for p in range(start, len(cells), step):
            around[p] = neighbours(cells, p, first, apart)
    seen = [
        position_features(box.normalise(cell))
        + distance_features(cells, p, around[p], usual)
        + more(cell)
        for p, cell in enumerate(cells)
    ]
    block = Block(decoders, around, seen, [[] for _ in cells])
    values = []
    for part in parts:
        found = block.decode(part)
        if part.group is None:
            block.decisions = found
        else:
            values.append(found)
    for decoder in decoders.values():
        decoder.finish()
    return block.decisions, values


# --- The method ------------------------------------------------------------------------------


def read_hemgs(
    streams: Streams,
    layout: list[Group],
    decisions: int,
    position_bits: int,
    cells: list[Point],  # noqa: ARG001 - of the whole scene
) -> tuple[list[list[int]], BlockDecoder]:
    """The networks stream."""
    prior = None
    if (PRIOR, 0) in streams:
        prior = read_prior(streams[PRIOR, 0], [] if decisions else layout)
    decoder = RangeDecoder(streams[NETWORKS, 0])
    box, usual, parts = decode_parts(decoder, layout, decisions, position_bits, prior=prior)
    models = [part.model for part in parts if part.model is not None]
    return fractions_of(models, layout), partial(decode_block, box, usual, parts)


def decode_hemgs(file: File) -> Arrays:
    """All arrays of a scene."""
    return decode_learned(file, Learned({NETWORKS}, read_hemgs, frozenset({PRIOR})))


METHODS[3] = decode_hemgs
