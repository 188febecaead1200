"""Binary multi-resolution hash grid, interpolated in integers (HAC, section 3.2 and 4.1).

Levels are 3D grids or triples of 2D planes (xy, xz, yz). Each grid has a table of entries of
four values in {-1, +1}. A point's feature is the multilinear interpolation of the entries at
the corners of its cell, with fixed-point weights: six fractional bits an axis.

Trick: a table entry is one 64-bit word with a 16-bit field per value (0 or 1). Corner weights
sum to less than 2**16, so one multiply-add per corner interpolates all four values at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    Decoder,
    Encoder,
    decode_naturals,
    decode_table,
    encode_naturals,
    encode_table,
)
from gscodec.errors import FormatError
from gscodec.intnet.box import COORDINATE_BITS, Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VALUES = 4  # per entry (D^h in the paper)
FRACTION_BITS = 6  # of a coordinate inside its cell
MAX_RESOLUTION = 2048
MAX_LOG2_ENTRIES = 19
MAX_LEVELS = 32
MAX_ENTRIES = 1 << 20  # of all tables together; the paper's grid has 441,568
_PRIMES = (1, 2654435761, 805459861)  # Instant-NGP's spatial hash
_FIELDS = np.arange(VALUES, dtype=np.uint64) * np.uint64(16)  # their lowest bits in a word


@dataclass(frozen=True)
class GridLevel:
    """One resolution.

    Attributes:
        axes: 3 for a 3D grid, 2 for three planes.
        resolution: Vertices per axis, at least 2.
        log2_entries: Largest table; a smaller grid is indexed directly.
    """

    axes: int
    resolution: int
    log2_entries: int

    @property
    def entries(self) -> int:
        """Entries of one table."""
        return int(min(self.resolution**self.axes, 1 << self.log2_entries))

    @property
    def hashed(self) -> bool:
        """Whether vertices share entries."""
        return self.entries < int(self.resolution**self.axes)

    @property
    def tables(self) -> tuple[tuple[int, ...], ...]:
        """The axes that each of the level's tables spans."""
        return tuple(combinations(range(3), self.axes))


def corners(
    u: NDArray[np.int64], level: GridLevel, axes: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each corner of the cells of ``u`` (N, 3): entry index (N,) and weight (N,).

    Weights are integers that sum to 2**(6 * axes) over the corners.
    """
    one = 1 << FRACTION_BITS
    # Below resolution - 1, because u is below 2**16: both vertices of a cell exist.
    fixed = u * ((level.resolution - 1) << FRACTION_BITS) >> COORDINATE_BITS
    cell, fraction = fixed >> FRACTION_BITS, fixed & (one - 1)
    for corner in range(1 << len(axes)):
        index = np.zeros(len(u), dtype=np.int64)
        weight = np.ones(len(u), dtype=np.int64)
        for k, axis in enumerate(axes):
            bit = corner >> k & 1
            vertex = cell[:, axis] + bit
            weight = weight * (fraction[:, axis] if bit else one - fraction[:, axis])
            if level.hashed:
                index ^= vertex * _PRIMES[k]
            else:
                index += vertex * level.resolution**k
        yield index & (level.entries - 1) if level.hashed else index, weight


@dataclass(frozen=True)
class HashGrid:
    """A grid with its values.

    Attributes:
        levels: From coarse to fine.
        values: One bool array (entries, 4) per table, True for +1, in the order of the levels
            and of `GridLevel.tables`.
    """

    levels: tuple[GridLevel, ...]
    values: tuple[NDArray[np.bool_], ...]

    @property
    def features(self) -> int:
        """Features per point."""
        return VALUES * sum(len(level.tables) for level in self.levels)

    def __call__(self, u: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of normalised positions ``u`` (N, 3): (N, features), in -127 .. 127."""
        out = np.empty((len(u), self.features), dtype=np.float32)
        tables = iter(self._packed)
        column = 0
        for level in self.levels:
            for axes in level.tables:
                out[:, column : column + VALUES] = _interpolate(u, level, axes, next(tables))
                column += VALUES
        return out

    @cached_property
    def _packed(self) -> tuple[NDArray[np.uint64], ...]:
        """Each table as one word per entry, a field per value; shared by all blocks."""
        return tuple(
            (v.astype(np.uint64) << _FIELDS).sum(axis=1, dtype=np.uint64) for v in self.values
        )


def _interpolate(
    u: NDArray[np.int64], level: GridLevel, axes: tuple[int, ...], packed: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Interpolated entries (N, 4), -127 .. 127."""
    # Weights of all corners sum to 2**(6 * axes); 15 bits fit a field without a carry.
    drop = FRACTION_BITS * len(axes) - 15
    total = np.zeros(len(u), dtype=np.uint64)
    for index, weight in corners(u, level, axes):
        total += packed[index] * ((weight >> drop) if drop > 0 else weight << -drop).view(
            np.uint64
        )
    shares = (total[:, None] >> _FIELDS & np.uint64(0xFFFF)).astype(np.int64)  # 0 .. 2**15
    signed: NDArray[np.int64] = np.clip((shares - (1 << 14)) >> 7, -127, 127)
    return signed


def encode_grid(encoder: Encoder, grid: HashGrid, box: Box) -> None:
    """Codes box, levels, and each table by the frequency of +1 (HAC, eq. 8)."""
    encode_naturals(encoder, np.array([*box.low, box.edge, len(grid.levels)]))
    for level in grid.levels:
        encode_naturals(encoder, np.array([level.axes, level.resolution, level.log2_entries]))
    for values in grid.values:
        bits = values.ravel().astype(np.int32)
        model = encode_table(encoder, np.bincount(bits, minlength=2), precision=8)
        encoder.encode(bits, model)


def decode_grid(decoder: Decoder, position_bits: int) -> tuple[HashGrid, Box]:
    """Inverse of `encode_grid`.

    Raises:
        FormatError: Box or levels out of range.
    """
    x, y, z, edge, count = decode_naturals(decoder, 5).tolist()
    size = 1 << position_bits
    box = Box((x, y, z), edge)
    if not box.fits(size) or count > MAX_LEVELS:
        raise FormatError(
            f"hash grid: box ({x}, {y}, {z}) + {edge} with {count} levels, expected inside "
            f"{size} cells and at most {MAX_LEVELS} levels"
        )
    levels = []
    for number in range(count):
        axes, resolution, log2_entries = decode_naturals(decoder, 3).tolist()
        if not (
            axes in {2, 3}
            and 2 <= resolution <= MAX_RESOLUTION
            and log2_entries <= MAX_LOG2_ENTRIES
        ):
            raise FormatError(
                f"hash grid level {number}: {axes} axes, resolution {resolution}, "
                f"2**{log2_entries} entries; expected 2 or 3, 2 to {MAX_RESOLUTION}, "
                f"at most 2**{MAX_LOG2_ENTRIES}"
            )
        levels.append(GridLevel(axes, resolution, log2_entries))
    total = sum(level.entries * len(level.tables) for level in levels)
    if total > MAX_ENTRIES:
        raise FormatError(f"hash grid: {total} entries, expected at most {MAX_ENTRIES}")
    values = []
    for level in levels:
        for _ in level.tables:
            model = decode_table(decoder, 2)
            bits = decoder.decode(level.entries * VALUES, model).astype(np.bool_)
            values.append(bits.reshape(level.entries, VALUES))
    return HashGrid(tuple(levels), tuple(values)), box
