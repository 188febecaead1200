"""Every method with scenes of anchors: round trips, what is refused, hostile files."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fuzzing
import gscodec
from anchors import make_anchor_scene, small_views
from gscodec import codec, methods
from gscodec.anchors import AnchorScene, Perceptron, Storage
from gscodec.container import pack, unpack
from gscodec.errors import CannotCodeError, FormatError, SceneError
from gscodec.kinds.blueprint import FIELDS, Blueprint
from gscodec.payload import Attribute, SceneKind, Stream
from gscodec.scene import ExtraProperty
from quick import set_defaults
from scenes import make_scene, silent
from test_vectors import DECODE

if TYPE_CHECKING:
    from pathlib import Path

    from gscodec.payload import Payload


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts hold for a badly trained model too; tiny scenes stay with hac."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=12, raw_below=0)


@pytest.fixture(params=methods.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each method in turn."""
    return str(request.param)


def options(name: str) -> dict[str, Any]:
    """Of ``name``: few pixels, where it looks."""
    looks = "views" in methods.by_name(name).Given.__dataclass_fields__
    return {"views": small_views()} if looks else {}


def with_weights(scene: AnchorScene, number: int, value: float) -> AnchorScene:
    """``scene`` with every weight of one array of its networks set to ``value``."""
    arrays = [array.copy() for array in scene.networks.arrays()]
    arrays[number][:] = value
    return replace(scene, networks=scene.networks.with_weights(arrays[:12]))


