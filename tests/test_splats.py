"""Splats that trainers save by torch, and the folder that INRIA's 3DGS training leaves."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plyfile
import pytest

import gscodec
from gscodec.checkpointio import read_splats
from gscodec.checkpointio.state_dicts import write_state_dict
from gscodec.errors import SceneError
from scenes import gaussians, make_scene

if TYPE_CHECKING:
    from pathlib import Path

    from command import Cli
    from gscodec.scene import GaussianScene

SCENE = replace(make_scene(50, 2), has_normals=False)
GSPLAT = {
    "means": SCENE.means,
    "scales": SCENE.log_scales,
    "quats": SCENE.quats,
    "opacities": SCENE.opacity_logits,
    "sh0": SCENE.sh_dc[:, None],
    "shN": SCENE.sh_rest,
}
SPLATFACTO = {
    "means": SCENE.means,
    "scales": SCENE.log_scales,
    "quats": SCENE.quats,
    "opacities": SCENE.opacity_logits[:, None],
    "features_dc": SCENE.sh_dc,
    "features_rest": SCENE.sh_rest,
}


def nerfstudio(prefix: str = "_model.gauss_params.") -> dict[str, Any]:
    return {prefix + name: array for name, array in SPLATFACTO.items()}


def assert_same(found: GaussianScene, wanted: GaussianScene = SCENE) -> None:
    """Equal to the last bit."""
    for name, array in wanted.attributes().items():
        assert found.attributes()[name].tobytes() == array.tobytes(), name


def test_gsplat() -> None:
    scene, told, notes = read_splats(write_state_dict({"splats": GSPLAT}), "x.pt")
    assert_same(scene)
    assert (told, notes) == ({"format": "torch"}, ())


@pytest.mark.parametrize("prefix", ["_model.gauss_params.", "_model."])
def test_nerfstudio(prefix: str) -> None:
    others = {"_model.camera_optimizer.pose_adjustment": np.zeros((2, 6), np.float32)}
    data = write_state_dict(
        {"pipeline": {**others, **nerfstudio(prefix)}, "optimizers": {}, "scalers": {}}
    )
    scene, _, notes = read_splats(data, "x.ckpt")
    assert_same(scene)
    assert notes == ("left out optimizers, scalers, _model.camera_optimizer.pose_adjustment",)


def test_degree_0() -> None:
    bare = {**GSPLAT, "shN": np.zeros((50, 0, 3), np.float32)}
    scene, _, _ = read_splats(write_state_dict({"splats": bare}), "x.pt")
    assert_same(scene, replace(SCENE, sh_rest=SCENE.sh_rest[:, :0]))


def test_what_torch_writes() -> None:
    """With optimisers, numbers as keys, and scalars of numpy, as nerfstudio's schedulers have."""
    torch = pytest.importorskip("torch")
    tensors = {n: torch.tensor(a) for n, a in nerfstudio().items()}
    parameter = torch.nn.Parameter(tensors["_model.gauss_params.means"])
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    parameter.data = tensors["_model.gauss_params.means"]
    out = io.BytesIO()
    torch.save(
        {
            "step": 29999,
            "pipeline": tensors,
            "optimizers": {"means": optimizer.state_dict()},
            "schedulers": {"means": {"_last_lr": [np.float64(1.5e-4)], "verbose": False}},
            "scalers": {"scale": 65536.0, "_growth_tracker": 0},
        },
        out,
    )
    scene, told, notes = read_splats(out.getvalue(), "step-000029999.ckpt")
    assert scene.log_scales.tobytes() == SCENE.log_scales.tobytes()
    assert told["iteration"] == 29999
    assert notes == ("left out optimizers, schedulers, scalers",)


