"""Networks that come with the package: their bytes, files that refer to them or hold them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pytest

import reference_decoder as reference
import reference_hemgs
from gscodec.coding import Decoder, Encoder, encode_fitted, encode_naturals
from gscodec.container import inspect, pack
from gscodec.errors import FormatError, UnsupportedError
from gscodec.intnet.box import Box
from gscodec.intnet.context import UnitModel
from gscodec.intnet.network import Layer, Network
from gscodec.intnet.prior import (
    SHIPPED_SHA256,
    Prior,
    decode_changes,
    encode_changes,
    named,
    rate_of,
    shipped,
)
from gscodec.kinds.anchors import anchor_units
from gscodec.kinds.gaussians import gaussian_units
from gscodec.learned.networks import Networks
from gscodec.methods import hemgs
from gscodec.payload import PRIOR_NAME_BYTES, Attribute, Payload, Stream
from quick import set_defaults
from reference_hac import groups
from scenes import make_scene, silent
from test_reference_anchors import outcome
from test_reference_hac import check_same_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.learned.around import Around

UNITS, BITS = gaussian_units(1), 7
NETWORKS, PRIOR = (Attribute.NETWORKS, 0), (Attribute.PRIOR, 0)


def model_like(prior: Prior, **constants: int) -> Around:
    """A model that has changed nothing but what its ``constants`` say."""
    own = {"fraction_bits": 9, "mean": 5, "log2_unit": 8, "step_bias": 3, **constants}
    families = [0, 0, 1, *[0] * (len(UNITS) - 3)]
    models = [
        UnitModel(f, network=s.at(rate_of(own["log2_unit"], own["step_bias"])), **own)  # type: ignore[arg-type]
        for f, s in zip(families, prior.shared, strict=True)
    ]
    gains = tuple(s.gains for s in prior.shared)
    kept = tuple(s.kept for s in prior.shared)
    networks = Networks(UNITS, tuple(models))
    return hemgs.Model(Box((0, 0, 0), 9), 40, networks, gains, kept, prior=prior)


def read(model: Around) -> Around:
    """What its streams say."""
    streams = {(attribute, 0): data for attribute, data in model.streams().items()}
    return hemgs.read(streams, UNITS, BITS)


def test_the_shipped_prior_is_what_the_specification_says() -> None:
    """Below 300 kB, for Gaussians of every SH degree, and not for anchors."""
    data = files("gscodec.intnet").joinpath("prior.bin").read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHIPPED_SHA256
    assert len(data) < 300_000
    for degree in range(4):
        units = gaussian_units(degree)
        assert [s.unit for s in shipped(units).shared] == list(units)
    assert Prior.of(shipped(gaussian_units(3)).shared).data == data


def test_no_prior_is_for_decisions() -> None:
    """Those of anchors come first."""
    assert not shipped(anchor_units(8, 2)).shared


def test_a_model_is_told_apart_from_the_prior() -> None:
    """Nothing changed takes next to nothing; constants, gains and weights may change."""
    prior = shipped(UNITS)
    model = model_like(prior)
    own = replace(model, prior=None).streams()
    streams = model.streams()
    assert streams[Attribute.PRIOR] == prior.name
    assert len(streams[Attribute.NETWORKS]) < 300 < len(own[Attribute.NETWORKS]) // 10
    first, *others = model.networks.models
    layers = first.network.layers
    bent = Layer(layers[0].weights + 4, layers[0].bias - 128)
    first = replace(first, network=Network((bent, *layers[1:]), first.network.shift))
    gains = (model.gains[0] - 3, *model.gains[1:])
    changed = replace(model, networks=Networks(UNITS, (first, *others)), gains=gains)
    for written in (model, changed):
        back = read(written)
        assert back.streams() == written.streams()
        assert [g.tolist() for g in back.gains] == [g.tolist() for g in written.gains]
        for a, b in zip(back.networks.models, written.networks.models, strict=True):
            for one, other in zip(a.network.layers, b.network.layers, strict=True):
                assert np.array_equal(one.weights, other.weights)
                assert np.array_equal(one.bias, other.bias)


def test_another_lambda_is_another_rate() -> None:
    """As if learned there: nothing is changed in the file of coarser steps either."""
    model = model_like(shipped(UNITS))
    coarser = model.at(4.0)
    assert len(coarser.streams()[Attribute.NETWORKS]) <= len(
        model.streams()[Attribute.NETWORKS]
    )
    assert read(coarser).streams() == coarser.streams()


def test_a_file_that_holds_its_prior_has_own_networks_if_they_are_smaller() -> None:
    """What is shipped has units that this file lacks."""
    model = model_like(replace(shipped(UNITS), held=True))
    assert model.streams() == replace(model, prior=None).streams()
    small = Prior.of(shipped(UNITS).shared[:1])
    one = replace(model, prior=replace(small, held=True))
    assert Attribute.PRIOR not in one.streams()


def test_a_prior_of_other_networks_is_not_referred_to() -> None:
    """Where a file's own networks are smaller, it has them."""
    model = model_like(shipped(UNITS))
    models = tuple(
        replace(m, network=Network(tuple(map(_nothing, m.network.layers)), m.network.shift))
        for m in model.networks.models
    )
    plain = replace(model, networks=Networks(UNITS, models))
    assert plain.streams() == replace(plain, prior=None).streams()


