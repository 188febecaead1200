"""A second octree decoder, written from the specification: slow, integers only, no gscodec.

It finds neighbours by their coordinates in dictionaries, where gscodec has tables. The coder
that it is given has one method, ``decode(count, frequencies) -> list[int]``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

Cell = tuple[int, int, int]
SINGLE, MULTIPLE = 1, 2
OFFSETS = [
    (x, y, z)
    for z in (-1, 0, 1)
    for y in (-1, 0, 1)
    for x in (-1, 0, 1)
    if (x, y, z) != (0, 0, 0)
]
SIDES = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]
# Probability of a one for the classes 0 .. 31, in 2**-24.
ONES = [
    8388608, 9431757, 10443135, 11394728, 12265128, 13040928, 13716624, 14293396,
    14777323, 15177517, 15504527, 15769129, 15981542, 16150975, 16285438, 16391720,
    16475457, 16541267, 16592886, 16633310, 16664929, 16689637, 16708930, 16723987,
    16735732, 16744891, 16752030, 16757595, 16761931, 16765310, 16767942, 16769992,
]  # fmt: skip


class Coder(Protocol):
    """A range decoder."""

    def decode(self, count: int, frequencies: list[int]) -> list[int]:
        """The next ``count`` symbols of a run that shares a table."""


@dataclass
class Weights:
    """Weights of the level before."""

    octants: list[int] = field(default_factory=lambda: [0] * 7)
    occupancy: list[int] = field(default_factory=lambda: [0] * 34)
    singles: list[int] = field(default_factory=lambda: [0] * 16)


def decode_octree(coder: Coder, count: int, bits: int) -> list[int]:
    """Morton codes of ``count`` points, rising."""
    if count == 0:
        return []
    level = {(0, 0, 0): SINGLE if count == 1 else MULTIPLE}
    weights, tracked = Weights(), True
    for _ in range(bits):
        level, tracked = next_level(coder, level, weights, tracked=tracked)
    points = dict.fromkeys(level, 1)
    leaves = [cell for cell, state in level.items() if state == MULTIPLE]
    points.update(zip(leaves, leaf_counts(coder, len(leaves)), strict=True))
    if sum(points.values()) != count:
        raise ValueError("leaves do not hold all points")
    return [morton(cell, bits) for cell, n in points.items() for _ in range(n)]


def next_level(
    coder: Coder, level: dict[Cell, int], weights: Weights, *, tracked: bool
) -> tuple[dict[Cell, int], bool]:
    """The three stages. Nodes of a level are kept in Morton order."""
    known: dict[Cell, int] = {}
    stage_octants(coder, level, known, weights, tracked=tracked)
    track_next = bool(coder.decode(1, uniform(2))[0])
    stage_occupancy(coder, level, known, weights)
    children = [c for cell in level for c in eight(cell) if known[c]]
    return stage_singles(coder, level, children, weights), track_next


def stage_octants(
    coder: Coder,
    level: dict[Cell, int],
    known: dict[Cell, int],
    weights: Weights,
    *,
    tracked: bool,
) -> None:
    """Where the point of each single node lies."""
    singles = [cell for cell, state in level.items() if state == SINGLE]
    octants = [0] * len(singles)
    if tracked:
        weights.octants = changed_weights(coder, weights.octants)
        for axis in (2, 1, 0):
            logits = [
                dot(octant_features(level, cell, octant, axis), weights.octants)
                for cell, octant in zip(singles, octants, strict=True)
            ]
            ones = decisions(coder, logits)
            octants = [o | one << axis for o, one in zip(octants, ones, strict=True)]
    else:
        octants = coder.decode(len(singles), uniform(8))
    for cell, octant in zip(singles, octants, strict=True):
        for number, child in enumerate(eight(cell)):
            known[child] = int(number == octant)


def octant_features(level: dict[Cell, int], cell: Cell, octant: int, axis: int) -> list[int]:
    """Upper minus lower side along ``axis``; ``octant`` has the axes decided so far."""
    features = [0] * 7
    for offset in OFFSETS:
        state = level.get(add(cell, offset), 0)
        if state:
            features[rank(offset) - 1] += offset[axis]
            for decided in range(axis + 1, 3):
                sign = 1 if octant >> decided & 1 else -1
                features[6] += sign * offset[decided] * offset[axis]
        if state == MULTIPLE:
            features[rank(offset) + 2] += offset[axis]
    return features


def stage_occupancy(
    coder: Coder, level: dict[Cell, int], known: dict[Cell, int], weights: Weights
) -> None:
    """Which octants of each multiple node are occupied."""
    weights.occupancy = changed_weights(coder, weights.occupancy)
    nodes = [cell for cell, state in level.items() if state == MULTIPLE]
    found = dict.fromkeys(nodes, 0)
    for octant in range(8):
        asked = [cell for cell in nodes if octant < 7 or found[cell]]
        logits = [
            dot(occupancy_features(level, known, cell, octant, found[cell]), weights.occupancy)
            for cell in asked
        ]
        ones = dict.fromkeys(nodes, 1) | dict(zip(asked, decisions(coder, logits), strict=True))
        for cell, one in ones.items():
            known[eight(cell)[octant]] = one
            found[cell] += one


def occupancy_features(
    level: dict[Cell, int], known: dict[Cell, int], cell: Cell, octant: int, found: int
) -> list[int]:
    """Neighbours of the node by side, known cells around the child, pass, found so far."""
    features = [0] * 34
    child = eight(cell)[octant]
    for offset in OFFSETS:
        if level.get(add(cell, offset)):
            facing = [o if octant >> a & 1 else -o for a, o in enumerate(offset)]
            features[SIDES.index((facing.count(1), facing.count(-1)))] += 1
        near = add(child, offset)
        if near in known:
            outside = half(near) != cell
            features[9 + 4 * (rank(offset) - 1) + 2 * outside + (1 - known[near])] += 1
    features[21 + octant] = 1
    features[29 + min(found, 4)] = 1
    return features


def stage_singles(
    coder: Coder, level: dict[Cell, int], children: list[Cell], weights: Weights
) -> dict[Cell, int]:
    """Which of ``children`` are single."""
    weights.singles = changed_weights(coder, weights.singles)
    present = set(children)
    siblings = {cell: sum(c in present for c in eight(cell)) for cell in level}
    states = {c: SINGLE if level[half(c)] == SINGLE else MULTIPLE for c in children}
    asked = [c for c in children if level[half(c)] == MULTIPLE and siblings[half(c)] > 1]
    logits = []
    for child in asked:
        features = [0] * 16
        for offset in OFFSETS:
            near = add(child, offset)
            if near in present:
                features[rank(offset) - 1 + 3 * (half(near) == half(child))] += 1
                features[rank(offset) + 5] += level[half(near)] == SINGLE
        features[9 + siblings[half(child)] - 2] = 1
        logits.append(dot(features, weights.singles))
    for child, one in zip(asked, decisions(coder, logits), strict=True):
        states[child] = SINGLE if one else MULTIPLE
    return states


def leaf_counts(coder: Coder, leaves: int) -> list[int]:
    """Points in each multiple leaf."""
    if leaves == 0:
        return []
    counts = naturals(coder, 16)
    spare, total = (1 << 24) - 16, max(sum(counts), 1)
    frequencies = [1 + count * spare // total for count in counts]
    frequencies[counts.index(max(counts))] += (1 << 24) - sum(frequencies)
    symbols = coder.decode(leaves, frequencies)
    more = iter(naturals(coder, symbols.count(15)))
    return [2 + symbol + (next(more) if symbol == 15 else 0) for symbol in symbols]


def changed_weights(coder: Coder, before: list[int]) -> list[int]:
    """Weights as differences from those of the level before."""
    if not coder.decode(1, uniform(2))[0]:
        return before
    codes = naturals(coder, len(before))
    return [b + ((c >> 1) ^ -(c & 1)) for b, c in zip(before, codes, strict=True)]


def decisions(coder: Coder, logits: list[int]) -> list[int]:
    """One bit for each logit; runs by rising class."""
    classes = [max(-31, min(31, (logit + 2) >> 2)) for logit in logits]
    out = [0] * len(logits)
    for number in range(-31, 32):
        rows = [i for i, c in enumerate(classes) if c == number]
        one = ONES[number] if number >= 0 else (1 << 24) - ONES[-number]
        for i, bit in zip(rows, coder.decode(len(rows), [(1 << 24) - one, one]), strict=True):
            out[i] = bit
    return out


def naturals(coder: Coder, count: int) -> list[int]:
    """A run of naturals: all lengths, then byte plane after byte plane."""
    lengths = coder.decode(count, uniform(32))
    low = [0] * count
    for plane in range(4):
        rows = [i for i in range(count) if lengths[i] > 8 * plane]
        for i, byte in zip(rows, coder.decode(len(rows), uniform(256)), strict=True):
            low[i] |= byte << 8 * plane
    return [(1 << n) + value - 1 for value, n in zip(low, lengths, strict=True)]


def uniform(size: int) -> list[int]:
    """All symbols alike."""
    return [(1 << 24) // size] * size


def eight(cell: Cell) -> list[Cell]:
    """The children of a cell, by octant."""
    x, y, z = (2 * c for c in cell)
    return [(x + (o & 1), y + (o >> 1 & 1), z + (o >> 2)) for o in range(8)]


def half(cell: Cell) -> Cell:
    """The parent of a cell."""
    return (cell[0] >> 1, cell[1] >> 1, cell[2] >> 1)


def add(cell: Cell, offset: Cell) -> Cell:
    """The cell at an offset."""
    return (cell[0] + offset[0], cell[1] + offset[1], cell[2] + offset[2])


def rank(offset: Cell) -> int:
    """1 across a face, 2 an edge, 3 a corner."""
    return sum(map(abs, offset))


def dot(features: list[int], weights: list[int]) -> int:
    """A logit, 1/16 nat."""
    return sum(f * w for f, w in zip(features, weights, strict=True))


def morton(cell: Cell, bits: int) -> int:
    """Bits interleaved, x lowest."""
    return sum((cell[a] >> b & 1) << (3 * b + a) for b in range(bits) for a in range(3))
