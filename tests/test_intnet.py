"""Integer networks, hash grids and context models against plain integer arithmetic."""

from __future__ import annotations

import time
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_hac as reference
from gscodec.coding import Decoder, Encoder, Family, encode_fitted, encode_naturals
from gscodec.errors import FormatError
from gscodec.intnet import context, hashgrid, network
from gscodec.intnet.box import Box
from gscodec.intnet.context import (
    STEPS,
    UnitModel,
    decode_model,
    encode_model,
)
from gscodec.intnet.hashgrid import GridLevel, HashGrid, decode_grid, encode_grid
from gscodec.intnet.network import EXACT, Layer, Network, decode_network, encode_network
from gscodec.payload import Attribute
from gscodec.units import Unit
from reference_decoder import RangeDecoder

if TYPE_CHECKING:
    from collections.abc import Callable


seeds = st.integers(0, 2**32 - 1)
garbage = st.binary(max_size=80).map(lambda data: data[: len(data) // 4 * 4])
GROUPS = {
    "scale": Unit(Attribute.SCALE, 3, (0, 1, 2), (0, 0, 0)),
    "rotation": Unit(Attribute.ROTATION, 3, (0, 1, 1), (0, 0, 0)),
    "chroma": Unit(Attribute.SH_1, 6, (0,) * 6, (2, 2, 2, -4, -4, -4), fine=True),
}


def make_network(rng: np.random.Generator, widths: list[int], shift: int = 6) -> Network:
    """Random weights, as large as the bound lets them be."""
    layers = []
    for number, (rows, columns) in enumerate(pairwise(widths)):
        reach = int(EXACT / (255 if number else 127) / (rows + 1))
        weights = rng.integers(-reach, reach + 1, (rows, columns))
        bias = rng.integers(-reach, reach + 1, columns)
        layers.append(Layer(weights.astype(np.float32), bias.astype(np.float32)))
    return Network(tuple(layers), shift)


def coded(write: Callable[..., None], *values: Any) -> bytes:
    """The stream that ``write`` makes of ``values``."""
    encoder = Encoder()
    write(encoder, *values)
    return encoder.finish()


def plain(net: Network) -> list[reference.Layer]:
    """The layers as the reference decoder holds them."""
    return [
        reference.Layer(x.weights.T.astype(int).tolist(), x.bias.astype(int).tolist())
        for x in net.layers
    ]


def same_network(a: Network, b: Network) -> bool:
    """Whether all numbers are equal."""
    return a.shift == b.shift and all(
        np.array_equal(x.weights, y.weights) and np.array_equal(x.bias, y.bias)
        for x, y in zip(a.layers, b.layers, strict=True)
    )


# --- networks --------------------------------------------------------------------------------


@given(seeds, st.lists(st.integers(1, 60), min_size=2, max_size=5), st.integers(0, 15))
def test_networks_are_exact(seed: int, widths: list[int], shift: int) -> None:
    """float32 products give what int64 gives, at the largest weights and inputs."""
    rng = np.random.default_rng(seed)
    net = make_network(rng, widths, shift)
    x = rng.choice([-127, 127, 0, 1, 55], (20, widths[0]))
    found = net(x.astype(np.float32))
    for layer in net.layers[:-1]:
        z = x @ layer.weights.astype(np.int64) + layer.bias.astype(np.int64)
        x = np.clip(z >> shift, 0, 255)
    last = net.layers[-1]
    expected = x @ last.weights.astype(np.int64) + last.bias.astype(np.int64)
    assert np.abs(expected).max() < EXACT
    np.testing.assert_array_equal(found, expected)


def test_rows_do_not_depend_on_each_other() -> None:
    """One row alone, or among many thousands: the same bits."""
    rng = np.random.default_rng(0)
    net = make_network(rng, [30, 48, 9])
    x = rng.integers(-127, 128, (9000, 30)).astype(np.float32)
    before, whole = x.copy(), net(x)
    np.testing.assert_array_equal(x, before)
    for row in (0, 4095, 4096, 8999):
        np.testing.assert_array_equal(net(x[row : row + 1])[0], whole[row])


@pytest.mark.parametrize(
    ("weight", "bias", "layer", "fits"),
    [
        (132104, 7, 0, True),
        (132104, 8, 0, False),
        (132104, -8, 0, False),
        (-132104, 8, 0, False),
        (65793, 0, 1, True),
        (65793, 1, 1, False),
        (65794, 0, 1, False),
    ],
)
def test_bound_is_exact(weight: int, bias: int, layer: int, *, fits: bool) -> None:
    """127 (first layer) or 255 times the weights, plus the bias, stays below 2**24."""
    layers = [Layer(np.zeros((1, 1), np.float32), np.zeros(1, np.float32)) for _ in range(2)]
    layers[layer] = Layer(np.full((1, 1), weight, np.float32), np.full(1, bias, np.float32))
    if fits:
        Network(tuple(layers), 0)
        return
    with pytest.raises(FormatError, match=f"network layer {layer}: sums reach 1677"):
        Network(tuple(layers), 0)


@pytest.mark.parametrize(
    "net",
    [[[float("nan")]], [[float("inf")]]],
)
def test_bound_refuses_what_is_no_number(net: list[list[float]]) -> None:
    """A comparison with NaN must not pass."""
    with pytest.raises(FormatError, match="sums reach"):
        Network((Layer(np.array(net, np.float32), np.zeros(1, np.float32)),), 0)


@given(seeds, st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(0, 15))
def test_networks_come_back(seed: int, widths: list[int], shift: int) -> None:
    """With no hidden layer up to four."""
    net = make_network(np.random.default_rng(seed), widths, shift)
    decoder = Decoder(coded(encode_network, net))
    assert same_network(decode_network(decoder, widths[0], widths[-1]), net)
    decoder.finish()


@pytest.mark.parametrize(
    ("naturals", "message"),
    [
        ([[16, 1]], "found shift 16 and 1 hidden layers, expected at most 15 and 4"),
        ([[6, 5]], "found shift 6 and 5 hidden layers"),
        ([[6, 2], [16, 257]], r"hidden widths \[16, 257\], expected 1 to 256"),
        ([[6, 1], [0]], r"hidden widths \[0\]"),
        ([[6, 1], [4], [88]], "scale level: found 88"),
    ],
)
def test_bad_shapes_of_networks_are_refused(naturals: list[list[int]], message: str) -> None:
    """Before any weight is read."""
    encoder = Encoder()
    for run in naturals:
        encode_naturals(encoder, np.array(run))
    with pytest.raises(FormatError, match=message):
        decode_network(Decoder(encoder.finish()), 5, 3)


def test_weights_beyond_float32_are_refused() -> None:
    """2**24 + 1 would be rounded before the bound could see it."""
    encoder = Encoder()
    encode_naturals(encoder, np.array([6, 0]))
    for values in ([2**24 + 1], [0]):
        encode_fitted(encoder, np.array(values))
    with pytest.raises(FormatError, match="a weight or bias is not below 16777216"):
        decode_network(Decoder(encoder.finish()), 1, 1)


# --- hash grid -------------------------------------------------------------------------------

LEVELS = [
    GridLevel(3, 2, 19),  # direct
    GridLevel(3, 6, 4),  # hashed
    GridLevel(2, 50, 12),  # direct planes
    GridLevel(2, 300, 5),  # hashed planes
    GridLevel(3, 2048, 10),
    GridLevel(2, 2048, 0),  # one entry for all
]


def make_grid(rng: np.random.Generator, levels: list[GridLevel]) -> HashGrid:
    """A grid of random signs, different shares of them in each table."""
    values = tuple(
        rng.random((level.entries, 4)) < rng.random() for level in levels for _ in level.tables
    )
    return HashGrid(tuple(levels), values)


def plain_grid(grid: HashGrid, box: Box) -> reference.Grid:
    """The grid as the reference decoder holds it."""
    values = iter(grid.values)
    tables = [
        reference.GridTable(
            axes, level.resolution, level.hashed, next(values).astype(int).tolist()
        )
        for level in grid.levels
        for axes in level.tables
    ]
    return reference.Grid(reference.Box(box.low, box.edge), tables)


@given(
    seeds,
    st.lists(st.sampled_from(LEVELS), max_size=4),
    st.tuples(*[st.integers(0, 2**21 - 1)] * 3),
    st.integers(0, 21).flatmap(lambda bits: st.integers(1, 2**bits)),
)
def test_grid_features_are_those_of_plain_integers(
    seed: int, levels: list[GridLevel], low: tuple[int, int, int], edge: int
) -> None:
    """Normalised positions and interpolated features, inside the box, on its edge, outside."""
    rng = np.random.default_rng(seed)
    grid, box = make_grid(rng, levels), Box(low, edge)
    near = np.array(low) + rng.integers(-2, edge + 3, (10, 3))
    corners = np.array([low, (0, 0, 0), (2**21 - 1,) * 3, np.array(low) + edge])
    cells = np.concatenate([near, corners])
    u = box.normalise(cells)
    assert u.min() >= 0
    assert u.max() <= 65535
    other = plain_grid(grid, box)
    expected = [other.features(tuple(cell)) for cell in cells.tolist()]
    position = np.clip((u >> 8) - 128, -127, 127)
    assert np.concatenate([position, grid(u)], axis=1).astype(int).tolist() == expected


@pytest.mark.parametrize("level", LEVELS)
def test_weights_of_corners_share_out_one(level: GridLevel) -> None:
    """They sum to 2**(6 axes), and every index lies in the table."""
    u = np.array(list(product([0, 1, 777, 32768, 65535], repeat=3)))
    for axes in level.tables:
        pairs = list(hashgrid.corners(u, level, axes))
        assert len(pairs) == 1 << level.axes
        weights = np.stack([weight for _, weight in pairs])
        assert (weights.sum(axis=0) == 1 << 6 * level.axes).all()
        assert all(
            index.min() >= 0 and index.max() < level.entries and weight.min() >= 0
            for index, weight in pairs
        )


def test_a_grid_of_one_sign_is_flat() -> None:
    """All +1 is 127 and all -1 is -127, but for what floor drops from 3D weights."""
    u = np.random.default_rng(0).integers(0, 65536, (500, 3))
    for value, low, high in ((True, 126, 127), (False, -127, -127)):
        values = tuple(
            np.full((level.entries, 4), value) for level in LEVELS for _ in level.tables
        )
        found = HashGrid(tuple(LEVELS), values)(u)
        assert low <= found.min()
        assert found.max() <= high


@given(
    seeds,
    st.lists(st.sampled_from(LEVELS), max_size=5),
    st.tuples(*[st.integers(0, 2**21 - 1)] * 3),
    st.integers(1, 2**21),
)
@settings(max_examples=30)
def test_grids_come_back(
    seed: int, levels: list[GridLevel], low: tuple[int, int, int], edge: int
) -> None:
    """Box, levels and every sign, in both decoders; no level at all too."""
    grid, box = make_grid(np.random.default_rng(seed), levels), Box(low, edge)
    data = coded(encode_grid, grid, box)
    decoder = Decoder(data)
    found, found_box = decode_grid(decoder, 21)
    decoder.finish()
    assert (found.levels, found_box) == (grid.levels, box)
    assert all(map(np.array_equal, found.values, grid.values))
    assert reference.decode_grid(data, 21) == plain_grid(grid, box)


@pytest.mark.parametrize(
    ("naturals", "message"),
    [
        ([[256, 0, 0, 1, 0]], r"box \(256, 0, 0\) \+ 1"),
        ([[0, 0, 0, 0, 0]], r"box \(0, 0, 0\) \+ 0"),
        ([[0, 0, 0, 257, 0]], "expected inside 256 cells"),
        ([[0, 0, 0, 1, 33]], "with 33 levels"),
        ([[0, 0, 0, 1, 1], [4, 2, 2]], "level 0: 4 axes"),
        ([[0, 0, 0, 1, 1], [3, 1, 2]], "level 0: 3 axes, resolution 1"),
        ([[0, 0, 0, 1, 1], [3, 2049, 2]], "resolution 2049"),
        ([[0, 0, 0, 1, 1], [3, 2048, 20]], r"2\*\*20 entries"),
        ([[0, 0, 0, 1, 3], *[[3, 2048, 19]] * 3], "1572864 entries, expected at most 1048576"),
    ],
)
def test_bad_grids_are_refused(naturals: list[list[int]], message: str) -> None:
    """Before any table is read."""
    encoder = Encoder()
    for run in naturals:
        encode_naturals(encoder, np.array(run))
    with pytest.raises(FormatError, match=message):
        decode_grid(Decoder(encoder.finish()), 8)


# --- context models --------------------------------------------------------------------------


def test_steps_are_rounded_in_exact_arithmetic() -> None:
    """8 * 2**(i / 8) to the nearest integer, checked with integers: no float decides."""
    assert len(STEPS) == 88
    for i, step in enumerate(STEPS.tolist()):
        assert (2 * step - 1) ** 8 < 1 << (32 + i) < (2 * step + 1) ** 8
    assert STEPS[context.Q0_INDEX] == 1 << 13


def make_model(rng: np.random.Generator, group: Unit, inputs: int) -> UnitModel:
    """Constants anywhere in their ranges, at the limits too."""
    top = context.MAX_MEAN
    return UnitModel(
        family=Family(int(rng.integers(2))),
        fraction_bits=int(rng.integers(61)),
        mean=int(rng.choice([-top, -1, 0, 77, top])),
        log2_unit=int(rng.choice([0, 13, 30])),
        step_bias=int(rng.choice([-128, -3, 0, 60, 128])),
        network=make_network(rng, [inputs, 7, group.outputs], int(rng.integers(16))),
    )


def plain_model(model: UnitModel) -> reference.Model:
    """The model as the reference decoder holds it."""
    return reference.Model(
        int(model.family),
        model.fraction_bits,
        model.log2_unit,
        model.step_bias,
        model.mean,
        reference.Network(model.network.shift, plain(model.network)),
    )


def plain_group(group: Unit) -> reference.Group:
    """The group as the reference decoder holds it."""
    return reference.Group(0, group.step_of, group.step_offset, group.fine)


@given(seeds, st.sampled_from(list(GROUPS)))
def test_predictions_are_those_of_plain_integers(seed: int, name: str) -> None:
    """Centre, step and level, with no wrap at any limit."""
    rng = np.random.default_rng(seed)
    group = GROUPS[name]
    model = make_model(rng, group, 5)
    seen = rng.choice([-127, -3, 0, 127], (6, 5))
    found = np.stack(model.law(group, seen.astype(np.int8))[:3], axis=2)
    other = plain_model(model)
    expected = [reference.predict(other, plain_group(group), row) for row in seen.tolist()]
    assert found.tolist() == [list(map(list, row)) for row in expected]
    assert np.abs(found[..., 0]).max() < (1 << 49) + context.MAX_MEAN


@given(seeds, st.sampled_from(list(GROUPS)))
def test_features_are_those_of_plain_integers(seed: int, name: str) -> None:
    """Of values as far out as a file can put them."""
    rng = np.random.default_rng(seed)
    group = GROUPS[name]
    model = make_model(rng, group, 5)
    reach = int(rng.choice([100, 1 << 20, 1 << 50]))
    values = model.mean + rng.integers(-reach, reach + 1, (6, group.columns))
    found = model.features(group, values)
    assert found.shape == (6, group.features)
    other = plain_model(model)
    expected = [reference.features(other, plain_group(group), r) for r in values.tolist()]
    assert found.tolist() == expected


@given(seeds, st.sampled_from(list(GROUPS)))
def test_group_models_come_back(seed: int, name: str) -> None:
    """Every field, in both decoders."""
    group = GROUPS[name]
    model = make_model(np.random.default_rng(seed), group, 9)
    data = coded(encode_model, model)
    decoder = Decoder(data)
    found = decode_model(decoder, group, 9)
    decoder.finish()
    for field in ("family", "fraction_bits", "mean", "log2_unit", "step_bias"):
        assert getattr(found, field) == getattr(model, field)
    assert same_network(found.network, model.network)
    assert reference.decode_model(RangeDecoder(data), 9, group.outputs) == (plain_model(model))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((2, 0, 0, 0, 0, 0), "table family 2, expected at most 1"),
        ((0, 61, 0, 0, 0, 0), "fraction bits 61, expected at most 60"),
        ((0, 0, 31, 0, 0, 0), "log2 unit 31, expected at most 30"),
        ((0, 0, 0, 257, 0, 0), "step bias -129, expected at most 128"),
        ((0, 0, 0, 0, 1 << 20, 0), "low half of the mean 1048576"),
        ((0, 0, 0, 0, 1, 1 << 21), "mean -1099511627777, expected at most 1099511627776"),
    ],
)
def test_bad_constants_are_refused(fields: tuple[int, ...], message: str) -> None:
    """Each field has its limit."""
    data = coded(encode_naturals, np.array(fields))
    with pytest.raises(FormatError, match=message):
        decode_model(Decoder(data), GROUPS["scale"], 5)


