"""What programs that import gscodec call; docs/library.md is run as it is."""

from __future__ import annotations

import re
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec import methods
from gscodec.arguments import EncodeOptions
from gscodec.cameraio import write_cameras
from gscodec.errors import (
    GscodecWarning,
    InputError,
    OutputError,
    SceneError,
    UsageError,
)
from gscodec.notes import Note
from quick import set_defaults
from scenes import gaussians, make_scene

DOC = (Path(__file__).parent.parent / "docs/library.md").read_text(encoding="utf-8")
SCENE = make_scene(60, 2)
CAMERAS = small_views().cameras


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_documented_examples_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, as the page says; learned in few iterations."""
    for package in ("torch", "numba", "scipy"):
        pytest.importorskip(package)
    set_defaults(monkeypatch, training=20, round_length=5)
    (folder / "scene.ply").write_bytes(gscodec.write_ply(make_scene(60, 3)))
    (folder / "cameras.json").write_bytes(write_cameras(CAMERAS))
    names: dict[str, Any] = {}
    examples = re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    assert len(examples) > 8
    for code in examples:
        exec(compile(code, "docs/library.md", "exec"), names)  # noqa: S102
    assert "data: found the text 'scene.gsz', expected bytes" in capsys.readouterr().out


def test_every_public_name_is_documented_and_listed() -> None:
    assert set(dir(gscodec)) == set(gscodec.__all__)
    for name in set(gscodec.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", DOC), name


def test_options_are_those_of_the_methods() -> None:
    """The type names every field of every method's Options and Given, and no other."""
    known = {
        field.name
        for name in methods.names()
        for form in (methods.by_name(name).Options, methods.by_name(name).Given)
        for field in fields(form)
    }
    assert set(EncodeOptions.__annotations__) == known - {
        "besides",
        "room",
        "tiling",
    } | {"quality"}  # the codec's own, and a name for lam


# --- load and save --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scene.ply", "scene.gsz", "SCENE.PLY", "scene"])
def test_what_is_saved_is_loaded(name: str) -> None:
    options: dict[str, Any] = {"method": "raw"} if name.endswith("gsz") else {}
    saved = gscodec.save(SCENE, Path(name), **options)
    assert saved.bytes == Path(name).stat().st_size
    assert gscodec.load(name).digest() == SCENE.digest()


def test_anchors_are_a_file_or_a_folder() -> None:
    scene = replace(make_anchor_scene(20), description="Namespace()")
    gscodec.save(scene, "scene.gsz", method="raw")
    assert gscodec.load("scene.gsz").digest() == scene.digest()
    pytest.importorskip("torch")
    gscodec.save(scene, "folder")
    assert gscodec.load("folder").digest() == scene.digest()
    with pytest.raises(UsageError, match=r"anchors are no Gaussians, expected a .gsz or a fol"):
        gscodec.save(scene, "scene.ply")


def test_an_output_that_exists_is_kept() -> None:
    gscodec.save(SCENE, "scene.ply")
    before = Path("scene.ply").read_bytes()
    with pytest.raises(OutputError, match=r"exists already; replace it with overwrite=True$"):
        gscodec.save(SCENE.take(np.arange(3)), "scene.ply")
    assert Path("scene.ply").read_bytes() == before
    gscodec.save(SCENE.take(np.arange(3)), "scene.ply", overwrite=True)
    assert len(gscodec.load("scene.ply")) == 3