def hard_scenes() -> dict[str, AnchorScene]:
    """Scenes that break codecs, by what is hard about them. All values are finite."""
    base = make_anchor_scene(40)
    noise = np.random.default_rng(1).normal(0, 0.003, base.anchors.shape)
    line = np.linspace(-1, 1, 40, dtype=np.float32)
    far = base.anchors.copy()
    far[7] = (1e6, -3e5, 2e4)
    masked = make_anchor_scene(40, masked=True, storage=Storage.HAC)
    label = ExtraProperty("label", np.arange(40, dtype=np.uint8))
    pattern = np.array([3e38, -3e38, 1e-45, -0.0], dtype=np.float32)
    return {
        "empty": base.take(np.zeros(0, np.int64)),
        "empty, masked": masked.take(np.zeros(0, np.int64)),
        "one anchor": base.take(np.zeros(1, np.int64)),
        "two anchors": base.take(np.arange(2)),
        "masked": masked,
        "all masked": replace(masked, masks=np.zeros((40, 3), np.bool_)),
        "distance": make_anchor_scene(40, distance=True),
        "bank, appearance": make_anchor_scene(40, bank=True, appearance=4),
        "one feature": make_anchor_scene(40, 1, 1),
        "wide": make_anchor_scene(20, 50, 10, masked=True),
        "pairs of duplicates": base.take(np.arange(40) // 2),
        "all in one place": replace(base, anchors=np.full_like(base.anchors, 3.25)),
        "off any lattice": replace(base, anchors=(base.anchors + noise).astype(np.float32)),
        "on a line": replace(base, anchors=np.stack([line, line, line], axis=1)),
        "far outlier": replace(base, anchors=far),
        "nothing to see": with_weights(base, 3, -50.0),
        "all zero": replace(
            base, features=np.zeros_like(base.features), offsets=np.zeros_like(base.offsets)
        ),
        "huge and tiny": replace(base, features=np.resize(pattern, base.features.shape)),
        "huge weights": with_weights(base, 0, 3e38),
        "scalings of zero": replace(base, log_scalings=np.full_like(base.log_scalings, -104)),
        "extra properties": replace(base, extras=(label,)),
        "no text, other storage": replace(base, description="", storage=Storage.UNITED),
    }


HARD = hard_scenes()


@pytest.mark.parametrize("hard", HARD)
def test_a_scene_goes_through_the_whole_codec(name: str, hard: str) -> None:
    """Decoding gives the encoder's reconstruction, bit for bit, with all that belongs to it."""
    scene = HARD[hard]
    before = scene.digest()
    coded = gscodec.encode_with_report(scene, name, **options(name))
    decoded = gscodec.decode(coded.data)
    wanted = coded.reconstruction
    assert isinstance(decoded, AnchorScene)
    assert isinstance(wanted, AnchorScene)
    assert decoded.digest() == wanted.digest() == unpack(coded.data).header.scene_sha256
    assert (decoded.storage, decoded.iteration) == (scene.storage, scene.iteration)
    assert decoded.description == scene.description
    assert (decoded.masks is None) == (scene.masks is None)
    assert [(e.name, e.values.tobytes()) for e in decoded.extras] == [
        (e.name, e.values.tobytes()) for e in wanted.extras
    ]
    assert scene.digest() == before
    if name == "raw":
        assert decoded.digest() == scene.digest()
        assert len(decoded) == len(scene)
    header, anchors = unpack(coded.data).header, decoded.anchors
    assert (header.kind, header.count, header.sh_degree) == (SceneKind.ANCHORS, len(decoded), 0)
    if len(decoded):
        assert np.array_equal(np.array(header.bounds_min, np.float32), anchors.min(axis=0))
        assert np.array_equal(np.array(header.bounds_max, np.float32), anchors.max(axis=0))


@pytest.mark.parametrize("hard", ["empty", "huge and tiny", "huge weights"])
def test_what_hac_cannot_hold_falls_back_to_raw(hard: str) -> None:
    coded = gscodec.encode_with_report(HARD[hard], "hac", **options("hac"))
    assert "method raw instead of hac: " in coded.notes[0]
    assert coded.reconstruction.digest() == HARD[hard].digest()


def test_raw_keeps_what_is_not_a_number() -> None:
    scene = with_weights(HARD["masked"], 4, np.nan)
    decoded = gscodec.decode(gscodec.encode(scene, "raw"))
    assert decoded.digest() == scene.digest()


@pytest.mark.parametrize("field", ["anchors", "features", "log_scalings", "offsets"])
def test_hac_refuses_values_that_are_not_finite(field: str) -> None:
    values = getattr(HARD["masked"], field).copy()
    values[7].flat[1] = np.nan
    with pytest.raises(SceneError, match=rf"scene\.{field}: 1 anchors .* index 7"):
        gscodec.encode(replace(HARD["masked"], **{field: values}), "hac", **options("hac"))


def test_hac_refuses_weights_that_are_not_finite() -> None:
    scene = with_weights(HARD["masked"], 4, np.inf)
    with pytest.raises(SceneError, match="networks: a weight is NaN or infinity"):
        gscodec.encode(scene, "hac", **options("hac"))


def test_positions_on_voxels_are_exact_and_others_have_a_known_error() -> None:
    """The error that the notes tell is the error that there is."""
    hac = methods.by_name("hac")
    for hard, limit in (("masked", 1e-6), ("off any lattice", 1e-4)):
        coded = hac.encode(HARD[hard], hac.Options(), silent, hac.Given(small_views()))
        decoded = coded.reconstruction
        assert isinstance(decoded, AnchorScene)
        away = np.linalg.norm(
            decoded.anchors[:, None].astype(np.float64) - HARD[hard].anchors, axis=2
        )
        error = coded.payload.meta["position_error"]
        assert isinstance(error, dict)
        assert error["max"] == pytest.approx(away.min(axis=1).max(), abs=1e-12)
        assert error["max"] < limit


def test_absent_offsets_are_zero_and_take_no_bits() -> None:
    hac = methods.by_name("hac")
    payload = hac.encode(
        HARD["all masked"], hac.Options(), silent, hac.Given(small_views())
    ).payload
    assert [s.data for s in payload.streams if s.attribute is Attribute.OFFSET] == [b""]
    decoded = hac.decode(payload, silent)
    assert isinstance(decoded, AnchorScene)
    assert not decoded.offsets.any()
    partly = hac.encode(
        HARD["masked"], hac.Options(), silent, hac.Given(small_views())
    ).reconstruction
    assert isinstance(partly, AnchorScene)
    assert partly.masks is not None
    assert not partly.offsets[~partly.masks].any()
    assert partly.offsets[partly.masks].any()


@cache
def files() -> dict[str, bytes]:
    """A file of anchors by each method."""
    scene = make_anchor_scene(40, masked=True, bank=True, appearance=2)
    with pytest.MonkeyPatch.context() as patch:
        set_defaults(patch, training=12, raw_below=0)
        set_defaults(patch, block_size=16)
        return {n: codec.encode(scene, n, **options(n)) for n in methods.names()}


def test_threads_do_not_change_a_decoded_scene(name: str) -> None:
    digests = {gscodec.decode(files()[name], threads=t).digest() for t in (1, 2, 5)}
    assert digests == {unpack(files()[name]).header.scene_sha256}


def test_decoding_needs_neither_torch_nor_numba(tmp_path: Path) -> None:
    paths = []
    for method, data in files().items():
        paths.append(tmp_path / f"{method}.gsz")
        paths[-1].write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", DECODE, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    digests = [unpack(data).header.scene_sha256.hex() for data in files().values()]
    assert run.stdout.split() == digests


def test_every_missing_stream_is_named(name: str) -> None:
    payload = unpack(files()[name])
    for number, stream in enumerate(payload.streams):
        streams = payload.streams[:number] + payload.streams[number + 1 :]
        wanted = f"{stream.attribute.name}, block {stream.block}: missing"
        with pytest.raises(FormatError, match=wanted):
            methods.by_name(name).decode(replace(payload, streams=streams), silent)


def test_a_file_cut_at_a_chunk_is_refused(name: str) -> None:
    """Without its last chunks, as a broken transfer leaves it, or sealed again without one."""
    data = files()[name]
    chunks = fuzzing.split(data)
    for end in range(len(chunks)):
        size = 12 + sum(16 + len(payload) for _, payload in chunks[:end])
        with pytest.raises(FormatError, match=r"truncated|past the end"):
            codec.decode(data[:size])
    streams = [n for n, (tag, _) in enumerate(chunks) if tag == b"STRM"]
    for number in streams:
        without = fuzzing.seal(chunks[:number] + chunks[number + 1 :])
        with pytest.raises(FormatError, match="missing"):
            codec.decode(without)


def test_mutations_are_refused_or_harmless() -> None:
    """As for Gaussians: any bytes give a clean error or the scene that was encoded."""
    samples = [fuzzing.Sample.of(data) for data in files().values()]
    samples.append(fuzzing.Sample.of(codec.encode(make_scene(10, 0), "raw")))
    for number in range(300):
        mutation = fuzzing.mutate(samples, number)
        assert fuzzing.problem_with(mutation, samples) is None, (number, mutation.kind)


def changed(payload: Payload, attribute: Attribute, data: bytes) -> Payload:
    """``payload`` with other bytes in a stream of block 0."""
    streams = tuple(
        replace(s, data=data) if (s.attribute, s.block) == (attribute, 0) else s
        for s in payload.streams
    )
    return replace(payload, streams=streams)


def fields(**change: object) -> bytes:
    """A checkpoint stream of F = 8, K = 3, but for ``change``."""
    values = {
        "storage": 1, "flags": 1, "features": 8, "offsets": 3,
        "opacity": 8, "covariance": 8, "color": 8, "bank": 0,
        "cameras": 0, "appearance": 0, "iteration": 30_000,
    }  # fmt: skip
    text = change.pop("text", b"Namespace()")
    assert isinstance(text, bytes)
    return FIELDS.pack(*{**values, **change}.values()) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes, expected at least 24"),
        (fields()[:23], "23 bytes, expected at least 24"),
        (fields(storage=0), "found storage 0 and flags 1"),
        (fields(storage=5), "found storage 5 and flags 1"),
        (fields(flags=16), "flags 16, expected 1 to 4 and at most 15"),
        (fields(features=0), "features: found 0, expected 1 to 256"),
        (fields(features=65_535), "features: found 65535, expected 1 to 256"),
        (fields(offsets=0), "offsets: found 0, expected 1 to 64"),
        (fields(offsets=65), "offsets: found 65, expected 1 to 64"),
        (fields(color=0), "hidden width: found 0, expected 1 to 1024"),
        (fields(bank=1025), "hidden width: found 1025, expected 1 to 1024"),
        (fields(features=9, bank=8), "bank: found 9, expected a multiple of 4"),
        (fields(cameras=5), "width of the appearance: found 0, expected 1 to 256"),
        (fields(appearance=5), "cameras of the appearance: found 0, expected 1 to 1048576"),
        (fields(cameras=2**32 - 1, appearance=256), "cameras of the appearance: found 42949672"),
        (fields(cameras=2**19, appearance=2), "networks: found 1049177, expected at most 1048576"),
        (fields(text=b"\xff"), "text is not UTF-8"),
        (fields(text=b"\xed\xa0\x80"), "text is not UTF-8"),
        (fields(text=b" " * 65_537), "bytes of cfg_args: found 65537, expected 0 to 65536"),
    ],
)  # fmt: skip
def test_a_checkpoint_stream_out_of_range_is_refused(data: bytes, message: str) -> None:
    """By the container already: it says what may be allocated."""
    chunks = fuzzing.split(files()["raw"])
    at = next(n for n, (tag, p) in enumerate(chunks) if tag == b"STRM" and p[0] == 16)
    damaged = fuzzing.seal(
        [*chunks[:at], (b"STRM", chunks[at][1][:5] + data), *chunks[at + 1 :]]
    )
    with pytest.raises(FormatError, match=message):
        unpack(damaged)


