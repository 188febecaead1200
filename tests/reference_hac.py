"""A second decoder of method hac, written from format-spec.md: slow, nothing of gscodec.

Plain Python integers up to "Values to floats", plain Python floats from there on. Sections
follow the specification, in its order. Importing this module adds the method to
`reference_decoder.METHODS`.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, combinations, pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_decoder import (
    ANCHORS,
    CHECKPOINT,
    METHODS,
    RENDERING,
    RangeDecoder,
    anchor_shapes,
    coded_table,
    naturals,
    need,
    read_checkpoint,
)
from reference_geometry import ONES, decode_octree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reference_decoder import Arrays, Checkpoint, File, Table

Point = tuple[int, ...]
GRID, NETWORKS, POSITION, MASK, FEATURE, SCALING, OFFSET = 2, 1, 3, 11, 12, 13, 14
OUTLIER, DISPLACEMENT = 17, 20
Shapes = dict[str, tuple[int, ...]]
Decided = list[list[int]]  # by anchor and offset
Values = list[list[list[int]]]  # by group, primitive and column
Predicted = list[tuple[int, int, int]]  # centre, step and level by column
Streams = dict[tuple[int, int], bytes]  # by attribute and block


def clamp(x: int, low: int, high: int) -> int:
    """``x`` in low .. high."""
    return min(max(x, low), high)


def signed(natural: int) -> int:
    """0, 1, 2, 3, ... stand for 0, -1, 1, -2, ..."""
    return -(natural + 1) // 2 if natural % 2 else natural // 2


# --- Groups ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """A row of the table of groups."""

    attribute: int
    step_of: tuple[int, ...]
    step_offset: tuple[int, ...]
    fine: bool

    @property
    def columns(self) -> int:
        """Values per primitive."""
        return len(self.step_of)

    @property
    def steps(self) -> int:
        """Step outputs."""
        return 1 + max(self.step_of)


def groups(degree: int, *, displaced: bool = False) -> list[Group]:
    """The groups of a file of this SH degree."""
    found = [
        Group(4, (0,), (0,), fine=False),
        Group(5, (0, 1, 2), (0, 0, 0), fine=False),
        Group(6, (0, 1, 1), (0, 0, 0), fine=False),
        Group(7, (0, 0, 0), (0, 2, -4), fine=False),
    ]
    for d in range(1, degree + 1):
        n = 2 * d + 1
        found.append(Group(7 + d, (0,) * n, (0,) * n, fine=True))
        found.append(Group(7 + d, (0,) * 2 * n, (2,) * n + (-4,) * n, fine=True))
    if displaced:
        found.append(Group(DISPLACEMENT, (0, 1, 2), (0, 0, 0), fine=False))
    return found


def anchor_groups(f: int, k: int) -> list[Group]:
    """The groups of anchors of F features and K offsets."""
    chunks = (f + 9) // 10
    widths = [(f + chunks - 1 - n) // chunks for n in range(chunks)]
    features = [Group(FEATURE, tuple(range(w)), (0,) * w, fine=False) for w in widths]
    scaling = Group(SCALING, tuple(range(6)), (0,) * 6, fine=False)
    per_offset = tuple(n for n in range(k) for _ in range(3))
    return [*features, scaling, Group(OFFSET, per_offset, (0,) * (3 * k), fine=False)]


# --- Outlier stream --------------------------------------------------------------------------


def outliers(file: File, shapes: Shapes) -> Arrays:
    """Rows of each array, of the row ``shapes``; empty arrays without the stream."""
    data = file.streams.get((OUTLIER, 0), b"")
    sizes = {name: (1 if name == "masks" else 4) * math.prod(s) for name, s in shapes.items()}
    rows = len(data) // sum(sizes.values())
    need(len(data) == rows * sum(sizes.values()), "whole rows of outliers")
    if (OUTLIER, 0) in file.streams:
        need(0 < rows < file.head["count"], "some outliers, but not all")
    found: Arrays = {}
    start = 0
    for name, shape in shapes.items():
        part = data[start : start + rows * sizes[name]]
        found[name] = np.frombuffer(part, "u1" if name == "masks" else "<f4")
        found[name] = found[name].reshape(rows, *shape)
        start += rows * sizes[name]
    need(np.all(found.get("masks", np.zeros(0)) <= 1), "masks of 0 and 1")
    return found


# --- Box and position features ---------------------------------------------------------------


@dataclass
class Box:
    """A cube of the lattice."""

    low: Point
    edge: int

    def normalise(self, cell: Point) -> list[int]:
        """0 to 65535 for each axis."""
        return [
            clamp(i - x, 0, self.edge) * 65535 // self.edge
            for i, x in zip(cell, self.low, strict=True)
        ]


def read_box(fields: list[int], position_bits: int) -> Box:
    """The box of x, y, z, edge."""
    size = 1 << position_bits
    need(max(fields[:3]) < size and 1 <= fields[3] <= size, "box")
    return Box(tuple(fields[:3]), fields[3])


def position_features(u: list[int]) -> list[int]:
    """Of a normalised cell."""
    return [clamp((v >> 8) - 128, -127, 127) for v in u]


# --- Grid stream, grid features --------------------------------------------------------------


@dataclass
class GridTable:
    """One table of a level."""

    axes: tuple[int, ...]
    resolution: int
    hashed: bool
    entries: list[list[int]]


@dataclass
class Grid:
    """The box and all tables."""

    box: Box
    tables: list[GridTable]

    def features(self, cell: Point) -> list[int]:
        """Position features, then grid features, of a cell of the lattice."""
        u = self.box.normalise(cell)
        out = position_features(u)
        for table in self.tables:
            out += interpolate(table, [u[axis] for axis in table.axes])
        return out


def decode_grid(data: bytes, position_bits: int) -> Grid:
    """Box, levels, tables."""
    decoder = RangeDecoder(data)
    *fields, levels = naturals(decoder, 5)
    box = read_box(fields, position_bits)
    need(levels <= 32, "levels")
    shapes: list[tuple[tuple[int, ...], int, bool, int]] = []
    for axes, resolution, log2_entries in [naturals(decoder, 3) for _ in range(levels)]:
        need(axes in {2, 3} and 2 <= resolution <= 2048 and log2_entries <= 19, "level")
        vertices = resolution**axes
        count = min(vertices, 1 << log2_entries)
        shapes += [
            (spanned, resolution, count < vertices, count)
            for spanned in combinations(range(3), axes)
        ]
    need(sum(shape[3] for shape in shapes) <= 1 << 20, "entries of all tables")
    tables = []
    for spanned, resolution, hashed, count in shapes:
        model = coded_table(decoder, 2)
        entries = [decoder.symbols(4, model) for _ in range(count)]
        tables.append(GridTable(spanned, resolution, hashed, entries))
    decoder.finish()
    return Grid(box, tables)


def interpolate(table: GridTable, u: list[int]) -> list[int]:
    """The four features of one table at ``u``, along the axes of the table."""
    fixed = [v * ((table.resolution - 1) << 6) >> 16 for v in u]
    share = [0] * 4
    for upper in product((0, 1), repeat=len(u)):
        vertex = [(f >> 6) + b for f, b in zip(fixed, upper, strict=True)]
        parts = [f & 63 if b else 64 - (f & 63) for f, b in zip(fixed, upper, strict=True)]
        weight = math.prod(parts)
        weight = weight >> 3 if len(u) == 3 else weight << 3
        for n, positive in enumerate(table.entries[entry(table, vertex)]):
            share[n] += weight * positive
    return [clamp((s - 16384) >> 7, -127, 127) for s in share]


def entry(table: GridTable, vertex: list[int]) -> int:
    """Where the values of a vertex are."""
    if not table.hashed:
        return sum(v * table.resolution**k for k, v in enumerate(vertex))
    mixed = 0
    for v, prime in zip(vertex, (1, 2654435761, 805459861), strict=False):
        mixed ^= v * prime
    return mixed & (len(table.entries) - 1)


# --- Networks --------------------------------------------------------------------------------


@dataclass
class Layer:
    """Weights by neuron, and biases."""

    weights: list[list[int]]
    bias: list[int]


@dataclass
class Network:
    """Layers, and the bits that are dropped after each but the last."""

    shift: int
    layers: list[Layer]

    def outputs(self, x: list[int]) -> list[int]:
        """The network."""
        for number, layer in enumerate(self.layers):
            z = [
                sum(map(int.__mul__, x, weights)) + bias
                for weights, bias in zip(layer.weights, layer.bias, strict=True)
            ]
            if number + 1 < len(self.layers):
                x = [clamp(v >> self.shift, 0, 255) for v in z]
        return z


@dataclass
class Model:
    """What a file says about a group."""

    family: int
    fraction_bits: int
    log2_unit: int
    step_bias: int
    mean: int
    network: Network


def decode_models(
    data: bytes, layout: list[Group], width: int, decisions: int
) -> tuple[Network | None, list[Model]]:
    """The networks stream; ``width`` counts position and grid features."""
    decoder = RangeDecoder(data)
    network = decode_network(decoder, width, decisions) if decisions else None
    width += decisions
    models = []
    for group in layout:
        models.append(decode_model(decoder, width, group.steps + 2 * group.columns))
        width += group.columns * (2 if group.fine else 1)
    decoder.finish()
    return network, models


def decode_model(decoder: RangeDecoder, inputs: int, outputs: int) -> Model:
    """One group's model."""
    model = decode_fields(decoder)
    model.network = decode_network(decoder, inputs, outputs)
    return model


