"""What is particular to method ralhe: models it refuses, latents, threads, what comes of states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference_decoder as reference
import reference_ralhe
from anchors import small_views
from gscodec.coding import Encoder, encode_naturals
from gscodec.container import pack
from gscodec.errors import FormatError
from gscodec.geometry import morton
from gscodec.geometry.nodes import Nodes
from gscodec.intnet.latents import (
    Latents,
    decode_values,
    encode_latents,
    encode_values,
    inputs_of,
)
from gscodec.intnet.network import Layer, Network
from gscodec.kinds.gaussians import gaussian_units
from gscodec.methods import ralhe
from gscodec.payload import Attribute
from gscodec.units import Place
from quick import few_latents, set_defaults
from scenes import make_scene, silent
from test_neighbours import model_of

UNITS, BITS = gaussian_units(1), 7
PLACE = Place(
    np.sort(np.random.default_rng(5).integers(0, 1 << 21, 300).astype(np.uint64)), BITS
)


def network(inputs: int, outputs: int, seed: int) -> Network:
    """One layer of random weights."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-60, 61, (inputs, outputs)).astype(np.float32)
    return Network((Layer(weights, np.zeros(outputs, np.float32)),), 6)


def latents_of(channels: int, features: int, depths: tuple[int, ...]) -> Latents:
    """Random networks."""
    entropy = tuple(network(3 * channels, 2 * channels, depth) for depth in depths)
    synthesis = network(2 * channels * len(depths), features, 0)
    return Latents(depths, channels, entropy, (synthesis,))


LATENTS = latents_of(2, 3, (2, 3))


def nodes_of(latents: Latents) -> list[Nodes]:
    """Of `PLACE`."""
    return [Nodes.of(PLACE, depth) for depth in latents.depths]


def values_of(latents: Latents, largest: int) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Random latents on the nodes of `PLACE`."""
    rng = np.random.default_rng(6)
    return [
        rng.integers(-largest, largest + 1, (len(nodes), latents.channels))
        for nodes in nodes_of(latents)
    ]


@pytest.mark.parametrize("largest", [0, 3, 5000])
def test_latents_decode_to_what_was_coded(largest: int) -> None:
    """As networks see them: those that they cannot tell apart are the largest that they can."""
    values, levels = values_of(LATENTS, largest), nodes_of(LATENTS)
    found = decode_values(encode_values(LATENTS, levels, values), LATENTS, levels)
    for wanted, level in zip(values, found, strict=True):
        assert np.array_equal(level.inputs, inputs_of(wanted))
        assert np.array_equal(level.inputs, np.clip(8 * wanted, -127, 127))


def test_nodes_are_the_occupied_cells() -> None:
    """Rising; every primitive is in one."""
    for depth in range(BITS + 1):
        nodes = Nodes.of(PLACE, depth)
        cells = morton.decode(PLACE.codes) >> (BITS - depth)
        assert {*map(tuple, morton.decode(nodes.codes).tolist())} == {
            *map(tuple, cells.tolist())
        }
        assert (np.diff(nodes.codes.astype(np.int64)) > 0).all()
        holding = nodes.of_codes(PLACE.codes, BITS)
        assert np.array_equal(morton.decode(nodes.codes)[holding], cells)


def test_faces_are_neighbours_or_the_node_itself() -> None:
    """Also at the edges of the lattice."""
    nodes = Nodes.of(PLACE, 3)
    cells = morton.decode(nodes.codes)
    faces = nodes.faces(slice(None))
    there = {tuple(cell) for cell in cells.tolist()}
    for cell, row in zip(cells.tolist(), faces, strict=True):
        away = np.abs(cells[row] - cell).sum(axis=1)
        around = [
            tuple(np.array(cell) + side * np.eye(3, dtype=int)[axis])
            for axis in range(3)
            for side in (1, -1)
        ]
        assert (away == 1).sum() == sum(a in there for a in around)
        assert (away <= 1).all()


def written(changed: Latents) -> bytes:
    """The stream of a model with other latents."""
    encoder = Encoder()
    encode_latents(encoder, changed)
    model_of(UNITS, 3).encode(encoder)
    return encoder.finish()


def check_refused(data: bytes, message: str) -> None:
    """By both decoders."""
    streams = {(Attribute.NETWORKS, 0): data, (Attribute.LATENT, 0): b""}
    with pytest.raises(FormatError, match=message):
        ralhe.read(streams, UNITS, BITS)
    with pytest.raises(reference.BadFileError):
        reference_ralhe.decode_head(reference.RangeDecoder(data), BITS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (latents_of(2, 3, (1, 2, 3, 4, 5)), "5 levels, expected at most 4"),
        (latents_of(9, 3, (2,)), "9 of a node and 3 features"),
        (latents_of(2, 33, (2,)), "2 of a node and 33 features"),
        (latents_of(2, 3, (0, 2)), r"depths \[0, 2\]"),
        (latents_of(2, 3, (2, 2)), r"depths \[2, 2\]"),
        (latents_of(2, 3, (BITS + 1,)), r"rise from 1 to 7"),
    ],
)
def test_latents_beyond_their_limits_are_refused(changed: Latents, message: str) -> None:
    check_refused(written(changed), message)


def test_latents_without_channels_are_refused() -> None:
    encoder = Encoder()
    encode_naturals(encoder, np.array([1]))
    encode_naturals(encoder, np.array([0, 3, 2]))
    check_refused(encoder.finish(), "0 of a node")


# --- files ----------------------------------------------------------------------------------


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly trained model has latents, too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=10)
    few_latents(monkeypatch)


@pytest.mark.usefixtures("quick_fit")
def test_threads_change_neither_a_file_nor_what_it_decodes_to() -> None:
    scene = make_scene(400, 1)
    options = [ralhe.Options(block_size=100, threads=threads) for threads in (1, 2)]
    payload, other = (ralhe.encode(scene, chosen, silent).payload for chosen in options)
    assert pack(other) == pack(payload)
    model: Any = ralhe.METHOD.opened(payload, silent).model
    assert model.latents.depths
    digests = {ralhe.decode(payload, silent, threads).digest() for threads in (1, 2, 5)}
    assert digests == {payload.header.scene_sha256}


@pytest.mark.usefixtures("quick_fit")
def test_a_state_holds_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on from where a model was learned gives the file of one without pause."""
    set_defaults(monkeypatch, training=10, round_length=2)
    states: list[bytes] = []
    options = ralhe.Options(effort="high", iterations=2, threads=1)
    scene, views = make_scene(60, 0), small_views()
    whole = ralhe.encode(scene, options, silent, ralhe.Given(views, checkpoint=states.append))
    assert any(s.attribute is Attribute.LATENT and s.data for s in whole.payload.streams)
    again = ralhe.encode(scene, options, silent, ralhe.Given(views, resume=states[-1]))
    assert pack(again.payload) == pack(whole.payload)


@pytest.mark.usefixtures("quick_fit")
def test_a_damaged_latent_stream_does_not_decode_to_the_scene() -> None:
    """It ends early, or goes on."""
    payload = ralhe.encode(make_scene(100, 0), ralhe.Options(threads=1), silent).payload
    for data in (b"", b"\xff" * 400):
        streams = tuple(
            replace(s, data=data) if s.attribute is Attribute.LATENT else s
            for s in payload.streams
        )
        damaged = replace(payload, streams=streams)
        try:
            digest = ralhe.decode(damaged, silent).digest()
        except FormatError:
            continue
        assert digest != payload.header.scene_sha256