@pytest.mark.parametrize("text", ["", "Namespace(a='\u00e4')", " " * 65_536])
def test_a_blueprint_comes_back(text: str) -> None:
    scene = replace(make_anchor_scene(2, 12, 2, bank=True, appearance=3), description=text)
    made = Blueprint.of(scene)
    assert Blueprint.decode(made.encode()) == made
    assert [a.shape for a in scene.networks.arrays()] == made.shapes()


def test_scenes_beyond_the_format_are_refused() -> None:
    for scene, message in (
        (make_anchor_scene(2, 257), "features: found 257"),
        (make_anchor_scene(2, 8, 65), "offsets: found 65"),
        (replace(HARD["masked"], description="\ud800"), "cfg_args: found a surrogate"),
        (replace(HARD["masked"], iteration=-1), "iteration: found -1"),
    ):
        with pytest.raises(SceneError, match=message):
            gscodec.encode(scene, "raw")


def test_wide_networks_in_few_bytes_allocate_little(name: str) -> None:
    """Parameters are bounded, whatever a stream of no bytes can be taken for."""
    payload = unpack(files()[name])
    wide = changed(
        payload, Attribute.CHECKPOINT, fields(color=1024, cameras=4000, appearance=200)
    )
    wide = changed(wide, Attribute.RENDERING, b"")
    tracemalloc.start()
    with suppress(FormatError):
        assert methods.by_name(name).decode(wide, silent).digest() != wide.header.scene_sha256
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6