def decode_fields(decoder: RangeDecoder) -> Model:
    """One group's model but for its network."""
    family, fraction_bits, log2_unit, step_bias, mean_low, mean_high = naturals(decoder, 6)
    mean = signed(mean_low + (mean_high << 20))
    need(family <= 1 and fraction_bits <= 60 and log2_unit <= 30, "model")
    need(abs(signed(step_bias)) <= 128 and mean_low < 1 << 20, "model")
    need(abs(mean) <= 1 << 40, "mean")
    return Model(family, fraction_bits, log2_unit, signed(step_bias), mean, Network(0, []))


def decode_network(decoder: RangeDecoder, inputs: int, outputs: int) -> Network:
    """Shift, hidden widths, layers."""
    shift, hidden = naturals(decoder, 2)
    need(shift <= 15 and hidden <= 4, "shift and hidden layers")
    widths = naturals(decoder, hidden)
    need(all(1 <= width <= 256 for width in widths), "widths")
    layers = []
    for number, (rows, columns) in enumerate(pairwise([inputs, *widths, outputs])):
        flat = fitted(decoder, rows * columns)
        layer = Layer([flat[column::columns] for column in range(columns)], [])
        layer.bias = fitted(decoder, columns)
        check_bound(layer, 255 if number else 127)
        layers.append(layer)
    return Network(shift, layers)


