"""gscodec and the decoder written from the specification agree."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_decoder as reference
import scenes
from gscodec import codec
from gscodec.coding import Decoder, Encoder, Model, decode_naturals, encode_naturals
from gscodec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.scene import GaussianScene

seeds = st.integers(0, 2**32 - 1)


def _tables(rng: np.random.Generator) -> list[tuple[Model, reference.Table]]:
    """A few random tables of very different shapes, as both sides hold them."""
    sizes = rng.integers(2, 300, 3)
    counts = [np.floor(rng.random(size) ** 8 * 5000).astype(np.int64) for size in sizes]
    return [(Model.from_counts(c), reference.from_counts(c.tolist())) for c in counts]


def _check_same_scene(data: bytes, scene: GaussianScene) -> None:
    arrays, extras = reference.decode(data)
    for name, array in scene.attributes().items():
        assert arrays[name].tobytes() == array.tobytes(), name
    assert {e.name: e.values.tobytes() for e in scene.extras} == {
        name: values.tobytes() for name, values in extras.items()
    }


def test_hard_scenes_decode_alike(hard_scene: GaussianScene) -> None:
    """Method raw: both decoders give the bytes that were encoded."""
    small = hard_scene.take(np.arange(min(len(hard_scene), 60)))
    _check_same_scene(codec.encode(small, "raw"), small)


def test_conventions_decode_alike() -> None:
    """Both decoders know whether a scene is antialiased and where it lies."""
    for antialiased, origin in ((True, None), (False, (4e6, 0.0, -0.1)), (False, None)):
        scene = replace(scenes.make_scene(5, 0), antialiased=antialiased, origin=origin)
        data = codec.encode(scene, "raw")
        file, decoded = reference.read_file(data), scenes.gaussians(codec.decode(data))
        assert (file.antialiased, file.origin) == (antialiased, origin)
        assert (decoded.antialiased, decoded.origin) == (antialiased, origin)


def test_scene_of_several_blocks_decodes_alike() -> None:
    """Blocks are cut at block_size and the last one is shorter."""
    scene = scenes.make_scene(40, 1)
    data = codec.encode(scene, "raw", block_size=16)
    assert reference.read_file(data).head["block_size"] == 16
    _check_same_scene(data, scene)
    assert codec.decode(data).digest() == scene.digest()


@given(seeds)
def test_tables_from_counts_are_the_same(seed: int) -> None:
    """Counts give the same integer frequencies on both sides."""
    for model, table in _tables(np.random.default_rng(seed)):
        assert np.diff(table).tolist() == model.frequencies.tolist()


@given(seeds, st.integers(0, 300))
def test_runs_of_symbols_decode_alike(seed: int, count: int) -> None:
    """Symbols coded in runs with changing tables come back from the integers-only decoder."""
    rng = np.random.default_rng(seed)
    tables, encoder, runs = _tables(rng), Encoder(), []
    for model, _ in tables:
        runs.append(rng.integers(0, len(model), count))
        encoder.encode(runs[-1], model)
    decoder = reference.RangeDecoder(encoder.finish())
    for (_, table), run in zip(tables, runs, strict=True):
        assert decoder.symbols(count, table) == run.tolist()
    decoder.finish()


@given(seeds, st.integers(-3, 3), st.booleans())
def test_damaged_streams_decode_alike(seed: int, delta: int, garbage: bool) -> None:
    """On any words both decoders give the same symbols, or both refuse; the end check too."""
    rng = np.random.default_rng(seed)
    tables = [(*pair, int(rng.integers(1, 6))) for pair in _tables(rng)]
    words = rng.integers(0, 2**32, int(rng.integers(0, 12)), dtype=np.int64)
    if not garbage:
        words = np.frombuffer(_coded(rng, tables), "<u4").astype(np.int64)
        words[-1] += delta
    data = (words % 2**32).astype("<u4").tobytes()
    ours, other = Decoder(data), reference.RangeDecoder(data)
    for model, table, count in tables:
        found = _outcome(partial(ours.decode, count, model))
        assert found == _outcome(partial(other.symbols, count, table))
        if found == "refused":
            return
    assert _outcome(ours.finish) == _outcome(other.finish)


def _coded(rng: np.random.Generator, tables: list[tuple[Model, reference.Table, int]]) -> bytes:
    encoder = Encoder()
    for model, _, count in tables:
        encoder.encode(rng.integers(0, len(model), count), model)
    return encoder.finish()


def _outcome(action: Callable[[], object]) -> object:
    """What ``action`` gives, or that it refuses."""
    try:
        result = action()
    except (FormatError, reference.BadFileError):
        return "refused"
    return result.tolist() if isinstance(result, np.ndarray) else result


@given(st.lists(st.integers(0, 2**32 - 2), max_size=40))
def test_naturals_decode_alike(values: list[int]) -> None:
    """Naturals up to the largest come back from both decoders."""
    encoder = Encoder()
    encode_naturals(encoder, np.array(values, dtype=np.int64))
    data = encoder.finish()
    assert reference.naturals(reference.RangeDecoder(data), len(values)) == values
    assert decode_naturals(Decoder(data), len(values)).tolist() == values


def test_reference_refuses_what_is_damaged() -> None:
    """A changed stream byte does not pass its checks."""
    data = bytearray(codec.encode(scenes.make_scene(3, 0), "raw"))
    data[len(data) // 2] ^= 4
    with pytest.raises(reference.BadFileError, match="CRC-32"):
        reference.decode(bytes(data))
