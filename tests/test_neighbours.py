"""Neighbours in turns: against a search through everything, and at the ends of every range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_hemgs as reference
from gscodec.coding import Family
from gscodec.intnet.box import Box
from gscodec.intnet.context import AnyModel, DecisionModel, UnitModel
from gscodec.intnet.neighbours import (
    CANDIDATES,
    DISTANCES,
    FIRST,
    NEAREST,
    TURNS,
    Neighbours,
    columns_of,
    distances,
    neighbours_of,
    octaves,
    seen_of,
)
from gscodec.intnet.network import Layer, Network
from gscodec.kinds.anchors import anchor_units
from gscodec.kinds.gaussians import gaussian_units
from gscodec.learned.networks import Networks
from gscodec.methods import hemgs
from gscodec.units import Place, Unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.units import Law

SIZE = 1 << 21  # of the deepest lattice
counts = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40, 130])
sizes = st.sampled_from([1, 2, 5, 1000, SIZE])  # of the cube: ties, duplicates, far apart
seeds = st.integers(0, 2**32 - 1)


def cells_of(seed: int, count: int, size: int) -> NDArray[np.int64]:
    """Random ones, in no order: that of Morton codes is not needed."""
    return np.random.default_rng(seed).integers(0, size, (count, 3))


@given(seeds, counts, sizes)
def test_neighbours_are_those_of_a_search_through_all_candidates(
    seed: int, count: int, size: int
) -> None:
    """All earlier turns by their place in the order: eight before, eight after, the nearest."""
    cells = cells_of(seed, count, size)
    earlier: list[int] = []
    for turn, found in zip(TURNS, neighbours_of(cells), strict=True):
        rows = list(range(count))[turn]
        assert found.index.shape == found.weights.shape == (NEAREST, len(rows))
        for at, row in enumerate(rows):
            before = [q for q in sorted(earlier, reverse=True) if q < row][: CANDIDATES // 2]
            after = [q for q in sorted(earlier) if q > row][: CANDIDATES // 2]
            keys = [
                (int(((cells[q] - cells[row]) ** 2).sum()), 0, c) for c, q in enumerate(before)
            ]
            keys += [
                (int(((cells[q] - cells[row]) ** 2).sum()), 1, c) for c, q in enumerate(after)
            ]
            wanted = [(before, after)[side][c] for _, side, c in sorted(keys)[:NEAREST]]
            weights = found.weights[:, at]
            assert found.index[: len(wanted), at].tolist() == wanted
            assert (weights[: len(wanted)] >= 0).all()
            assert not weights[len(wanted) :].any()
            assert weights.sum() <= 256
            if wanted:
                assert weights.sum() > 256 - NEAREST
                assert (np.diff(weights[: len(wanted)]) <= 0).all()
        earlier += rows
    assert sorted(earlier) == list(range(count))


def test_ties_go_to_places_before_and_near_in_the_order() -> None:
    """All in one cell: the eight before, the nearest first; where there are fewer, those after."""
    last = neighbours_of(np.zeros((41, 3), np.int64))[3]
    assert last.index[:, 9].tolist() == [18, 16, 14, 12, 10, 8, 6, 4]  # of row 19
    assert last.index[:, 1].tolist() == [2, 0, 4, 6, 8, 10, 12, 14]  # of row 3
    assert (last.weights == 32).all()


@given(seeds, counts, sizes, st.integers(0, 2048))
def test_the_reference_finds_the_same(seed: int, count: int, size: int, usual: int) -> None:
    """Neighbours, weights, distances."""
    cells = cells_of(seed, count, size)
    around = neighbours_of(cells)
    seen = distances(cells, around, usual)
    assert seen.shape == (count, DISTANCES)
    points = [tuple(cell) for cell in cells.tolist()]
    for (start, step, first, apart), found in zip(reference.TURNS, around, strict=True):
        for at, row in enumerate(range(start, count, step)):
            other = reference.neighbours(points, row, first, apart)
            none = [0] * (NEAREST - len(other))
            assert found.index[:, at].tolist() == [n.number for n in other] + none
            assert found.weights[:, at].tolist() == [n.weight for n in other] + none
            wanted = reference.distance_features(points, row, other, usual)
            assert seen[row].tolist() == wanted


def test_distances_of_the_largest_lattice_are_exact() -> None:
    """From corner to corner; and beyond the block."""
    cells = np.array([[0, 0, 0], [SIZE - 1] * 3])
    seen = distances(cells, neighbours_of(cells), 0)
    assert seen.tolist() == [[127] * 4 + [0], [127] * 5]
    half = 1 + math.isqrt(4 * 3 * (SIZE - 1) ** 2)
    wanted = reference.octaves(half) - 700
    assert distances(cells, neighbours_of(cells), 700)[1].tolist() == [
        wanted,
        *[127] * 3,
        wanted,
    ]


@given(st.integers(1, 2**27))
def test_octaves_are_a_logarithm(n: int) -> None:
    """Never above it, less than 0.09 octaves and one step below, and they never fall."""
    both = octaves(np.array([n, n + 1]))
    assert both[0] == reference.octaves(n)
    assert 0 <= 32 * math.log2(n) - both[0] < 32 * 0.0861 + 1
    assert both[1] >= both[0]


def test_octaves_of_powers_of_two_are_exact() -> None:
    powers = 1 << np.arange(53)
    assert octaves(powers).tolist() == (32 * np.arange(53)).tolist()


# --- what is seen ---------------------------------------------------------------------------


def unit(columns: int, *, fine: bool = False) -> Unit:
    """Of so many columns."""
    return Unit(gaussian_units(0)[0].attribute, columns, (0,) * columns, (0,) * columns, fine)


@given(seeds, st.sampled_from([1, 2, 3, 10, 11, 16, 17, 192]), st.booleans(), st.booleans())
def test_what_is_seen_is_what_the_reference_sees(
    seed: int, columns: int, fine: bool, extreme: bool
) -> None:
    """Also where all features are -127 or 127: no sum leaves 16 bits."""
    rng = np.random.default_rng(seed)
    cells = cells_of(seed, 60, 9)
    features = rng.integers(-127, 128, (columns, 60)).astype(np.int8)
    if extreme:
        features = rng.choice(np.array([-127, 127], np.int8), (columns, 60))
        features[:, ::3] = -127
    own, points = features.T.tolist(), [tuple(cell) for cell in cells.tolist()]
    for (start, step, first, apart), found in zip(
        reference.TURNS, neighbours_of(cells), strict=True
    ):
        seen, means = seen_of(unit(columns, fine=fine), features, found)
        assert seen.shape[1] == columns_of(unit(columns, fine=fine))
        for at, row in enumerate(range(start, 60, step)):
            other = reference.neighbours(points, row, first, apart)
            wanted, sums = reference.look(own, columns, other, fine=fine)
            assert seen[at].tolist() == wanted
            assert means[at].tolist() == sums


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("weights", [[256] + [0] * 7, [32] * 8, [255, 1] + [0] * 6])
def test_extreme_features_do_not_overflow(sign: int, weights: list[int]) -> None:
    """One neighbour unlike the others, and all alike."""
    features = np.full((1, 8), 127 * sign, np.int8)
    around = Neighbours(
        np.arange(8)[:, None], np.array(weights, np.int16)[:, None], np.ones(1, np.int64)
    )
    seen, means = seen_of(unit(1, fine=True), features, around)
    assert means.tolist() == [[127 * 256 * sign]]
    assert seen.tolist() == [[127 * sign, 127 * sign, 0]]
    features[0, 1:] *= -1
    seen, means = seen_of(unit(1), features, around)
    total = 127 * sign * (2 * weights[0] - 256)
    mean = total >> 8
    off = sum(w * abs(int(f) - mean) for w, f in zip(weights, features[0], strict=True))
    assert means.tolist() == [[total]]
    assert seen.tolist() == [[mean, min(off >> 8, 127)]]


# --- laws -----------------------------------------------------------------------------------


def model_of(units: tuple[Unit, ...], seed: int) -> hemgs.Model:
    """Random networks that look at everything."""
    rng = np.random.default_rng(seed)
    width, models, gains, kept = FIRST, list[AnyModel](), [], []
    for number, one in enumerate(units):
        inputs = width + columns_of(one)
        shape = (inputs, one.outputs)
        layer = Layer(
            rng.integers(-40, 41, shape).astype(np.float32), np.zeros(one.outputs, np.float32)
        )
        network = Network((layer,), 6)
        if one.decides:
            models.append(DecisionModel(network))
            gains.append(np.zeros(0, np.int64))
        else:
            models.append(UnitModel(Family(number % 2), 8, 5, 9, 40, network))
            gains.append(rng.integers(-127, 128, one.columns))
        kept.append(number % 2 == 0)
        width += one.features + kept[-1] * columns_of(one)
    return hemgs.Model(
        Box((3, 4, 5), 90), 60, Networks(units, tuple(models)), tuple(gains), tuple(kept)
    )


def laws(
    model: hemgs.Model, place: Place, values: list[NDArray[np.int64]]
) -> list[list[tuple[bytes, bytes, bytes]]]:
    """Of each unit and turn, as bytes, while ``values`` are the residuals."""
    known, found = model.known(place), list[list[tuple[bytes, bytes, bytes]]]()
    for residuals in values:
        found.append([])
        for rows in known.turns:
            found[-1].append(flat(known.law()))
            known.add(residuals[rows].copy())
    return found


def flat(law: Law) -> tuple[bytes, bytes, bytes]:
    """Its arrays."""
    return law.centre.tobytes(), law.step.tobytes(), law.table.tobytes()


@pytest.mark.parametrize("kind", ["gaussians", "anchors"])
def test_a_law_does_not_depend_on_what_comes_later(kind: str) -> None:
    """Values of a turn change laws of later turns and units, and nothing before them."""
    units = gaussian_units(1) if kind == "gaussians" else anchor_units(7, 4)
    model, rng = model_of(units, 1), np.random.default_rng(2)
    place = Place(np.sort(rng.integers(0, 1 << 18, 50).astype(np.uint64)), 6)
    residuals = [rng.integers(0, 2, (50, one.columns)) for one in units]
    before = laws(model, place, residuals)
    assert before == laws(model, place, residuals)
    for number in range(len(units)):
        for turn, rows in enumerate(TURNS):
            changed = [r.copy() for r in residuals]
            changed[number][rows] = 1 - changed[number][rows]
            after = laws(model, place, changed)
            assert after[:number] == before[:number]
            assert after[number][: turn + 1] == before[number][: turn + 1]
            if turn + 1 < len(TURNS):
                assert all(
                    a != b
                    for a, b in zip(
                        after[number][turn + 1 :], before[number][turn + 1 :], strict=True
                    )
                )
            if number + 1 < len(units):
                assert after[number + 1] != before[number + 1]