def without(name: str) -> dict[str, Any]:
    return {n: a for n, a in GSPLAT.items() if n != name}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "found no splats, expected 'splats' of gsplat or 'pipeline' of nerfstudio"),
        ({"splats": without("quats")}, "found no tensor quats"),
        (
            {"splats": {**without("sh0"), "features": SCENE.means, "colors": SCENE.means}},
            "found no tensor sh0; it was trained with appearance optimisation",
        ),
        ({"pipeline": {"_model.field.x": SCENE.means}}, "no tensor _model.gauss_params.means"),
        ({"splats": {**GSPLAT, "shN": SCENE.sh_rest[:, :5]}}, r"shN: found shape \(50, 5, 3"),
        ({"splats": {**GSPLAT, "shN": SCENE.means}}, r"shN: found shape \(50, 3\)"),
        ({"splats": {**GSPLAT, "scales": SCENE.quats}}, r"scales: found shape \(50, 4\)"),
        ({"splats": {**GSPLAT, "quats": SCENE.quats[:7]}}, r"quats: found shape \(7, 4\)"),
    ],
)
def test_what_holds_no_scene_is_refused(state: Any, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        read_splats(write_state_dict(state), "x.pt")


def test_a_checkpoint_is_never_run(cli: Cli, tmp_path: Path) -> None:
    """Not even where nothing of what it would run is wanted."""
    good = write_state_dict({"splats": GSPLAT})
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):  # a further key, whose value is a call
                call = b"cos\nsystem\n(X\x0b\x00\x00\x00touch stolent" + b"R"
                data = data[:2] + b"(X\x01\x00\x00\x00a" + call + b"d."
            new.writestr(name, data)
    (tmp_path / "bad.pt").write_bytes(out.getvalue())
    result = cli("encode", "bad.pt", "--quiet")
    assert result.code == 3
    assert "found 'os.system'; it is not run" in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pt"]


@pytest.mark.parametrize(
    ("name", "state"),
    [("ckpt_29999_rank0.pt", {"splats": GSPLAT}), ("step-01.ckpt", {"pipeline": nerfstudio()})],
)
def test_encode_takes_splats(cli: Cli, tmp_path: Path, name: str, state: Any) -> None:
    (tmp_path / name).write_bytes(write_state_dict(state))
    result = cli("encode", name, "--method", "raw")
    assert (result.code, result.out) == (0, b"")
    data = (tmp_path / name).with_suffix(".gsz").read_bytes()
    assert_same(gaussians(gscodec.decode(data)))
    meta: Any = gscodec.inspect(data).meta
    assert meta["conventions"]["format"] == "torch"
    assert meta["source"]["name"] == name


def test_values_of_splats_are_checked_as_those_of_a_ply(cli: Cli, tmp_path: Path) -> None:
    means = SCENE.means.copy()
    means[4, 1] = np.nan
    (tmp_path / "x.pt").write_bytes(write_state_dict({"splats": {**GSPLAT, "means": means}}))
    result = cli("encode", "x.pt", "--method", "raw", "--quiet")
    assert result.code == 3
    assert "found 1 of 50 Gaussians" in result.err
    assert cli("encode", "x.pt", "--method", "raw", "--drop-invalid").code == 0
    assert len(gscodec.decode((tmp_path / "x.gsz").read_bytes())) == 49


def test_a_part_of_a_scene_is_refused(cli: Cli, tmp_path: Path) -> None:
    """On two GPUs gsplat writes a file for each, with half of the Gaussians."""
    for rank in (0, 1):
        path = tmp_path / f"ckpt_29999_rank{rank}.pt"
        path.write_bytes(write_state_dict({"splats": GSPLAT}))
    (tmp_path / "ckpt_6999_rank0.pt").write_bytes(write_state_dict({"splats": GSPLAT}))
    result = cli("encode", "ckpt_29999_rank0.pt", "--method", "raw", "--quiet")
    assert result.code == 6
    assert "is one part of a scene, found ckpt_29999_rank1.pt beside it" in result.err
    assert cli("encode", "ckpt_6999_rank0.pt", "--method", "raw").code == 0


