"""The contract of `gscodec.methods`, for every method by name: a method is tested by existing."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from gscodec import methods
from gscodec.errors import CannotCodeError, FormatError, SceneError, UsageError
from gscodec.method import Coded
from gscodec.payload import Attribute, Header
from quick import set_defaults
from scenes import gaussians, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.scene import GaussianScene


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts hold for a badly trained model too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=12)


@pytest.fixture(params=methods.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each method in turn."""
    return str(request.param)


@pytest.fixture
def module(name: str) -> Any:
    """Its module."""
    return methods.by_name(name)


def coded(module: Any, scene: GaussianScene) -> Coded:
    """``scene`` through ``module``, or a skip with the method's own reason."""
    try:
        result: Coded = module.encode(scene, module.Options(), silent)
    except CannotCodeError as reason:
        pytest.skip(str(reason))
    return result


def test_every_scene_goes_through_the_whole_codec(
    hard_scene: GaussianScene, name: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding gives the encoder's reconstruction, bit for bit, also where raw is smaller."""
    encode, made = module.encode, list[Coded]()

    def remembered(*given: Any) -> Coded:
        made.append(encode(*given))
        return made[-1]

    monkeypatch.setattr(module, "encode", remembered)
    result = gscodec.encode_with_report(hard_scene, name)
    assert made or "method raw instead" in result.notes[0]
    for one in made:
        own = module.decode(one.payload, silent)
        assert own.digest() == one.reconstruction.digest()
        assert own.digest() == one.payload.header.scene_sha256
        assert own.has_normals == hard_scene.has_normals
    decoded = gscodec.decode(result.data)
    assert len(decoded) == len(hard_scene)
    assert decoded.digest() == result.reconstruction.digest()
    assert [e.name for e in decoded.extras] == [e.name for e in hard_scene.extras]
    for ours, theirs in zip(decoded.extras, result.reconstruction.extras, strict=True):
        assert ours.values.tobytes() == theirs.values.tobytes()


def test_what_is_known_of_a_scene_comes_back(
    module: Any, name: str, make_scene: Callable[..., GaussianScene]
) -> None:
    origin = (447_000.25, -5e6, 0.125)
    scene = dataclasses.replace(make_scene(40, 1), antialiased=True, origin=origin)
    result = coded(module, scene)
    for found in (result.reconstruction, gscodec.decode(gscodec.encode(scene, name))):
        assert gaussians(found).antialiased
        assert gaussians(found).origin == origin


def test_settings_are_plain_values(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be kept, sent and compared; what only one run has is given to it."""
    monkeypatch.undo()
    settings = module.Options()
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301
    values = dataclasses.asdict(settings)
    assert json.loads(json.dumps(values)) == values
    assert not values.keys() & module.Given.__dataclass_fields__.keys()


def test_a_missing_stream_is_named(
    module: Any, make_scene: Callable[..., GaussianScene]
) -> None:
    result = coded(module, make_scene(40, degree=1))
    for number, stream in enumerate(result.payload.streams):
        streams = result.payload.streams[:number] + result.payload.streams[number + 1 :]
        # Of what a file may lack, something else tells that it is there.
        missing = f"{stream.attribute.name}, block 0: missing|which a prior has"
        with pytest.raises(FormatError, match=missing):
            module.decode(dataclasses.replace(result.payload, streams=streams), silent)


def test_a_foreign_stream_is_refused(
    module: Any, make_scene: Callable[..., GaussianScene]
) -> None:
    payload = coded(module, make_scene(40, degree=0)).payload
    extra = dataclasses.replace(payload.streams[-1], attribute=Attribute.SH_3, block=7)
    with pytest.raises(FormatError, match="SH_3, block 7"):
        module.decode(dataclasses.replace(payload, streams=(*payload.streams, extra)), silent)


def test_nothing_of_the_callers_scene_changes(
    module: Any, make_scene: Callable[..., GaussianScene]
) -> None:
    scene = make_scene(30, degree=2)
    before = scene.digest()
    coded(module, scene)
    assert scene.digest() == before


def test_the_header_describes_the_scene(
    module: Any, make_scene: Callable[..., GaussianScene]
) -> None:
    scene = make_scene(50, degree=2)
    result = coded(module, scene)
    header: Header = result.payload.header
    means = gaussians(result.reconstruction).means
    assert (header.count, header.sh_degree) == (50, 2)
    assert np.array_equal(np.array(header.bounds_min, np.float32), means.min(axis=0))
    assert np.array_equal(np.array(header.bounds_max, np.float32), means.max(axis=0))


def test_the_same_seed_gives_the_same_file(make_scene: Callable[..., GaussianScene]) -> None:
    scene = make_scene(300, degree=1)
    hac = methods.by_name("hac")
    files = [hac.encode(scene, hac.Options(seed=s), silent).payload for s in (3, 3, 4)]
    assert files[0].streams == files[1].streams
    assert files[0].streams != files[2].streams


def test_a_smaller_lambda_is_nearer_to_the_source(
    make_scene: Callable[..., GaussianScene],
) -> None:
    scene = make_scene(400, degree=1)
    hac = methods.by_name("hac")
    errors, sizes = [], []
    for lam in (1e-1, 1e-3, 1e-5):
        result = hac.encode(scene, hac.Options(lam=lam), silent)
        # Opacity is not relabelled by the canonical form, so it can be compared row by row.
        found = gaussians(result.reconstruction)
        order = np.lexsort(np.round(found.means, 1).T)
        errors.append(
            np.abs(np.sort(found.opacity_logits[order]) - np.sort(scene.opacity_logits)).mean()
        )
        sizes.append(sum(len(s.data) for s in result.payload.streams))
    assert errors[0] > errors[1] > errors[2]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lam": 0.0}, "lambda: found 0"),
        ({"lam": 2.0}, "lambda: found 2"),
        ({"position_bits": 22}, "position bits: found 22"),
        ({"device": "tpu"}, "device: found 'tpu'"),
        ({"threads": 0}, "threads: found 0"),
        ({"speed": 9}, "option speed"),
    ],
)
def test_senseless_options_are_refused(
    options: dict[str, Any], message: str, make_scene: Callable[..., GaussianScene]
) -> None:
    with pytest.raises(UsageError, match=message):
        gscodec.encode(make_scene(5), method="hac", **options)


def test_an_unknown_method_lists_the_known_ones(
    make_scene: Callable[..., GaussianScene],
) -> None:
    with pytest.raises(
        UsageError, match="expected one of auto, raw, hac, hemgs, ralhe, predict-gs"
    ):
        gscodec.encode(make_scene(5), method="zip")


def test_hac_refuses_values_that_are_not_finite(
    make_scene: Callable[..., GaussianScene],
) -> None:
    scene = make_scene(20)
    means = scene.means.copy()
    means[7, 1] = np.nan
    with pytest.raises(SceneError, match=r"scene\.means: 1 Gaussians .* index 7"):
        gscodec.encode(dataclasses.replace(scene, means=means), method="hac")


def test_clamped_values_are_counted(make_scene: Callable[..., GaussianScene]) -> None:
    scene = make_scene(200, degree=0)
    opacity, quats = scene.opacity_logits.copy(), scene.quats.copy()
    opacity[:3], quats[4] = 90, 0
    hac = methods.by_name("hac")
    changed = dataclasses.replace(scene, opacity_logits=opacity, quats=quats)
    notes = "\n".join(hac.encode(changed, hac.Options(), silent).notes)
    assert "clamped 3 opacity logits to +-16" in notes
    assert "replaced 1 zero quaternions" in notes
    assert "reordered 200 Gaussians" in notes