def test_what_reading_leaves_out_is_told() -> None:
    extra = gscodec.ExtraProperty("label", np.arange(60, dtype=np.uint8))
    gscodec.save(replace(SCENE, extras=(extra,)), "scene.ply")
    (note,) = gscodec.load_with_report("scene.ply").notes
    assert "dropped 1 extra vertex property: label; keep with keep_extra=True" in note
    assert isinstance(note, Note)
    assert (note.code, note.numbers) == ("extras-dropped", {"properties": 1})
    kept = gaussians(gscodec.load("scene.ply", keep_extra=True))
    assert kept.extras[0].values.tolist() == extra.values.tolist()


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("nothing.ply", InputError, "nothing.ply: cannot be read"),
        (3, UsageError, "path: found 3, expected a text or a pathlib.Path"),
        ("-", UsageError, "path: found '-', expected the name of a file"),
        (b"scene.ply", UsageError, "path: found bytes, expected a text"),
    ],
)
def test_paths_that_are_none(path: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        gscodec.load(path)


def test_what_is_refused_is_told_in_arguments() -> None:
    """Those of Python, not those of the command line."""
    broken = SCENE.take(np.arange(9))
    broken.means[3] = np.nan
    Path("scene.ply").write_bytes(gscodec.write_ply(broken))
    with pytest.raises(SceneError, match=r"; drop them with drop_invalid=True$"):
        gscodec.load("scene.ply")
    assert len(gscodec.load("scene.ply", drop_invalid=True)) == 8
    pytest.importorskip("torch")
    gscodec.save(make_anchor_scene(5), "folder")
    with pytest.raises(OutputError, match=r"exists already; replace it with overwrite=True$"):
        gscodec.save(make_anchor_scene(5), "folder")


def test_qualities_have_names() -> None:
    """As on the command line; each is a lambda."""
    pytest.importorskip("numba")
    settings: dict[str, Any] = {"effort": "instant", "raw_below": 0}
    named = gscodec.encode(SCENE, quality="low", **settings)
    assert named == gscodec.encode(SCENE, lam=4e-3, **settings)
    with pytest.raises(UsageError, match=r"^quality: found 'fine', expected low, medium, high"):
        gscodec.encode(SCENE, quality="fine")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^quality and lam: choose one of them"):
        gscodec.encode(SCENE, quality="low", lam=1e-3)
    with pytest.raises(UsageError, match=r"^option quality: method raw has no such option"):
        gscodec.encode(SCENE, "raw", quality="low")


def test_a_suffix_that_nobody_writes() -> None:
    with pytest.raises(UsageError, match=r"found the suffix .obj, expected .ply"):
        gscodec.save(SCENE, "scene.obj")
    with pytest.raises(UsageError, match=r"options are for a .gsz, found lam"):
        gscodec.save(SCENE, "scene.ply", lam=1e-3)


# --- wrong types -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        ("scene.ply", "found the text 'scene.ply', expected a GaussianScene"),
        (Path("scene.ply"), "read it with gscodec.load"),
        (b"ply", "found bytes, expected a GaussianScene or an AnchorScene; make one with"),
        (
            {"means": SCENE.means},
            "found a dict, expected a GaussianScene or an AnchorScene; ma",
        ),
        (SCENE.means, "found a numpy ndarray"),
        (None, "found None"),
    ],
)
def test_scenes_that_are_none(scene: Any, words: str) -> None:
    for call in (
        gscodec.encode,
        gscodec.to_torch,
        gscodec.virtual_cameras,
        gscodec.write_ply,
        lambda scene: gscodec.render.render(scene, CAMERAS[0]),
    ):
        with pytest.raises(UsageError, match=r"^scene: found .*expected a Gau") as caught:
            call(scene)
        assert words in str(caught.value)
    with pytest.raises(UsageError, match=r"^b: found "):
        gscodec.compare(SCENE, scene)
    with pytest.raises(UsageError, match=r"^scene: found "):
        gscodec.save(scene, "scene.ply")


@pytest.mark.parametrize(
    ("cameras", "words"),
    [
        (
            "cameras.json",
            "cameras: found the text 'cameras.json', expected a list of Cameras; ",
        ),
        ([], "cameras: found an empty list, expected a list of Cameras"),
        ([3], "camera: found 3, expected a gscodec.Camera; gscodec.load_cameras reads them"),
    ],
)
def test_cameras_that_are_none(cameras: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        gscodec.compare(SCENE, SCENE, cameras)
    wrong: Any = cameras[0] if cameras else None
    with pytest.raises(UsageError, match=r"^camera: found .*expected a gscodec.Camera"):
        gscodec.render.render(SCENE, wrong)


def test_anchors_are_no_ply() -> None:
    wrong: Any = make_anchor_scene(5)
    with pytest.raises(UsageError, match=r"^scene: found anchors, expected a GaussianScene; "):
        gscodec.write_ply(wrong)


def test_bytes_that_are_none() -> None:
    data = gscodec.encode(SCENE, "raw")
    for call in (gscodec.decode, gscodec.inspect, gscodec.read_ply):
        wrong: Any
        for wrong in ("scene.gsz", Path("scene.gsz"), SCENE, None):
            with pytest.raises(UsageError, match=r"^data: found .*, expected bytes"):
                call(wrong)
    Path("scene.gsz").write_bytes(data)
    with (
        Path("scene.gsz").open("rb") as file,
        pytest.raises(UsageError, match=r"found an open file, .* pass what its read"),
    ):
        gscodec.decode(file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"found a numpy ndarray, .* pass what its tobytes"):
        gscodec.decode(np.frombuffer(data, np.uint8))  # type: ignore[arg-type]
    like: Any
    for like in (bytearray(data), memoryview(data)):
        assert gscodec.decode(like).digest() == SCENE.digest()
        assert gscodec.inspect(like).total_bytes == len(data)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("lam", "1e-3", "option lam: found the text '1e-3', expected a number"),
        ("lam", True, "option lam: found True, expected a number"),
        ("seed", 1.5, "option seed: found 1.5, expected a whole number"),
        ("iterations", "9", "expected a whole number or None"),
        ("effort", 3, "option effort: found 3, expected a text"),
        (
            "views",
            "cameras.json",
            "expected TargetViews or a list of Cameras or None; gscodec.lo",
        ),
        ("views", [1], "option views: found a list, expected TargetViews"),
        ("checkpoint", 1, "option checkpoint: found 1, expected a function or None"),
        ("embed_prior", 1, "option embed_prior: found 1, expected True or False"),
        ("lambda_", 1, "option lambda_: method auto has no such option, expected lam, "),
    ],
)
def test_options_of_another_type(option: str, value: object, words: str) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(UsageError, match=re.escape(words)):
        gscodec.encode(SCENE, **options)