def _nothing(layer: Layer) -> Layer:
    return Layer(np.zeros_like(layer.weights), np.zeros_like(layer.bias))


@pytest.mark.parametrize(
    ("stream", "error", "message"),
    [
        (b"", FormatError, "found 0 bytes, expected at least 16"),
        (bytes(15), FormatError, "found 15 bytes"),
        (bytes(16), UnsupportedError, f"prior {'00' * 16}: unknown .* {SHIPPED_SHA256[:32]}"),
        (bytes(20), FormatError, "data of another name"),
    ],
)
def test_unknown_priors_are_refused(
    stream: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        named(stream, UNITS)
    with pytest.raises(reference.BadFileError):
        reference_hemgs.read_prior(stream, groups(1))


def bad_prior(change: Callable[[list[int]], None]) -> bytes:
    """A prior of opacity alone, but for a ``change`` of kept, and first rate and gain."""
    own = shipped(UNITS).shared[0]
    fields = [1, int(own.rates[0]), int(own.gains[0])]
    change(fields)
    rates, gains = own.rates.copy(), own.gains.copy()
    rates[0], gains[0] = fields[1:]
    data = Prior.of([replace(own, kept=fields[0], rates=rates, gains=gains)]).data  # type: ignore[arg-type]
    return hashlib.sha256(data).digest()[:PRIOR_NAME_BYTES] + data


@pytest.mark.parametrize(("place", "value"), [(0, 2), (1, 4097), (1, -5000), (2, 128)])
def test_priors_beyond_their_limits_are_refused(place: int, value: int) -> None:
    stream = bad_prior(lambda fields: fields.__setitem__(place, value))
    with pytest.raises(FormatError, match="prior: flag"):
        named(stream, UNITS)
    with pytest.raises(reference.BadFileError):
        reference_hemgs.read_prior(stream, groups(1))
    assert len(named(bad_prior(lambda _: None), UNITS).shared) == 1


def check_refused(streams: dict[tuple[Attribute, int], bytes], message: str) -> None:
    """By both decoders."""
    with pytest.raises(FormatError, match=message):
        hemgs.read(streams, UNITS, BITS)
    with pytest.raises(reference.BadFileError):
        reference_hemgs.read_hemgs(
            {(int(a), block): data for (a, block), data in streams.items()},
            groups(1),
            0,
            BITS,
            [],
        )


def test_a_file_that_does_not_fit_its_prior_is_refused() -> None:
    """Without one, with one that lacks units, with other inputs, with changes out of range."""
    model = model_like(shipped(UNITS))
    streams = {(attribute, 0): data for attribute, data in model.streams().items()}
    check_refused(
        {NETWORKS: streams[NETWORKS]}, "flag 3, expected at most 1, or 3 of the first 0"
    )
    short = {**streams, PRIOR: bad_prior(lambda _: None)}
    check_refused(short, "of the first 1 units")
    other = replace(model, kept=(False, *model.kept[1:]))
    told = {(attribute, 0): data for attribute, data in other.streams().items()}
    check_refused(told, "inputs, expected .* as the prior has")


@pytest.mark.parametrize("coarse", [16, 1 << 20])
def test_changes_out_of_range_are_refused(coarse: int) -> None:
    network = shipped(UNITS).shared[0].network
    encoder = Encoder()
    encode_naturals(encoder, np.array([0, coarse]))
    with pytest.raises(FormatError, match=r"changes in 2\*\*0"):
        decode_changes(Decoder(encoder.finish()), network)
    encoder = Encoder()
    encode_naturals(encoder, np.array([15, 15]))
    encode_fitted(encoder, np.full(network.layers[0].weights.size, 1 << 10))
    encode_fitted(encoder, np.zeros(network.layers[0].bias.size, np.int64))
    with pytest.raises(FormatError, match="not below"):
        decode_changes(Decoder(encoder.finish()), network)


def test_changes_are_read_as_they_were_written() -> None:
    """Whatever low bits they have in common."""
    network = shipped(UNITS).shared[1].network
    rng = np.random.default_rng(5)
    for bits in (0, 2, 6):
        layers = tuple(
            Layer(
                layer.weights + (rng.integers(-1, 2, layer.weights.shape) << bits),
                layer.bias + (rng.integers(-1, 2, layer.bias.shape) << bits),
            )
            for layer in network.layers
        )
        own = Network(layers, network.shift)
        encoder = Encoder()
        encode_changes(encoder, own, network)
        back = decode_changes(Decoder(encoder.finish()), network)
        assert all(
            np.array_equal(a.weights, b.weights) and np.array_equal(a.bias, b.bias)
            for a, b in zip(back.layers, own.layers, strict=True)
        )


# --- files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def payloads() -> dict[bool, Payload]:
    """A small file that names the prior, and one that holds it."""
    pytest.importorskip("numba")
    with pytest.MonkeyPatch.context() as patch:
        set_defaults(patch, training=12)
        options = hemgs.Options(threads=1, position_bits=9)
        payload = hemgs.encode(make_scene(250, 1), options, silent).payload
    prior = replace(shipped(UNITS), held=True)
    streams = [
        replace(s, data=prior.stream()) if s.attribute is Attribute.PRIOR else s
        for s in payload.streams
    ]
    return {False: payload, True: replace(payload, streams=tuple(streams))}


def test_files_with_a_prior_decode_alike(payloads: dict[bool, Payload]) -> None:
    """Here and by the specification; what is held is what is named."""
    for held, payload in payloads.items():
        check_same_scene(pack(payload))
        (stream,) = [s.data for s in payload.streams if s.attribute is Attribute.PRIOR]
        assert (len(stream) > PRIOR_NAME_BYTES) == held
        found = inspect(pack(payload))
        assert found.prior == SHIPPED_SHA256[: 2 * PRIOR_NAME_BYTES]
    others = [
        [s for s in payload.streams if s.attribute is not Attribute.PRIOR]
        for payload in payloads.values()
    ]
    assert others[0] == others[1]


@pytest.mark.parametrize("held", [False, True])
def test_damaged_priors_and_changes_decode_alike(
    payloads: dict[bool, Payload], *, held: bool
) -> None:
    """With a bit flipped, both give the same scene, or both refuse."""
    payload = payloads[held]
    rng = np.random.default_rng(int(held))
    for _ in range(12):
        streams = list(payload.streams)
        wanted = Attribute.PRIOR if held and rng.random() < 0.7 else Attribute.NETWORKS
        number = [s.attribute for s in streams].index(wanted)
        streams[number] = _damaged(streams[number], rng)
        check_same_outcome(replace(payload, streams=tuple(streams)))


def check_same_outcome(payload: Payload) -> None:
    """A scene, or a refusal."""
    ours = outcome(lambda: hemgs.decode(payload, silent).attributes())
    file = reference.read_file(pack(payload))
    assert outcome(lambda: reference_hemgs.decode_hemgs(file)) == ours


def _damaged(stream: Stream, rng: np.random.Generator) -> Stream:
    """A bit of it flipped; of a prior the name is mended."""
    data = bytearray(stream.data)
    held = stream.attribute is Attribute.PRIOR
    start = PRIOR_NAME_BYTES if held else 0
    data[int(rng.integers(start, min(len(data), start + 4000)))] ^= 1 << int(rng.integers(8))
    if held:
        data[:PRIOR_NAME_BYTES] = hashlib.sha256(data[PRIOR_NAME_BYTES:]).digest()[
            :PRIOR_NAME_BYTES
        ]
    return replace(stream, data=bytes(data))
