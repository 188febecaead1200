"""gscodec and the decoder written from the specification agree about scenes of anchors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
import reference_hac
from anchors import make_anchor_scene, small_views
from gscodec import codec
from gscodec.anchors import AnchorScene, Storage
from gscodec.container import pack
from gscodec.errors import FormatError
from gscodec.kinds.anchors import anchor_units
from gscodec.kinds.blueprint import blueprint_of
from gscodec.methods import hac, raw
from gscodec.payload import Attribute, Payload
from scenes import silent
from test_reference_hac import quicken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"masked": True, "storage": Storage.HAC},
    "distance": {"distance": True, "storage": Storage.STATE_DICTS},
    "bank and appearance": {"bank": True, "appearance": 4, "storage": Storage.UNITED},
    "three chunks": {"features": 23, "offsets": 1},
}
NAMES = [
    f"{n} {part}" for n in ("opacity", "cov", "color", "feature_bank") for part in range(4)
]


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that takes no time."""
    pytest.importorskip("torch")
    quicken(monkeypatch)


def encode(scene: AnchorScene, **options: Any) -> Payload:
    """``scene`` by method hac, even where raw would be smaller."""
    chosen, given = hac.Options(threads=1, **options), hac.Given(small_views())
    return hac.encode(scene, chosen, silent, given).payload


def arrays_of(scene: object) -> dict[str, NDArray[np.generic]]:
    """All arrays of ``scene``, by the names of the reference decoder."""
    assert isinstance(scene, AnchorScene)
    names = NAMES if scene.networks.feature_bank is not None else NAMES[:12]
    shown = () if scene.networks.appearance is None else ("appearance",)
    found: dict[str, NDArray[np.generic]] = dict(scene.attributes())
    found |= zip((*names, *shown), scene.networks.arrays(), strict=True)
    return found if scene.masks is None else {**found, "masks": scene.masks}


def flat(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, tuple[object, bytes]]:
    """Shapes and bytes."""
    return {name: (array.shape, array.tobytes()) for name, array in arrays.items()}


def check_same_scene(data: bytes) -> None:
    """Both decoders give the same arrays and the same facts about the checkpoint."""
    arrays, _ = reference.decode(data)  # checks scene_sha256
    scene = codec.decode(data)
    assert flat(arrays) == flat(arrays_of(scene))
    assert isinstance(scene, AnchorScene)
    found = reference.read_checkpoint(reference.read_file(data))
    facts = (found.storage, found.iteration, found.description, found.has_masks)
    wanted = (scene.storage, scene.iteration, scene.description, scene.masks is not None)
    assert facts == wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 30])
def test_exact_scenes_decode_alike(kind: str, count: int) -> None:
    """Method raw, in blocks."""
    scene = make_anchor_scene(count, **KINDS[kind])
    data = codec.encode(scene, "raw", block_size=16)
    assert flat(reference.decode(data)[0]) == flat(arrays_of(scene))
    check_same_scene(data)


@pytest.mark.usefixtures("quick_fit")
@pytest.mark.parametrize("kind", KINDS)
def test_learned_scenes_decode_alike(kind: str) -> None:
    """Method hac, every kind of network, with and without masks."""
    payload = encode(make_anchor_scene(60, **KINDS[kind]))
    assert len({s.attribute for s in payload.streams}) == 9
    check_same_scene(pack(payload))


@pytest.mark.usefixtures("quick_fit")
def test_learned_scene_of_several_blocks_decodes_alike() -> None:
    """Blocks are cut at block_size, and the last one is shorter."""
    data = pack(encode(make_anchor_scene(80, masked=True), block_size=24))
    file = reference.read_file(data)
    assert file.head["block_size"] == 24
    assert max(block for _, block in file.streams) >= 2
    check_same_scene(data)


@pytest.mark.usefixtures("quick_fit")
def test_escapes_decode_alike() -> None:
    """Values far from all others are beyond the support of every table."""
    scene = make_anchor_scene(60)
    features = scene.features.copy()
    features[::20, 3] = 3e4
    data = pack(encode(replace(scene, features=features)))
    check_same_scene(data)
    decoded = codec.decode(data)
    assert isinstance(decoded, AnchorScene)
    assert float(decoded.features.max()) == pytest.approx(3e4, rel=1e-2)


@pytest.mark.parametrize("features", [1, 9, 10, 11, 32, 50, 64, 255, 256])
@pytest.mark.parametrize("offsets", [1, 10])
def test_groups_are_the_same(features: int, offsets: int) -> None:
    """Chunks of features, scalings, offsets: by the formula of the specification."""
    ours = [(u.attribute, u.columns, u.step_of) for u in anchor_units(features, offsets)[1:]]
    other = [
        (g.attribute, g.columns, g.step_of)
        for g in reference_hac.anchor_groups(features, offsets)
    ]
    assert ours == other
    assert sum(c for a, c, _ in ours if a is Attribute.FEATURE) == features


@pytest.fixture(scope="module")
def sound() -> dict[str, Payload]:
    """A small file of each method."""
    pytest.importorskip("torch")
    scene = make_anchor_scene(30, masked=True, bank=True, appearance=2, distance=True)
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        learned = encode(scene)
    return {"hac": learned, "raw": raw.encode(scene, raw.Options(), silent).payload}


@given(
    st.sampled_from(["raw", "hac"]),
    st.sampled_from([1, 2, 11, 12, 13, 14, 15, 16]),
    st.integers(0, 2**16),
    st.integers(0, 31),
)
@settings(max_examples=60)
def test_damaged_streams_decode_alike(
    sound: dict[str, Payload], method: str, attribute: int, place: int, bit: int
) -> None:
    """With any bit of a stream flipped, both give the same scene, or both refuse."""
    streams = list(sound[method].streams)
    attributes = [stream.attribute for stream in streams]
    number = attributes.index(Attribute(attribute)) if attribute in attributes else 0
    words = np.frombuffer(streams[number].data.ljust(4, b"\0"), "<u1").copy()
    at = 4 * place % len(words) + bit // 8
    words[at % len(words)] ^= np.uint8(1 << bit % 8)
    streams[number] = replace(streams[number], data=words.tobytes())
    payload = replace(sound[method], streams=tuple(streams))
    module = {"raw": raw, "hac": hac}[method]
    ours = outcome(lambda: whole(payload, module))
    assert outcome(lambda: reference.METHODS[payload.header.method](refile(payload))) == ours


def whole(payload: Payload, module: Any) -> dict[str, NDArray[np.generic]]:
    """As a decoder of a file does: the checkpoint first."""
    blueprint_of(payload)
    return arrays_of(module.decode(payload, silent))


def refile(payload: Payload) -> reference.File:
    """What the reference decoder reads of ``payload``; a damaged checkpoint is not packed."""
    header = payload.header
    head = {
        "kind": int(header.kind),
        "position_bits": header.position_bits,
        "block_size": header.block_size,
        "count": header.count,
        "lattice_step": header.lattice_step,
        "lattice_origin": header.lattice_origin,
    }
    streams = {(int(s.attribute), s.block): s.data for s in payload.streams}
    return reference.File(head=head, streams=streams)


def outcome(decode: Callable[[], Mapping[str, NDArray[np.generic]]]) -> object:
    """What comes out, or that nothing does."""
    try:
        return flat(decode())
    except (FormatError, reference.BadFileError):
        return "refused"