def test_numbers_of_numpy_are_numbers() -> None:
    pytest.importorskip("numba")
    numbers: dict[str, Any] = {"lam": np.float32(1e-2), "seed": np.int64(1)}
    data = gscodec.encode(SCENE, effort="instant", raw_below=0, **numbers)
    settings = gscodec.inspect(data).meta["settings"]
    assert isinstance(settings, dict)
    assert settings["seed"] == 1


def test_arrays_that_are_none() -> None:
    torch = pytest.importorskip("torch")
    tensor: Any = torch.tensor(SCENE.means)
    with pytest.raises(
        SceneError, match=r"scene.means: found a torch Tensor, expected a numpy"
    ):
        replace(SCENE, means=tensor)
    numbers: Any = SCENE.means.tolist()
    with pytest.raises(SceneError, match=r"scene.means: found a list, expected a numpy array;"):
        replace(SCENE, means=numbers)
    with pytest.raises(SceneError, match=r"anchors: found a torch Tensor"):
        replace(make_anchor_scene(5), anchors=tensor)


# --- order -----------------------------------------------------------------------------------


def test_order_is_that_of_the_file() -> None:
    """Also where some Gaussians are set aside, and follow the others exactly."""
    pytest.importorskip("numba")
    scene = make_scene(200, 0)
    scene.means[7] = (1e6, 0, 0)
    made = gscodec.encode_with_report(scene, effort="instant", lam=1e-5, raw_below=0)
    same = scene.take(made.order)
    found = gaussians(gscodec.decode(made.data))
    assert sorted(made.order.tolist()) == list(range(200))
    assert made.order[-1] == 7
    assert np.abs(same.means - found.means).max() < 0.1
    assert np.abs(same.sh_dc - found.sh_dc).max() < 0.5
    exact = gscodec.encode_with_report(scene, "raw")
    assert exact.order.tolist() == list(range(200))


# --- gsplat ----------------------------------------------------------------------------------


def test_tensors_come_back() -> None:
    torch = pytest.importorskip("torch")
    tensors = gscodec.to_torch(SCENE)
    assert {n: tuple(t.shape) for n, t in tensors.items()} == {
        "means": (60, 3),
        "opacities": (60,),
        "scales": (60, 3),
        "quats": (60, 4),
        "sh0": (60, 1, 3),
        "shN": (60, 8, 3),
    }
    trained = torch.nn.ParameterDict({n: torch.nn.Parameter(t) for n, t in tensors.items()})
    scene = gscodec.from_gsplat(trained)
    assert scene.digest() == SCENE.digest()
    with torch.no_grad():
        trained["means"].zero_()
    assert scene.digest() == SCENE.digest()


