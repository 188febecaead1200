"""A second decoder of method predict_gs, written from format-spec.md: nothing of gscodec.

Plain Python integers; laws are those of `reference_hemgs`. Sections follow the specification,
in its order. Importing this module adds the method to `reference_decoder.METHODS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_decoder import METHODS, RangeDecoder, naturals, need
from reference_hac import (
    FEATURE,
    GRID,
    NETWORKS,
    Grid,
    Learned,
    Network,
    clamp,
    decode_grid,
    decode_learned,
    decode_network,
    fitted,
)
from reference_hemgs import read_hemgs

if TYPE_CHECKING:
    from reference_decoder import Arrays, File
    from reference_hac import BlockDecoder, Decided, Group, Point, Streams, Values

BASIS = 19
MIXED = {8, 9, 10, FEATURE}
REACH = 2**36

# --- Basis stream ----------------------------------------------------------------------------


@dataclass
class Fusion:
    """From position and grid features to what the pool predicts."""

    fraction_bits: int
    log2_unit: int
    network: Network


@dataclass
class Basis:
    """Rows of the matrix, and their exponents."""

    rows: list[list[int]]
    exponents: list[int]


def decode_basis(data: bytes, grid: Grid, columns: int) -> tuple[Basis | None, Fusion | None]:
    """Flags, basis, fusion network."""
    decoder = RangeDecoder(data)
    mixes, predicts = naturals(decoder, 2)
    need(max(mixes, predicts) <= 1, "flags of the basis stream")
    need(predicts or not grid.tables, "levels only with a pool")
    need(columns or not (mixes or predicts), "mixed columns")
    basis = fusion = None
    if mixes:
        flat = fitted(decoder, columns * columns)
        exponents = fitted(decoder, columns)
        need(max(map(abs, flat)) <= 127 and max(map(abs, exponents)) <= 64, "basis")
        rows = [flat[start : start + columns] for start in range(0, len(flat), columns)]
        basis = Basis(rows, exponents)
    if predicts:
        fraction_bits, log2_unit = naturals(decoder, 2)
        need(fraction_bits <= 60 and log2_unit <= 30, "fusion")
        network = decode_network(decoder, 3 + 4 * len(grid.tables), columns)
        fusion = Fusion(fraction_bits, log2_unit, network)
    decoder.finish()
    return basis, fusion


# --- Values of mixed groups ------------------------------------------------------------------


def lifted(quanta: int, bits: int) -> int:
    """With so many more bits of fraction."""
    limit = REACH >> bits
    return clamp(quanta, -limit, limit) << bits


@dataclass
class Mixer:
    """Residuals to values.

    Attributes:
        first: Number of the first group that is mixed.
        bits: Fraction bits of each mixed column.
        finest: Of the groups, the largest of them; of all, that of the pool too.
    """

    first: int
    widths: list[int]
    bits: list[int]
    basis: Basis | None
    fusion: Fusion | None
    grid: Grid

    @property
    def own(self) -> int:
        """Fraction bits of what the groups are brought to."""
        return max(self.bits)

    @property
    def finest(self) -> int:
        """Fraction bits of coordinates."""
        return max(self.own, self.fusion.fraction_bits if self.fusion else 0)

    def fractions(self) -> list[int]:
        """Fraction bits of the values of each column."""
        exponents = self.basis.exponents if self.basis else [0] * len(self.bits)
        return [self.finest + exponent for exponent in exponents]

    def values(self, residuals: list[int], cell: Point) -> list[int]:
        """Of one primitive."""
        whole = [
            lifted(quanta, self.own - bits)
            for quanta, bits in zip(residuals, self.bits, strict=True)
        ]
        if self.fusion:
            network, unit = self.fusion.network, self.fusion.log2_unit
            out = network.outputs(self.grid.features(cell))
            predicted = [(v << unit) >> (network.shift + 5) for v in out]
            more = self.finest - self.fusion.fraction_bits
            whole = [
                lifted(v, self.finest - self.own) + lifted(p, more)
                for v, p in zip(whole, predicted, strict=True)
            ]
        if self.basis is None:
            return whole
        return [sum(map(int.__mul__, row, whole)) for row in self.basis.rows]

    def restore(self, values: Values, cells: list[Point]) -> Values:
        """All groups of a block."""
        last = self.first + len(self.widths)
        own = [[] for _ in self.widths]  # type: Values
        for number, cell in enumerate(cells):
            flat = [v for group in values[self.first : last] for v in group[number]]
            flat = self.values(flat, cell)
            for group, width in zip(own, self.widths, strict=True):
                group.append(flat[:width])
                flat = flat[width:]
        return [*values[: self.first], *own, *values[last:]]


# --- The method ------------------------------------------------------------------------------


def read_predict_gs(
    streams: Streams,
    layout: list[Group],
    decisions: int,
    position_bits: int,
    cells: list[Point],
) -> tuple[list[list[int]], BlockDecoder]:
    """Grid, basis and networks streams."""
    numbers = [n for n, group in enumerate(layout) if group.attribute in MIXED]
    columns = sum(layout[n].columns for n in numbers)
    grid = decode_grid(streams[GRID, 0], position_bits)
    basis, fusion = decode_basis(streams[BASIS, 0], grid, columns)
    fractions, decode = read_hemgs(streams, layout, decisions, position_bits, cells)
    if not (basis or fusion):
        return fractions, decode
    first, last = numbers[0], numbers[-1] + 1
    bits = [b for own in fractions[first:last] for b in own]
    widths = [layout[n].columns for n in numbers]
    mixer = Mixer(first, widths, bits, basis, fusion, grid)
    flat, own = mixer.fractions(), []
    for width in widths:
        own.append(flat[:width])
        flat = flat[width:]

    def restored(data: dict[int, bytes], cells: list[Point]) -> tuple[Decided, Values]:
        decided, values = decode(data, cells)
        return decided, mixer.restore(values, cells)

    return [*fractions[:first], *own, *fractions[last:]], restored


def decode_predict_gs(file: File) -> Arrays:
    """All arrays of a scene."""
    return decode_learned(file, Learned({GRID, NETWORKS, BASIS}, read_predict_gs))


METHODS[5] = decode_predict_gs
