"""Lattice, Morton codes, octree."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gscodec.coding import Decoder, Encoder, encode_naturals
from gscodec.coding.bits import FREQUENCIES, class_models
from gscodec.errors import FormatError, SceneError
from gscodec.geometry import Lattice, logistic, morton, octree
from reference_decoder import RangeDecoder
from reference_geometry import ONES, decode_octree

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReferenceCoder(RangeDecoder):
    """The reference range decoder as `reference_geometry` wants it."""

    def decode(self, count: int, frequencies: list[int]) -> list[int]:
        return self.symbols(count, [0, *accumulate(frequencies)])


def pack(codes: NDArray[np.uint64], bits: int) -> bytes:
    encoder = Encoder()
    octree.encode(codes, bits, encoder)
    return encoder.finish()


def unpack(data: bytes, count: int, bits: int) -> NDArray[np.uint64]:
    decoder = Decoder(data)
    codes = octree.decode(decoder, count, bits)
    decoder.finish()
    return codes


def sorted_codes(ijk: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.sort(morton.encode(ijk))


def sphere(count: int, bits: int, seed: int = 0) -> NDArray[np.uint64]:
    """Points near a sphere, every tenth twice."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = direction * (1 + 0.01 * rng.normal(size=(count, 1)))
    points[::10] = points[1::10][: len(points[::10])]
    means = points.astype(np.float32)
    return sorted_codes(Lattice.covering(means, bits).quantize(means))