def fitted(decoder: RangeDecoder, count: int) -> list[int]:
    """A fitted run."""
    (level,) = naturals(decoder, 1)
    need(level <= 87, "level of a fitted run")
    return residuals(decoder, [level] * count, 1)


def check_bound(layer: Layer, largest: int) -> None:
    """No sum leaves the exact range of float32."""
    for weights, bias in zip(layer.weights, layer.bias, strict=True):
        need(largest * sum(map(abs, weights)) + abs(bias) < 1 << 24, "bound of a neuron")


# --- Prediction and attribute streams --------------------------------------------------------

STEPS = [
    8, 9, 10, 10, 11, 12, 13, 15, 16, 17, 19, 21, 23, 25, 27, 29, 32, 35, 38, 41, 45, 49, 54,
    59, 64, 70, 76, 83, 91, 99, 108, 117, 128, 140, 152, 166, 181, 197, 215, 235, 256, 279, 304,
    332, 362, 395, 431, 470, 512, 558, 609, 664, 724, 790, 861, 939, 1024, 1117, 1218, 1328,
    1448, 1579, 1722, 1878, 2048, 2233, 2435, 2656, 2896, 3158, 3444, 3756, 4096, 4467, 4871,
    5312, 5793, 6317, 6889, 7512, 8192, 8933, 9742, 10624, 11585, 12634, 13777, 15024,
]  # fmt: skip