# --- any bytes -------------------------------------------------------------------------------

READERS: dict[str, Callable[[Decoder], object]] = {
    "network": lambda decoder: decode_network(decoder, 40, 9),
    "grid": lambda decoder: decode_grid(decoder, 21),
    "group model": lambda decoder: decode_model(decoder, GROUPS["chroma"], 40),
}


def check_decodes_or_is_refused(name: str, data: bytes) -> None:
    """Nothing but FormatError."""
    decoder = Decoder(data)
    try:
        READERS[name](decoder)
        decoder.finish()
    except FormatError:
        pass


@pytest.mark.parametrize("name", READERS)
@given(data=garbage)
@settings(max_examples=60)
def test_any_bytes_decode_or_are_refused(name: str, data: bytes) -> None:
    """Whatever the bytes are."""
    check_decodes_or_is_refused(name, data)


@pytest.mark.parametrize("name", READERS)
@given(seed=seeds, place=st.integers(0, 2**16), bit=st.integers(0, 31), cut=st.booleans())
@settings(max_examples=60)
def test_damaged_streams_decode_or_are_refused(
    name: str, seed: int, place: int, bit: int, *, cut: bool
) -> None:
    """A flipped bit or a missing end of a real stream: FormatError, or other numbers."""
    rng = np.random.default_rng(seed)
    data = {
        "network": lambda: coded(encode_network, make_network(rng, [40, 8, 9])),
        "grid": lambda: coded(encode_grid, make_grid(rng, LEVELS[1:3]), Box((1, 2, 3), 9)),
        "group model": lambda: coded(encode_model, make_model(rng, GROUPS["chroma"], 40)),
    }[name]()
    words = np.frombuffer(data, "<u4").copy()
    words[place % len(words)] ^= np.uint32(1 << bit)
    check_decodes_or_is_refused(name, words[: place % len(words) if cut else None].tobytes())


def test_the_largest_network_that_fits_no_bytes_is_small() -> None:
    """Weights that are all zero cost almost nothing to send: the limits bound time and memory."""
    width, inputs = network.MAX_WIDTH, 3 + 4 * 3 * hashgrid.MAX_LEVELS
    encoder = Encoder()
    encode_naturals(encoder, np.array([6, network.MAX_HIDDEN]))
    encode_naturals(encoder, np.full(network.MAX_HIDDEN, width))
    for rows, columns in pairwise([inputs, *[width] * network.MAX_HIDDEN, 3]):
        encode_fitted(encoder, np.zeros(rows * columns, np.int64))
        encode_fitted(encoder, np.zeros(columns, np.int64))
    data = encoder.finish()
    assert len(data) < 200
    start = time.perf_counter()
    net = decode_network(Decoder(data), inputs, 3)
    assert time.perf_counter() - start < 2
    assert sum(layer.weights.nbytes for layer in net.layers) < 2 << 20