# The folder that INRIA's 3DGS training leaves.


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of two iterations, the later one of more Gaussians."""
    folder = tmp_path / "gs_model"
    for iteration, count in ((7000, 20), (30_000, 50)):
        place = folder / f"point_cloud/iteration_{iteration}"
        place.mkdir(parents=True)
        (place / "point_cloud.ply").write_bytes(gscodec.write_ply(make_scene(count)))
    for name in ("cameras.json", "cfg_args", "input.ply"):
        (folder / name).write_text("x")
    return folder


def test_the_highest_iteration_is_taken(cli: Cli, model: Path, tmp_path: Path) -> None:
    result = cli("encode", model, "--method", "raw")
    assert (result.code, result.out) == (0, b"")
    place = "point_cloud/iteration_30000/point_cloud.ply"
    assert f"read {place}, the highest iteration" in result.err
    assert (
        "left out cameras.json, cfg_args, input.ply, point_cloud/iteration_7000" in result.err
    )
    data = (tmp_path / "gs_model.gsz").read_bytes()
    assert_same(gaussians(gscodec.decode(data)), make_scene(50))
    meta: Any = gscodec.inspect(data).meta
    assert meta["source"]["name"] == "gs_model"
    assert meta["source"]["files"] == [place]


def test_the_folder_of_an_iteration_is_taken_too(cli: Cli, model: Path, tmp_path: Path) -> None:
    result = cli(
        "encode", model / "point_cloud/iteration_7000", "-o", "x.gsz", "--method", "raw"
    )
    assert result.code == 0, result.err
    assert_same(gaussians(gscodec.decode((tmp_path / "x.gsz").read_bytes())), make_scene(20))


def test_a_folder_of_gaussians_has_what_gaussians_have(cli: Cli, model: Path) -> None:
    ply = model / "point_cloud/iteration_30000/point_cloud.ply"
    bad = make_scene(50)
    bad.means[3] = np.nan
    ply.write_bytes(gscodec.write_ply(bad))
    result = cli("encode", model, "--method", "raw", "--quiet")
    assert result.code == 3
    assert "iteration_30000/point_cloud.ply" in result.err
    assert cli("encode", model, "--method", "raw", "--drop-invalid").code == 0
    result = cli("encode", model, "-o", "y.gsz", "--scaling", "log", "--quiet")
    assert (result.code, "only a checkpoint folder has it" in result.err) == (2, True)


def test_compare_takes_the_folder(cli: Cli, model: Path) -> None:
    pytest.importorskip("numba")
    result = cli("compare", model, model, "--max-views", "1", "--quiet")
    assert result.code == 0, result.err


def test_levels_of_gaussians_are_refused_by_name(cli: Cli, model: Path) -> None:
    """Octree-GS without anchors: a camera sees only some of the Gaussians."""
    ply = model / "point_cloud/iteration_30000/point_cloud.ply"
    table = plyfile.PlyData.read(str(ply))["vertex"].data
    wider = np.zeros(50, [*table.dtype.descr, ("level", "<f4"), ("extra_level", "<f4")])
    for name in table.dtype.names:
        wider[name] = table[name]
    plyfile.PlyData([plyfile.PlyElement.describe(wider, "vertex")]).write(str(ply))
    result = cli("encode", model, "--quiet")
    assert result.code == 3
    assert "this is a scene of Octree-GS or a relative of it" in result.err


def test_a_link_out_of_the_folder_is_refused(cli: Cli, model: Path, tmp_path: Path) -> None:
    ply = model / "point_cloud/iteration_30000/point_cloud.ply"
    ply.rename(tmp_path / "elsewhere.ply")
    ply.symlink_to(tmp_path / "elsewhere.ply")
    result = cli("encode", model, "--quiet")
    assert result.code == 6
    assert "is a link that leads out of the folder" in result.err


@pytest.mark.parametrize("command", ["cameras", "rd"])
def test_a_link_is_followed_if_asked_for(
    cli: Cli, model: Path, tmp_path: Path, command: str
) -> None:
    """By every command that reads a folder: the error says so."""
    pytest.importorskip("matplotlib")
    ply = model / "point_cloud/iteration_30000/point_cloud.ply"
    ply.rename(tmp_path / "elsewhere.ply")
    ply.symlink_to(tmp_path / "elsewhere.ply")
    few = {
        "cameras": ("--count", "2"),
        "rd": ("--method", "raw", "--max-views", "1", "--no-spz"),
    }
    args = (command, model, "-o", tmp_path / "out", *few[command])
    result = cli(*args)
    assert (result.code, "with --allow-outside" in result.err) == (6, True), result.err
    assert cli(*args, "--allow-outside").code == 0