def predict(model: Model, group: Group, seen: list[int]) -> Predicted:
    """Centre, step and level of each column of one primitive."""
    out = model.network.outputs(seen)
    one = model.network.shift + 5
    found = []
    for n in range(group.columns):
        index = (out[group.step_of[n]] >> (one - 3)) + model.step_bias + group.step_offset[n]
        index = clamp(index, 0, 87)
        centre = model.mean + ((out[group.steps + n] << model.log2_unit) >> one)
        spread = out[group.steps + group.columns + n]
        level = (spread >> (one - 3)) + 8 * (model.log2_unit - 3) - index + 36
        found.append((centre, STEPS[index], clamp(level, 0, 87)))
    return found


def features(model: Model, group: Group, values: list[int]) -> list[int]:
    """What later groups see of one primitive's values."""
    offsets = [(value - model.mean) << 5 for value in values]
    out = [clamp(offset >> model.log2_unit, -127, 127) for offset in offsets]
    if group.fine:
        out += [clamp((offset << 3) >> model.log2_unit, -127, 127) for offset in offsets]
    return out


def decide(decoder: RangeDecoder, network: Network, seen: list[list[int]]) -> Decided:
    """The decisions of a turn."""
    logits = [z >> (network.shift + 1) for row in seen for z in network.outputs(row)]
    classes = [clamp((logit + 2) // 4, -31, 31) for logit in logits]
    bits = [0] * len(classes)
    for c in range(-31, 32):
        one = ONES[c] if c >= 0 else (1 << 24) - ONES[-c]
        for i in [i for i, found in enumerate(classes) if found == c]:
            bits[i] = decoder.symbol([0, (1 << 24) - one, 1 << 24])
    k = len(bits) // max(1, len(seen))
    return [bits[n * k : n * k + k] for n in range(len(seen))]


def is_coded(group: Group, decided: list[int]) -> list[bool]:
    """For each column of a primitive of these decisions, whether it has a residual."""
    if group.attribute != OFFSET:
        return [True] * group.columns
    return [decided[n // 3] == 1 for n in range(group.columns)]


def decode_values(
    decoder: RangeDecoder, family: int, predicted: list[Predicted], coded: list[list[bool]]
) -> list[list[int]]:
    """The values of a group and turn, by primitive and column."""
    levels = [
        level
        for row, there in zip(predicted, coded, strict=True)
        for (_, _, level), is_there in zip(row, there, strict=True)
        if is_there
    ]
    r = iter(residuals(decoder, levels, family))
    return [
        [
            centre + next(r) * step if is_there else 0
            for (centre, step, _), is_there in zip(row, there, strict=True)
        ]
        for row, there in zip(predicted, coded, strict=True)
    ]


def decode_block(
    streams: dict[int, bytes],
    layout: list[Group],
    network: Network | None,
    models: list[Model],
    seen: list[list[int]],
) -> tuple[Decided, Values]:
    """Decisions and values; ``seen`` has the features by primitive."""
    decoders = {attribute: RangeDecoder(data) for attribute, data in streams.items()}
    decisions: Decided = [[] for _ in seen]
    if network is not None:
        decisions = decide(decoders[MASK], network, seen)
        for known, row in zip(seen, decisions, strict=True):
            known.extend(32 * bit for bit in row)
    values = []
    for group, model in zip(layout, models, strict=True):
        predicted = [predict(model, group, row) for row in seen]
        coded = [is_coded(group, row) for row in decisions]
        decoded = decode_values(decoders[group.attribute], model.family, predicted, coded)
        for known, row in zip(seen, decoded, strict=True):
            known.extend(features(model, group, row))
        values.append(decoded)
    for decoder in decoders.values():
        decoder.finish()
    return decisions, values


# --- Residuals -------------------------------------------------------------------------------

SUPPORT = [
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6,
    7, 7, 8, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22, 24, 26, 28, 31, 33, 36, 40,
    43, 47, 51, 55, 60, 65, 71, 78, 84, 92, 100, 109, 119, 129, 141, 154, 167, 183, 199, 217,
    236, 257, 281, 306, 333, 364, 396, 432, 471, 513, 560, 610, 665,
]  # fmt: skip
TABLES = Path(__file__).parent.parent / "src" / "gscodec" / "coding" / "scale_tables.bin"
SHA256 = "a840170e9766d6a46a079c7125f47c399df4a3017be11b7df514ee5594f58e70"


@cache
def scale_tables() -> list[list[Table]]:
    """Cumulative frequencies by family and level."""
    data = TABLES.read_bytes()
    need(len(data) == 66384 and hashlib.sha256(data).hexdigest() == SHA256, "scale tables")
    numbers = iter([number for (number,) in struct.iter_unpack("<I", data)])
    families = []
    for _ in range(2):
        tables = []
        for support in SUPPORT:
            half = [next(numbers) for _ in range(support + 1)]
            tables.append([0, *accumulate([*half[:0:-1], *half, next(numbers)])])
            need(tables[-1][-1] == 1 << 24, "sum of a table")
        families.append(tables)
    return families


def residuals(decoder: RangeDecoder, levels: list[int], family: int) -> list[int]:
    """A residual for each level."""
    symbols = [0] * len(levels)
    for level, table in enumerate(scale_tables()[family]):
        for i in [i for i, found in enumerate(levels) if found == level]:
            symbols[i] = decoder.symbol(table)
    supports = [SUPPORT[level] for level in levels]
    escaped = [s == 2 * n + 1 for s, n in zip(symbols, supports, strict=True)]
    e = iter(naturals(decoder, sum(escaped)))
    out = []
    for symbol, support, is_escape in zip(symbols, supports, escaped, strict=True):
        natural = next(e) if is_escape else 0
        size = (natural >> 1) + support + 1
        out.append((-size if natural % 2 else size) if is_escape else symbol - support)
    return out


# --- Values to floats, rotation --------------------------------------------------------------


def to_rgb(y: float, u: float, v: float) -> list[float]:
    """One colour coefficient."""
    return [(y + u) - v, y + 2 * v, (y - u) - v]


def quaternion(scales: list[int], t: float, a: float, b: float) -> list[float]:
    """w, x, y, z from integer scales, twist and swings."""
    x, y = a + b * t, b - a * t
    norm = math.sqrt((1 + t * t) * ((1 + a * a) + b * b))
    w, x, y, t = 1 / norm, x / norm, y / norm, t / norm
    disc = 2 * scales[1] >= scales[0] + scales[2]
    return [w, x, y, t] if disc else [w, t, x, y]


def in_real(values: Values, fractions: list[list[int]]) -> list[list[list[float]]]:
    """Quanta of each group, whose columns have these fraction bits."""
    return [
        [[math.ldexp(q, -bits) for q, bits in zip(row, own, strict=True)] for row in rows]
        for rows, own in zip(values, fractions, strict=True)
    ]


def to_floats(
    values: Values, fractions: list[list[int]], degree: int
) -> dict[str, list[float]]:
    """The arrays but means, flat."""
    real = in_real(values, fractions)
    rest: list[float] = []
    for i in range(len(values[0])):
        for d in range(1, degree + 1):
            luma, chroma = real[2 + 2 * d][i], real[3 + 2 * d][i]
            for n, y in enumerate(luma):
                rest += to_rgb(y, chroma[n], chroma[len(luma) + n])
    quats = [quaternion(s, *r) for s, r in zip(values[1], real[2], strict=True)]
    return {
        "opacity_logits": [v for row in real[0] for v in row],
        "log_scales": [v for row in real[1] for v in row],
        "quats": [v for row in quats for v in row],
        "sh_dc": [v for row in real[3] for v in to_rgb(*row)],
        "sh_rest": rest,
    }


# --- The method ------------------------------------------------------------------------------


class OctreeCoder(RangeDecoder):
    """The range decoder as `reference_geometry` wants it."""

    def decode(self, count: int, frequencies: list[int]) -> list[int]:
        """A run of symbols with one table."""
        return self.symbols(count, [0, *accumulate(frequencies)])


def decode_codes(data: bytes, count: int, bits: int) -> list[int]:
    """Morton codes of the primitives of a part."""
    coder = OctreeCoder(data)
    codes = decode_octree(coder, count, bits)
    coder.finish()
    return codes


def cell_of(code: int, bits: int) -> Point:
    """Inverse of a Morton code."""
    x, y, z = (sum((code >> (3 * b + axis) & 1) << b for b in range(bits)) for axis in range(3))
    return x, y, z


@dataclass
class Blocks:
    """What all blocks hold, joined: cells, decisions, values by group and their fractions."""

    cells: list[Point]
    decisions: Decided
    values: Values
    fractions: list[list[int]]


BlockDecoder = Callable[[dict[int, bytes], list[Point]], tuple[Decided, Values]]


@dataclass
class Learned:
    """What tells one learned method from another.

    Attributes:
        shared: Attributes with one stream that hold its model.
        optional: Others, which a file may lack.
        read: From streams, groups, number of decisions, position_bits and all cells to the
            fraction bits of each column of each group, and to what decodes a block from its
            streams by attribute and its cells.
    """

    shared: set[int]
    read: Callable[
        [Streams, list[Group], int, int, list[Point]], tuple[list[list[int]], BlockDecoder]
    ]
    optional: frozenset[int] = frozenset()


def decode_blocks(
    file: File,
    layout: list[Group],
    decisions: int,
    others: set[tuple[int, int]],
    apart: int,
    method: Learned,
) -> Blocks:
    """All of a file but what ``others`` hold, and the outliers, of which there are ``apart``."""
    head, streams = file.head, file.streams
    count = head["count"] - apart
    need(1 <= head["position_bits"] <= 21 and count > 0, "HEAD of a learned method")
    need(head["block_size"] <= 65536, "HEAD of a learned method")
    attributes = {group.attribute for group in layout} | ({MASK} if decisions else set())
    blocks = [
        range(s, count)[: head["block_size"]] for s in range(0, count, head["block_size"])
    ]
    parts = sorted(block for attribute, block in streams if attribute == POSITION)
    expected = {(attribute, 0) for attribute in method.shared} | others
    expected |= {(POSITION, block) for block in {0, *parts} & set(range(len(blocks)))}
    expected |= {(OUTLIER, 0)} if apart else set()
    expected |= {(attribute, 0) for attribute in method.optional} & streams.keys()
    expected |= {(attribute, block) for attribute in attributes for block in range(len(blocks))}
    need(streams.keys() == expected, "the streams of the method")
    bits = head["position_bits"]
    codes: list[int] = []
    for first, beyond in zip(parts, [*parts[1:], len(blocks)], strict=True):
        own = sum(len(block) for block in blocks[first:beyond])
        codes += decode_codes(streams[POSITION, first], own, bits)
    need(codes == sorted(codes), "rising codes")
    cells = [cell_of(code, bits) for code in codes]
    fractions, decode = method.read(streams, layout, decisions, bits, cells)
    found = Blocks(cells, [], [[] for _ in layout], fractions)
    for number, rows in enumerate(blocks):
        data = {attribute: streams[attribute, number] for attribute in attributes}
        decided, values = decode(data, [cells[row] for row in rows])
        found.decisions.extend(decided)
        for whole, part in zip(found.values, values, strict=True):
            whole.extend(part)
    return found


def turned(quaternion: list[float], own: list[float]) -> tuple[float, float, float]:
    """A displacement along the axes of a Gaussian, in the axes of the lattice."""
    (w, x, y, z), (a, b, c) = quaternion, own
    u, v, t = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return (
        (a + w * u) + (y * t - z * v),
        (b + w * v) + (z * u - x * t),
        (c + w * t) + (x * v - y * u),
    )


def positions(cells: Sequence[tuple[float, ...]], head: dict[str, Any]) -> list[float]:
    """Coordinates, flat."""
    step, origin = head["lattice_step"], head["lattice_origin"]
    return [i * step + o for cell in cells for i, o in zip(cell, origin, strict=True)]


def fractions_of(models: list[Model], layout: list[Group]) -> list[list[int]]:
    """Fraction bits of each column: those of its group."""
    return [
        [model.fraction_bits] * group.columns
        for model, group in zip(models, layout, strict=True)
    ]


def read_hac(
    streams: Streams,
    layout: list[Group],
    decisions: int,
    position_bits: int,
    cells: list[Point],  # noqa: ARG001 - of the whole scene
) -> tuple[list[list[int]], BlockDecoder]:
    """Grid and networks."""
    grid = decode_grid(streams[GRID, 0], position_bits)
    width = 3 + 4 * len(grid.tables)
    network, models = decode_models(streams[NETWORKS, 0], layout, width, decisions)

    def decode(data: dict[int, bytes], cells: list[Point]) -> tuple[Decided, Values]:
        seen = [grid.features(cell) for cell in cells]
        return decode_block(data, layout, network, models, seen)

    return fractions_of(models, layout), decode


def decode_hac(file: File) -> Arrays:
    """All arrays of a scene."""
    return decode_learned(file, Learned({GRID, NETWORKS}, read_hac))


def decode_learned(file: File, method: Learned) -> Arrays:
    """All arrays of a scene."""
    if file.head["kind"] == ANCHORS:
        return anchor_arrays(file, method)
    return gaussian_arrays(file, method)


def gaussian_arrays(file: File, method: Learned) -> Arrays:
    """The six arrays."""
    degree = file.head["sh_degree"]
    shapes: Shapes = {
        "means": (3,),
        "opacity_logits": (),
        "log_scales": (3,),
        "quats": (4,),
        "sh_dc": (3,),
        "sh_rest": ((degree + 1) ** 2 - 1, 3),
    }
    apart = outliers(file, shapes)
    displaced = any(attribute == DISPLACEMENT for attribute, _ in file.streams)
    layout = groups(degree, displaced=displaced)
    found = decode_blocks(file, layout, 0, set(), len(apart["means"]), method)
    flat = to_floats(found.values, found.fractions, degree)
    places: list[tuple[float, ...]] = [tuple(map(float, cell)) for cell in found.cells]
    if displaced:
        fractions, quats = found.fractions[-1], flat["quats"]
        for row, quanta in enumerate(found.values[-1]):
            own = [math.ldexp(q, -f) for q, f in zip(quanta, fractions, strict=True)]
            moves = turned(float32(quats[4 * row : 4 * row + 4], (4,)).tolist(), own)
            places[row] = tuple(i + m for i, m in zip(places[row], moves, strict=True))
    flat["means"] = positions(places, file.head)
    return {
        name: np.concatenate([float32(flat[name], (len(found.cells), *shape)), apart[name]])
        for name, shape in shapes.items()
    }


def anchor_arrays(file: File, method: Learned) -> Arrays:
    """Arrays of anchors, networks, masks."""
    checkpoint = read_checkpoint(file)
    layout = anchor_groups(checkpoint.features, checkpoint.offsets)
    own = {(RENDERING, 0), (CHECKPOINT, 0)}
    shapes = {name: shape for name, (_, shape) in anchor_shapes(checkpoint).items()}
    masks = {"masks": (checkpoint.offsets,)} if checkpoint.has_masks else {}
    apart = outliers(file, {**shapes, **masks})
    rows = len(apart["anchors"])
    found = decode_blocks(file, layout, checkpoint.offsets, own, rows, method)
    flat: dict[int, list[float]] = {3: positions(found.cells, file.head)}
    real = in_real(found.values, found.fractions)
    for attribute in (FEATURE, SCALING, OFFSET):
        flat[attribute] = [
            value
            for row in range(len(found.cells))
            for group, values in zip(layout, real, strict=True)
            if group.attribute == attribute
            for value in values[row]
        ]
    arrays: Arrays = {
        name: np.concatenate(
            [float32(flat[attribute], (len(found.cells), *shape)), apart[name]]
        )
        for name, (attribute, shape) in anchor_shapes(checkpoint).items()
    }
    arrays |= decode_rendering(file.streams[RENDERING, 0], checkpoint)
    if checkpoint.has_masks:
        arrays["masks"] = np.concatenate([np.array(found.decisions, np.uint8), apart["masks"]])
    return arrays


def decode_rendering(data: bytes, checkpoint: Checkpoint) -> Arrays:
    """The rendering stream: integers times powers of two."""
    decoder = RangeDecoder(data)
    shapes = checkpoint.network_shapes()
    exponents = naturals(decoder, len(shapes))
    need(max(exponents) <= 40, "exponents of networks")
    arrays = {}
    for (name, shape), exponent in zip(shapes.items(), exponents, strict=True):
        values = fitted(decoder, math.prod(shape))
        need(max(map(abs, values)) < 1 << 24, "weights of networks")
        arrays[name] = float32([math.ldexp(v, -exponent) for v in values], shape)
    decoder.finish()
    return arrays


def float32(values: list[float], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Each value rounded to the nearest float32."""
    return np.frombuffer(struct.pack(f"<{len(values)}f", *values), "<f4").reshape(shape)


METHODS[2] = decode_hac