CASES = {
    "no point": np.zeros((0, 3), np.int64),
    "one point": np.array([[3, 0, 5]]),
    "13 points in one cell": np.full((13, 3), 7),
    "two far apart": np.array([[0, 0, 0], [7, 7, 7]]),
    "60 in one cell and one elsewhere": np.array([[1, 2, 3]] * 60 + [[7, 0, 0]]),
    "a line": np.stack([np.arange(8)] * 3, axis=1),
    "a full cube": np.stack(np.meshgrid(*[np.arange(8)] * 3), axis=-1).reshape(-1, 3),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("bits", [3, 21])
def test_octree_gives_back_hard_point_sets(name: str, bits: int) -> None:
    codes = sorted_codes(CASES[name] << (bits - 3))
    np.testing.assert_array_equal(unpack(pack(codes, bits), len(codes), bits), codes)


@pytest.mark.parametrize("bits", range(1, 22))
def test_octree_gives_back_points_at_every_depth(bits: int) -> None:
    codes = sphere(300, bits)
    np.testing.assert_array_equal(unpack(pack(codes, bits), 300, bits), codes)


@settings(max_examples=60)
@given(
    bits=st.integers(1, 21),
    cells=st.lists(st.tuples(*[st.integers(0, 2**21 - 1)] * 3)),
    twice=...,
)
def test_octree_gives_back_any_points(
    bits: int, cells: list[tuple[int, int, int]], twice: bool
) -> None:
    ijk = np.array(cells * (1 + twice), dtype=np.int64).reshape(-1, 3) >> (21 - bits)
    codes = sorted_codes(ijk)
    np.testing.assert_array_equal(unpack(pack(codes, bits), len(codes), bits), codes)


def test_octree_needs_no_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came with numpy 2.0 stays away; `make portability` runs with 1.26."""
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    codes = sphere(300, 6)
    assert unpack(pack(codes, 6), 300, 6).tolist() == codes.tolist()


@pytest.mark.parametrize(("count", "bits"), [(1, 4), (40, 2), (1500, 7), (600, 12)])
def test_octree_agrees_with_the_reference_decoder(count: int, bits: int) -> None:
    codes = sphere(count, bits) if count > 1 else np.array([77], np.uint64)
    coder = ReferenceCoder(pack(codes, bits))
    assert decode_octree(coder, count, bits) == codes.tolist()
    coder.finish()


def test_points_that_lose_their_contexts_agree_with_the_reference_decoder() -> None:
    # Scattered points: contexts of single nodes save nothing, so the encoder drops them.
    codes = sorted_codes(np.random.default_rng(1).integers(0, 2**8, (400, 3)))
    assert decode_octree(ReferenceCoder(pack(codes, 8)), 400, 8) == codes.tolist()


def test_contexts_save_a_tenth_of_a_surface() -> None:
    direction = np.random.default_rng(0).normal(size=(20_000, 3))
    means = (direction / np.linalg.norm(direction, axis=1, keepdims=True)).astype(np.float32)
    codes = np.unique(sorted_codes(Lattice.covering(means, 7).quantize(means)))
    without = sum(occupancy_bits(codes >> np.uint64(3 * up)) for up in range(7))
    assert len(pack(codes, 7)) * 8 < 0.9 * without


def occupancy_bits(codes: NDArray[np.uint64]) -> float:
    """Entropy of the occupancy of the parents of ``codes``, one static table."""
    nodes = np.unique(codes)
    _, parents = np.unique(nodes >> np.uint64(3), return_inverse=True)
    occupancy = np.bincount(parents, weights=1 << (nodes & np.uint64(7)).astype(np.int64))
    share = np.unique(occupancy, return_counts=True)[1] / len(occupancy)
    return float(-len(occupancy) * (share * np.log2(share)).sum())


def test_same_points_give_the_same_bytes() -> None:
    codes = sphere(500, 9)
    assert pack(codes, 9) == pack(codes.copy(), 9)


def test_shipped_frequencies_are_those_of_the_specification() -> None:
    assert list(FREQUENCIES) == ONES
    exact = 2**24 / (1 + np.exp(-np.arange(32) / 4))
    assert np.abs(exact - ONES).max() <= 0.5
    assert len(class_models()) == 63


@cache
def packed_sphere() -> bytes:
    return pack(sphere(200, 8), 8)


def decodes_or_refuses(data: bytes, count: int, bits: int) -> bool:
    """Whether ``data`` is refused; anything but FormatError fails the test."""
    try:
        codes = unpack(data, count, bits)
    except FormatError:
        return True
    assert codes.shape == (count,)
    assert np.all(codes[1:] >= codes[:-1])
    assert int(codes.max(initial=0)) < 8**bits
    return False


def test_every_truncation_is_decoded_or_refused() -> None:
    data = pack(sphere(60, 6), 6)
    refused = [decodes_or_refuses(data[:end], 60, 6) for end in range(0, len(data), 4)]
    assert sum(refused) > len(refused) // 2
    assert decodes_or_refuses(data[:-1], 60, 6)


@given(data=st.binary(max_size=400), count=st.integers(0, 5000), bits=st.integers(1, 21))
def test_any_bytes_are_decoded_or_refused(data: bytes, count: int, bits: int) -> None:
    decodes_or_refuses(data[: len(data) // 4 * 4], count, bits)


@settings(max_examples=40)
@given(at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_changed_byte_is_decoded_or_refused(at: int, flip: int) -> None:
    data = bytearray(packed_sphere())
    data[at % len(data)] ^= flip
    decodes_or_refuses(bytes(data), 200, 8)


@pytest.mark.parametrize("count", [199, 201, 20])
def test_another_count_is_refused(count: int) -> None:
    with pytest.raises(FormatError, match=r"octree|coded stream"):
        unpack(packed_sphere(), count, 8)


@pytest.mark.parametrize("bits", [0, 22])
def test_depths_outside_1_to_21_are_refused(bits: int) -> None:
    with pytest.raises(FormatError, match="expected 1 to 21"):
        octree.decode(Decoder(b""), 5, bits)
    with pytest.raises(FormatError, match="expected 1 to 21"):
        Lattice((0.0, 0.0, 0.0), 1.0, bits)


def test_weights_beyond_the_limit_are_refused() -> None:
    before = np.zeros(7, np.int64)
    encoder = Encoder()
    logistic.encode_weights(encoder, before + logistic.WEIGHT_LIMIT + 1, before)
    with pytest.raises(FormatError, match="found magnitude 4096, expected at most 4095"):
        logistic.decode_weights(Decoder(encoder.finish()), before)


def test_weights_at_the_limit_are_kept() -> None:
    before, weights = np.zeros(7, np.int64), np.full(7, -logistic.WEIGHT_LIMIT)
    encoder = Encoder()
    logistic.encode_weights(encoder, weights, before)
    decoded = logistic.decode_weights(Decoder(encoder.finish()), before)
    np.testing.assert_array_equal(decoded, weights)


@given(st.lists(st.tuples(*[st.integers(0, 2**21 - 1)] * 3)))
def test_morton_codes_interleave_the_bits_of_x_y_z(cells: list[tuple[int, int, int]]) -> None:
    ijk = np.array(cells, dtype=np.int64).reshape(-1, 3)
    codes = morton.encode(ijk)
    slow = [
        sum((c[a] >> b & 1) << (3 * b + a) for b in range(21) for a in range(3)) for c in cells
    ]
    assert codes.dtype == np.uint64
    assert codes.tolist() == slow
    np.testing.assert_array_equal(morton.decode(codes), ijk)


@given(
    st.lists(st.tuples(*[st.floats(width=32, min_value=-1e6, max_value=1e6)] * 3), min_size=1),
    st.integers(1, 21),
)
@example([(0.0, 0.0, 999922.0), (0.0, 0.0, -999922.0), (0.0, 0.0, -2.4745765e-13)], 8)
def test_lattice_positions_are_half_a_step_away_at_most(
    points: list[tuple[float, float, float]], bits: int
) -> None:
    means = np.array(points, dtype=np.float32)
    lattice = Lattice.covering(means, bits)
    ijk = lattice.quantize(means)
    assert ijk.min() >= 0
    assert ijk.max() < 2**bits
    found = lattice.positions(ijk).astype(np.float64)
    rounding = (np.abs(found) + np.abs(means)) * 2.0**-22 + 1e-40  # both are float32
    assert np.all(np.abs(found - means) <= lattice.step / 2 + rounding)


@pytest.mark.parametrize("means", [np.zeros((0, 3)), np.ones((1, 3)), np.full((5, 3), -2.5)])
def test_a_box_without_extent_gets_step_1_and_exact_positions(
    means: NDArray[np.float64],
) -> None:
    given = means.astype(np.float32)
    lattice = Lattice.covering(given, 10)
    assert lattice.step == 1.0
    np.testing.assert_array_equal(lattice.positions(lattice.quantize(given)), given)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_positions_off_any_lattice_are_refused(value: float) -> None:
    with pytest.raises(SceneError, match="positions: found values that are infinite"):
        Lattice.covering(np.array([[0, 0, 0], [0, value, 0]], np.float32), 8)


@pytest.mark.parametrize(
    ("origin", "step"), [(np.nan, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (1e300, 1.0)]
)
def test_a_lattice_with_senseless_numbers_is_refused(origin: float, step: float) -> None:
    with pytest.raises(FormatError, match="lattice: found origin"):
        Lattice((0.0, origin, 0.0), step, 4)


def test_many_points_in_one_leaf_are_counted() -> None:
    codes = np.zeros(100_000, np.uint64)
    data = pack(codes, 2)
    assert len(data) < 80
    assert len(unpack(data, 100_000, 2)) == 100_000


def test_a_leaf_with_more_points_than_there_are_is_refused() -> None:
    encoder = Encoder()
    octree.encode(np.zeros(100, np.uint64), 1, encoder)
    encode_naturals(encoder, np.array([2**31]))
    with pytest.raises(FormatError, match="octree leaves: found 100 points, expected 101"):
        octree.decode(Decoder(encoder.finish()), 101, 1)


class _NarrowNumpy:
    """numpy as on 32 bits, as far as counts for `numpy.repeat` go."""

    intp = np.int32

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)

    @staticmethod
    def repeat(values: NDArray[np.uint64], counts: NDArray[np.integer]) -> NDArray[np.uint64]:
        assert np.can_cast(counts.dtype, np.int32, "safe")
        return np.repeat(values, counts)


def test_counts_of_leaves_are_as_wide_as_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an index has 32 bits, `numpy.repeat` refuses counts of 64."""
    codes = sphere(300, 4)
    data = pack(codes, 4)
    monkeypatch.setattr(octree, "np", _NarrowNumpy())
    assert unpack(data, len(codes), 4).tolist() == codes.tolist()