def test_wide_anchors_need_large_files() -> None:
    """A byte for 64 values of an anchor; the writer fills up, the reader insists."""
    scene = make_anchor_scene(3000, 256, 64)
    zero = replace(
        scene,
        anchors=np.zeros_like(scene.anchors),
        features=np.zeros_like(scene.features),
        log_scalings=np.zeros_like(scene.log_scalings),
        offsets=np.zeros_like(scene.offsets),
        networks=scene.networks.with_weights(
            [np.zeros_like(a) for a in scene.networks.arrays()]
        ),
    )
    data = codec.encode(zero, "raw")
    least = 3000 * (1 + (256 + 6 + 4 * 64) // 64)
    assert least <= len(data)
    chunks = fuzzing.split(data)
    short = fuzzing.seal([c for c in chunks if c[0] != b"fill"])
    assert len(short) < len(data)
    with pytest.raises(FormatError, match=f"expected at least {least} for a count of 3000"):
        unpack(short)


def test_kinds_are_not_mixed_up(name: str) -> None:
    """A checkpoint in a file of Gaussians, none in a file of anchors, a kind that is wrong."""
    payload = unpack(files()[name])
    none = tuple(s for s in payload.streams if s.attribute is not Attribute.CHECKPOINT)
    with pytest.raises(FormatError, match="CHECKPOINT, block 0: missing"):
        pack(replace(payload, streams=none))
    gaussians = replace(payload, header=replace(payload.header, kind=SceneKind.GAUSSIANS))
    with pytest.raises(FormatError, match=r"missing|not expected"):
        codec.decode(pack(gaussians))
    plain = unpack(codec.encode(make_scene(10, 0), "raw"))
    more = Stream(Attribute.CHECKPOINT, 0, fields())
    with pytest.raises(FormatError, match="CHECKPOINT, block 0: not expected"):
        codec.decode(pack(replace(plain, streams=(*plain.streams, more))))
    other = (*none, replace(more, block=1))
    with pytest.raises(FormatError, match="CHECKPOINT, block 0: missing"):
        methods.by_name(name).decode(replace(payload, streams=other), silent)


@pytest.mark.parametrize("change", [{"sh_degree": 1}, {"has_normals": True}])
def test_headers_of_anchors_have_nothing_of_gaussians(change: dict[str, Any]) -> None:
    payload = unpack(files()["raw"])
    with pytest.raises(FormatError, match="expected zeros for anchors"):
        pack(replace(payload, header=replace(payload.header, **change)))


def test_masks_of_raw_are_zeros_and_ones() -> None:
    from gscodec.coding import encode_planes

    payload = unpack(files()["raw"])
    twos = changed(payload, Attribute.MASK, encode_planes(np.full((16, 3), 2, np.uint8)))
    with pytest.raises(FormatError, match="stream MASK: found 2, expected 0 or 1"):
        methods.by_name("raw").decode(twos, silent)


def test_steps_of_networks_are_bounded() -> None:
    """Exponents up to 40, integers below 2**24: all of it is exact in float32."""
    from gscodec.kinds.blueprint import IntegerNetworks, round_networks

    payload, scene = unpack(files()["hac"]), make_anchor_scene(2, bank=True, appearance=2)
    sound = round_networks(scene.networks, [20] * 17)
    for largest, exponent, message in (
        (1 << 24, 3, "a weight is not below 16777216"),
        (5, 41, "exponent 41, expected at most 40"),
    ):
        arrays = (np.full((8, 11), largest, np.int64), *sound.arrays[1:])
        wrong = IntegerNetworks(arrays, (exponent, *sound.exponents[1:])).encode()
        with pytest.raises(FormatError, match=message):
            methods.by_name("hac").decode(changed(payload, Attribute.RENDERING, wrong), silent)


@pytest.mark.parametrize("largest", [0.0, 1e-30, 0.7, 1.0, 2.0**20, 2.0**23 - 1])
def test_networks_round_to_what_float32_holds(largest: float) -> None:
    from gscodec.kinds.blueprint import round_networks

    weights = np.array([[largest, -largest / 3]], np.float32)
    one = np.ones(1, np.float32)
    scene = make_anchor_scene(2)
    network = Perceptron(
        np.tile(weights, (1, 6))[:, :11].copy(),
        one,
        np.ones((3, 1), np.float32),
        np.zeros(3, np.float32),
    )
    rounded = round_networks(replace(scene.networks, opacity=network), [20] * 12)
    assert all(np.abs(a).max(initial=0) < 1 << 24 for a in rounded.arrays)
    step = 2.0 ** -rounded.exponents[0]
    assert np.abs(rounded.floats()[0] - network.hidden_weight).max() <= step / 2
    with pytest.raises(CannotCodeError, match="a weight of the networks is 1e"):
        round_networks(with_weights(scene, 0, 1e9).networks, [20] * 12)


def test_the_same_seed_gives_the_same_file() -> None:
    hac, scene = methods.by_name("hac"), make_anchor_scene(150)
    made = [
        hac.encode(scene, hac.Options(seed=s), silent, hac.Given(small_views())).payload.streams
        for s in (3, 3, 4)
    ]
    assert made[0] == made[1] != made[2]


def test_bits_of_every_value_are_accounted_for(name: str) -> None:
    """The map of a file adds up to its streams."""
    found = codec.bit_map(files()[name])
    coded = 8 * sum(len(s.data) for s in unpack(files()[name]).streams)
    spent = sum(float(each.sum()) for each in found.bits.values()) + sum(found.shared.values())
    assert spent <= coded + 1
    assert coded - spent < 64 * 4 * 3  # what the range coder needs to end, in every stream