def test_arrays_by_name_are_a_scene() -> None:
    arrays: dict[str, Any] = {
        "means": SCENE.means.astype(np.float64),
        "quats": SCENE.quats,
        "scales": SCENE.log_scales,
        "opacities": SCENE.opacity_logits[:, None],
        "sh0": SCENE.sh_dc,
    }
    assert gscodec.from_gsplat(arrays).sh_degree == 0
    activated = {
        **arrays,
        "scales": np.exp(SCENE.log_scales),
        "opacities": 1 / (1 + np.exp(-SCENE.opacity_logits)),
    }
    with pytest.warns(GscodecWarning, match="splats: opacity is .* these look activated"):
        gscodec.from_gsplat(activated)
    for wrong, words in (
        ({**arrays, "features": SCENE.means}, "found features too, expected means, .*appearan"),
        ({"means": SCENE.means}, "found no tensor opacities, scales, quats, sh0, expected"),
        (
            {**arrays, "quats": "x"},
            r"splats\['quats'\]: found the text 'x', expected a dense tenso",
        ),
        ({**arrays, "means": SCENE.quats}, "scene.means: found float32"),
    ):
        with pytest.raises(SceneError, match=words):
            gscodec.from_gsplat(wrong)
    no_dict: Any = SCENE.means
    with pytest.raises(UsageError, match="splats: found a numpy ndarray, expected a dict"):
        gscodec.from_gsplat(no_dict)
    with pytest.raises(UsageError, match="found anchors, which make Gaussians for each"):
        gscodec.to_torch(make_anchor_scene(5))


@pytest.mark.parametrize("kind", ["sparse", "meta", "complex", "numpy"])
def test_tensors_without_real_numbers_in_place_are_told(kind: str) -> None:
    """With the name of the tensor; nothing of it is dropped."""
    torch = pytest.importorskip("torch")
    splats = gscodec.to_torch(SCENE)
    means: Any = splats["means"]
    made = {
        "sparse": means.to_sparse,
        "meta": lambda: means.to("meta"),
        "complex": lambda: means.to(torch.complex64),
        "numpy": lambda: SCENE.means.astype(np.complex64),
    }[kind]()
    with pytest.raises(SceneError, match=r"splats\['means'\]: found a .* expected a dense"):
        gscodec.from_gsplat({**splats, "means": made})


def test_shapes_that_are_expected_have_names() -> None:
    with pytest.raises(SceneError, match=r"found float32 \(60, 45\), expected .* \(60, K, 3\)"):
        replace(SCENE, sh_rest=np.zeros((60, 45), np.float32))


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
def test_a_device_that_is_not_there_is_told(device: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match=f"device: found '{device}', expected one that torch"):
        gscodec.to_torch(SCENE, device)


# --- pictures --------------------------------------------------------------------------------


def test_comparing_is_what_the_command_does() -> None:
    for package in ("numba", "scipy"):
        pytest.importorskip(package)
    scene = make_scene(100, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = gscodec.compare(scene, scene, CAMERAS)
    assert result.mean is not None
    assert (result.mean.psnr, result.a.bytes, result.views_from) == (
        100,
        None,
        "3 given cameras",
    )
    assert result.attributes.matched == 100
    assert result.to_json()["a"] == {
        "name": "a",
        "bytes": None,
        "gaussians": 100,
        "sh_degree": 1,
        "anchors": None,
        "offsets": None,
    }


def test_cameras_are_in_the_coordinates_of_the_source() -> None:
    """Of a scene with an origin too: its own cameras see it."""
    for package in ("numba", "scipy"):
        pytest.importorskip(package)
    scene = make_scene(100, 0)
    moved = replace(scene, origin=(5e5, 4e6, 100.0))
    near, far = gscodec.virtual_cameras(scene, 2), gscodec.virtual_cameras(moved, 2)
    assert len(near) == 2
    shift = far[0].centre - near[0].centre
    np.testing.assert_allclose(shift, (5e5, 4e6, 100.0), rtol=1e-6)
    seen = gscodec.compare(moved, moved, far)
    assert len(seen.views) == 2
    Path("cameras.json").write_bytes(write_cameras(far))
    loaded = gscodec.load_cameras("cameras.json")
    assert (loaded[0].world_to_camera == far[0].world_to_camera).all()


def test_values_print_in_a_line_or_few() -> None:
    """Not all of their numbers: people print what a function gave them."""
    scene = make_scene(12, 1)
    assert repr(scene) == "<GaussianScene: 12 Gaussians, SH degree 1>"
    moved = replace(scene, origin=(1.0, 2.0, 3.0), antialiased=True)
    assert repr(moved).endswith("SH degree 1, antialiased, origin (1.0, 2.0, 3.0)>")
    anchors = make_anchor_scene(7, 8, 3)
    assert repr(anchors) == "<AnchorScene: 7 anchors of 3 offsets and 8 features>"
    made = gscodec.encode_with_report(scene, "raw")
    assert "GSZ" not in repr(made)
    assert len(repr(made)) < 400


def test_an_option_that_a_method_lacks_is_told() -> None:
    with pytest.raises(
        UsageError, match=r"method raw has no such option, expected block_size$"
    ):
        gscodec.encode(make_scene(3), "raw", threads=1)
