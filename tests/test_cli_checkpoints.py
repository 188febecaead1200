"""Checkpoint folders on the command line: encoded, decoded, baked, inspected, refused."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene
from gscodec import codec
from gscodec.anchors import AnchorScene, Storage
from gscodec.checkpointio import read_checkpoint, write_checkpoint
from gscodec.disk.checkpoints import read_folder
from gscodec.scene import ExtraProperty
from quick import set_defaults
from scenes import make_scene

if TYPE_CHECKING:
    from command import Cli

COUNT, FEATURES, OFFSETS = 120, 8, 3


def anchors(**kinds: Any) -> AnchorScene:
    """A scene that needs no torch to be written."""
    return make_anchor_scene(
        COUNT, FEATURES, OFFSETS, **{"storage": Storage.STATE_DICTS, **kinds}
    )


def write(folder: Path, scene: AnchorScene) -> dict[str, bytes]:
    """Makes a model folder of ``scene``."""
    files = write_checkpoint(scene)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder, with what training leaves in it besides."""
    folder = tmp_path / "model"
    write(folder, anchors())
    (folder / "cameras.json").write_text("[]")
    (folder / "input.ply").write_bytes(b"ply\n")
    (folder / "point_cloud/iteration_7000").mkdir()
    (folder / "point_cloud/iteration_7000/point_cloud.ply").write_bytes(b"ply\n")
    (folder / "point_cloud/iteration_30000/notes.txt").write_text("mine")
    return folder


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """coded.gsz, anchors kept exactly."""
    path = tmp_path / "coded.gsz"
    path.write_bytes(codec.encode(anchors(), "raw"))
    return path


@pytest.fixture
def quick_bake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bake of few and small pictures."""
    pytest.importorskip("torch")
    monkeypatch.setattr("gscodec.bake.views._VIRTUAL", 4)
    monkeypatch.setattr("gscodec.bake.views._AROUND", 4)
    monkeypatch.setattr("gscodec.bake.views._SIZE", (48, 36))
    monkeypatch.setattr("gscodec.bake.views._EDGE", 40)
    monkeypatch.setattr(
        "gscodec.bake.baking.bake.__kwdefaults__", {"sh_degree": 1, "iterations": 3, "seed": 0}
    )


def one_line(text: str) -> str:
    """The error of a quiet run."""
    assert text.startswith("gscodec: error: ")
    assert text.count("\n") == 1
    return text


# --- there and back -----------------------------------------------------------------------


@pytest.mark.parametrize("storage", [Storage.STATE_DICTS, Storage.UNITED, Storage.HAC])
def test_round_trip_by_default_names(cli: Cli, tmp_path: Path, storage: Storage) -> None:
    """Without -o the .gsz is beside the folder, and another folder beside the .gsz."""
    scene = anchors(storage=storage, masked=storage is Storage.HAC)
    files = write(tmp_path / "model", scene)
    assert cli("encode", "model/", "--method", "raw").code == 0
    assert cli("decode", "model.gsz").code == 0
    assert read_folder("model.decoded") == files == read_folder("model")
    assert {p.name for p in tmp_path.iterdir()} == {"model", "model.gsz", "model.decoded"}


def test_the_original_is_not_replaced(cli: Cli, tmp_path: Path) -> None:
    """Not by --overwrite alone: it is known by the SHA-256 of its files."""
    model = tmp_path / "model"
    write(model, anchors())
    assert cli("encode", model, "-o", "a.gsz", "--method", "raw").code == 0
    for args in ([], ["--overwrite"]):
        refused = cli("decode", "a.gsz", "-o", model, "-q", *args)
        assert refused.code == 6
        assert "is the original that this file was made from" in one_line(refused.err)
    assert cli("decode", "a.gsz", "-o", model, "--replace-source").code == 0


def test_an_iteration_folder_is_a_checkpoint_too(
    cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even as the current folder; it keeps its number."""
    monkeypatch.chdir(model / "point_cloud/iteration_30000")
    assert cli("encode", ".", "--method", "raw").code == 0
    monkeypatch.chdir("..")
    assert cli("decode", "iteration_30000.gsz", "-o", "back").code == 0
    there = {n: d for n, d in read_folder(str(model)).items() if n != "cfg_args"}
    assert {n: d for n, d in read_folder("back").items() if n != "cfg_args"} == there
    assert Path("back/point_cloud/iteration_30000/point_cloud.ply").is_file()


def test_torchscript_comes_back_as_torchscript(cli: Cli, tmp_path: Path) -> None:
    """The same values, in files of the same names."""
    pytest.importorskip("torch")
    scene = make_anchor_scene(20)
    (tmp_path / "a.gsz").write_bytes(codec.encode(scene, "raw"))
    assert cli("decode", "a.gsz").code == 0
    files = read_folder("a.decoded")
    assert {Path(name).name for name in files} == {
        *("cfg_args", "point_cloud.ply", "opacity_mlp.pt", "cov_mlp.pt", "color_mlp.pt")
    }
    assert read_checkpoint(files, name="a").scene.digest() == scene.digest()


def test_source_is_remembered(cli: Cli, model: Path) -> None:
    """Name, bytes and digest of what was read; sizes are against those bytes."""
    report = json.loads(cli("encode", model, "--method", "raw", "--json", "-q").out)
    files = read_folder(str(model))
    whole = b"".join(files.values())
    assert report["report"]["source"] == {
        "name": "model",
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole).hexdigest(),
        "files": list(files),
    }
    assert report["report"]["conventions"] == {
        "format": "checkpoint",
        "networks": "state_dicts",
        "iteration": 30_000,
    }
    assert (report["input_bytes"], report["anchors"], report["gaussians"]) == (
        len(whole),
        COUNT,
        None,
    )


def test_what_is_left_out_is_said(cli: Cli, model: Path) -> None:
    """Other files and iterations, by name."""
    (model / "evil\x1b[31m").write_bytes(b"")
    err = cli("encode", model, "--method", "raw").err
    assert (
        "  note      left out cameras.json, evil\\x1b[31m, input.ply, "
        "point_cloud/iteration_30000/notes.txt, point_cloud/iteration_7000\n"
    ) in err
    assert "bytes per anchor, method raw\n" in err
    for number in range(9):
        (model / f"a{number}").mkdir()
    assert "a6, a7 and 6 more\n" in cli("encode", model, "--method", "raw", "--overwrite").err


def test_nothing_is_left_out_of_a_bare_checkpoint(cli: Cli, tmp_path: Path) -> None:
    """Then there is no such line."""
    write(tmp_path / "model", anchors())
    assert "left out" not in cli("encode", "model", "--method", "raw").err


def test_extra_properties_are_kept_on_demand(cli: Cli, tmp_path: Path) -> None:
    """As those of a .ply."""
    extra = ExtraProperty("label", np.arange(COUNT, dtype=np.uint8))
    write(tmp_path / "model", replace(anchors(), extras=(extra,)))
    dropped = cli("encode", "model", "-o", "without.gsz", "--method", "raw")
    kept = cli("encode", "model", "-o", "with.gsz", "--method", "raw", "--keep-extra")
    assert "dropped 1 extra vertex property: label; keep with --keep-extra" in dropped.err
    assert "kept 1 extra vertex property: label\n" in kept.err
    for name, found in (("without.gsz", ()), ("with.gsz", ("label",))):
        scene = codec.decode((tmp_path / name).read_bytes())
        assert tuple(e.name for e in scene.extras) == found


def test_scaling_is_told_or_guessed(cli: Cli, tmp_path: Path) -> None:
    """HAC's last iteration holds linear scalings; who knows better can say so."""
    scene = anchors(storage=Storage.HAC, masked=True)
    linear = replace(scene, log_scalings=np.exp(scene.log_scalings))
    write(tmp_path / "model", linear)
    means = {}
    for word in ("linear", "log"):
        args = ("--method", "raw", "--overwrite", "--scaling", word)
        assert cli("encode", "model", *args).code == 0
        found = codec.decode((tmp_path / "model.gsz").read_bytes())
        means[word] = found.attributes()["log_scalings"].mean()
    assert means["linear"] == pytest.approx(scene.log_scalings.mean(), abs=1e-4)
    assert means["log"] == pytest.approx(linear.log_scalings.mean(), abs=1e-4)


def test_the_default_method_codes_a_checkpoint(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From folder to folder with the learned method, views given."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=5, raw_below=0)
    write(tmp_path / "model", anchors())
    (tmp_path / "cameras.json").write_text(json.dumps([camera(k) for k in range(4)]))
    args = ("--views", "cameras.json", "--lambda", "1e-3", "--json", "-q")
    report = json.loads(cli("encode", "model", *args).out)
    assert report["method"] == "predict-gs"
    assert report["report"]["settings"]["lambda"] == 1e-3
    assert cli("decode", "model.gsz", "-o", "back").code == 0
    back = read_checkpoint(read_folder("back"), name="back").scene
    assert len(back) == report["anchors"]
    assert back.digest() == codec.decode((tmp_path / "model.gsz").read_bytes()).digest()


def test_effort_high_leaves_no_state(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anchors have none to go on from."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=5, raw_below=0)
    write(tmp_path / "model", anchors())
    (tmp_path / "cameras.json").write_text(json.dumps([camera(k) for k in range(4)]))
    args = ("--views", "cameras.json", "--effort", "high", "--iterations", "2", "--json", "-q")
    report = json.loads(cli("encode", "model", *args).out)
    kept = any(note["code"] == "effort-fast" for note in report["notes"])
    assert report["report"]["settings"]["effort"] == ("fast" if kept else "high")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cameras.json", "model", "model.gsz"]


def camera(number: int) -> dict[str, object]:
    """A plain camera that looks at the scene from one of four sides."""
    c, s = np.cos(number * np.pi / 2), np.sin(number * np.pi / 2)
    view = [[c, 0, -s, 0], [0, 1, 0, 0], [s, 0, c, 6], [0, 0, 0, 1]]
    lens = {"width": 40, "height": 30, "fx": 40, "fy": 40, "cx": 20, "cy": 15}
    return {**lens, "world_to_camera": [[float(v) for v in row] for row in view]}


def test_decoding_anchors_needs_no_torch(tmp_path: Path, coded: Path) -> None:
    """Unless networks are to be written as TorchScript, which is said."""
    import subprocess

    run = "import sys; sys.modules['torch'] = None\nfrom gscodec.cli import main; main()"

    def decode(source: Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", run, "decode", source.name, "--quiet"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)

    assert decode(coded).returncode == 0
    assert (tmp_path / "coded.decoded/point_cloud/iteration_30000/point_cloud.ply").is_file()
    scripted = tmp_path / "scripted.gsz"
    scripted.write_bytes(codec.encode(make_anchor_scene(5), "raw"))
    refused = decode(scripted)
    assert refused.returncode == 2
    assert b"TorchScript networks needs torch" in refused.stderr
    assert not (tmp_path / "scripted.decoded").exists()


def test_overwrite_replaces_a_checkpoint(cli: Cli, coded: Path, tmp_path: Path) -> None:
    """And nothing but a checkpoint."""
    write(tmp_path / "coded.decoded", anchors(seed=1))
    old = read_folder("coded.decoded")
    refused = cli("decode", coded, "--quiet")
    assert refused.code == 6
    assert "coded.decoded: exists already; replace it with --overwrite" in one_line(refused.err)
    assert read_folder("coded.decoded") == old
    assert cli("decode", coded, "--overwrite").code == 0
    assert read_folder("coded.decoded") != old
    (tmp_path / "coded.decoded/thesis.tex").write_text("")
    refused = cli("decode", coded, "--overwrite", "--quiet")
    assert refused.code == 6
    assert "thesis.tex, which is no part of a checkpoint" in one_line(refused.err)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["coded.decoded", "coded.gsz"]


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "-"), "holds a checkpoint, found stdout as output, expected a folder"),
        (("-o", "back.ply"), "holds a checkpoint, found back.ply as output"),
        (("-o", "back.PLY"), "or make a .ply of Gaussians with --bake"),
        (("--views", "cameras.json"), "--views: needs --bake"),
        (("--bake", "--images", "here"), "--images: needs --views"),
    ],
)
def test_outputs_that_make_no_sense(
    cli: Cli, coded: Path, args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, one line, nothing written."""
    result = cli("decode", coded, "--quiet", *args)
    assert (result.code, result.out) == (2, b"")
    assert message in one_line(result.err)
    assert [p.name for p in coded.parent.iterdir()] == ["coded.gsz"]


def test_gaussians_are_not_baked(cli: Cli, tmp_path: Path) -> None:
    """They are what baking makes."""
    pytest.importorskip("torch")
    (tmp_path / "x.gsz").write_bytes(codec.encode(make_scene(5), "raw"))
    result = cli("decode", "x.gsz", "--bake", "--quiet")
    assert result.code == 2
    assert "x.gsz: holds Gaussians already; leave out --bake" in one_line(result.err)


@pytest.mark.parametrize("missing", ["torch", "numba"])
def test_baking_says_what_it_needs(
    cli: Cli, coded: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Before anything is read."""
    monkeypatch.setattr(
        "gscodec.cli.decoding.find_spec", lambda name: None if name == missing else name
    )
    result = cli("decode", coded, "--bake")
    assert result.code == 2
    wish = f"--bake: needs {missing}; pip install 'gscodec[encode]'"
    assert wish in one_line(result.err)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--scaling", "cubic"), "--scaling: found 'cubic', expected auto, log, linear"),
        (("--drop-invalid",), "--drop-invalid: a checkpoint with NaN or infinity is refused"),
        (("-o", "model", "--overwrite"), "model: is the input too"),
    ],
)
def test_options_that_checkpoints_lack(
    cli: Cli, model: Path, args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, one line, nothing written."""
    result = cli("encode", model, "--quiet", *args)
    assert result.code == 2
    assert message in one_line(result.err)
    assert [p.name for p in model.parent.iterdir()] == ["model"]


def test_only_checkpoints_have_a_scaling(cli: Cli, tmp_path: Path) -> None:
    """Those of a .ply are logarithms."""
    (tmp_path / "x.ply").write_bytes(gscodec.write_ply(make_scene(5)))
    result = cli("encode", "x.ply", "--scaling", "log", "--quiet")
    assert result.code == 2
    assert "--scaling: only a checkpoint folder has it" in one_line(result.err)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda m: (m / "point_cloud/iteration_30000/cov_mlp.pt").unlink(), 3, "cov"),
        (lambda m: (m / "cfg_args").write_bytes(bytes(1 << 17)), 3, "at most 65536"),
        (
            lambda m: (m / "cfg_args").unlink() or (m / "cfg_args").symlink_to("/etc/passwd"),
            6,
            "leads out",
        ),
    ],
)
def test_bad_checkpoints(cli: Cli, model: Path, change: Any, code: int, message: str) -> None:
    """One line that names the folder."""
    change(model)
    result = cli("encode", "model", "--method", "raw", "--quiet")
    assert result.code == code
    assert message in one_line(result.err)
    assert "model" in result.err
    assert [p.name for p in model.parent.iterdir()] == ["model"]


# --- baking -------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_bake")
def test_bake_writes_a_scene_of_gaussians(cli: Cli, coded: Path, tmp_path: Path) -> None:
    """By default beside the input; with what it looks like, and what was left out."""
    result = cli("decode", coded, "--bake", "--threads", "1")
    assert result.code == 0
    scene = gscodec.read_ply((tmp_path / "coded.decoded.ply").read_bytes()).scene
    baked = re.search(
        r"baked     (\d+) Gaussians, ([\d.]+) dB against renders of the anchors, fitted",
        result.err,
    )
    assert baked is not None
    assert int(baked[1]) == len(scene) > 0
    assert float(baked[2]) > 10
    left = OFFSETS * COUNT - len(scene)
    assert f"  changed   left out {left} offsets that no camera sees" in result.err
    for stage in ("read", "decode", "look", "average", "descend", "write"):
        assert f"gscodec: {stage}\n" in result.err
    assert "bytes per anchor, method raw" in result.err


@pytest.mark.usefixtures("quick_bake")
def test_bake_through_given_cameras(cli: Cli, coded: Path, tmp_path: Path) -> None:
    """To stdout, with a report on stderr."""
    (tmp_path / "cameras.json").write_text(json.dumps([camera(k) for k in range(4)]))
    args = ("--bake", "--views", "cameras.json", "-o", "-", "--json", "--quiet")
    result = cli("decode", coded, *args)
    scene = gscodec.read_ply(result.out).scene
    report = json.loads(result.err)
    assert report["gaussians"] == len(scene)
    assert report["anchors"] == COUNT
    baked = report["report"]["baked"]
    assert baked["views"] == "fitted to renders of 4 given cameras"
    assert baked["unseen"] == OFFSETS * COUNT - len(scene)
    assert baked["psnr"] > 10


# --- inspect ------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_inspect_counts_by_value(cli: Cli, tmp_path: Path, masked: bool) -> None:
    """Bits of a stream over all values of its attribute, as HAC's tables have it."""
    scene = anchors(masked=masked, distance=True)
    (tmp_path / "x.gsz").write_bytes(codec.encode(scene, "raw"))
    report = json.loads(cli("inspect", "x.gsz", "--json").out)
    checkpoint = report["checkpoint"]
    assert (checkpoint["features"], checkpoint["offsets"]) == (FEATURES, OFFSETS)
    assert (checkpoint["storage"], checkpoint["has_masks"]) == ("state_dicts", masked)
    assert checkpoint["told_the_distance"] == ["opacity", "covariance", "color"]
    assert checkpoint["iteration"] == 30_000
    assert checkpoint["network_parameters"] == sum(a.size for a in scene.networks.arrays())
    rows = {row["name"]: row for row in report["rows"]}
    widths = {"position": 3, "feature": FEATURES, "scaling": 6, "offset": 3 * OFFSETS}
    widths |= {"mask": OFFSETS} if masked else {}
    for name, row in rows.items():
        if name in widths:
            bits = 8 * row["bytes"] / (COUNT * widths[name])
            assert row["bits_per_value"] == pytest.approx(bits)
        else:
            assert row["bits_per_value"] is None
    assert rows.keys() >= widths.keys()


def test_inspect_speaks_of_anchors(cli: Cli, coded: Path) -> None:
    """Features, offsets, kind, storage; nothing that only Gaussians have."""
    text = cli("inspect", coded).text
    assert "bits per anchor   bits per value" in text
    assert "Gaussian" not in text
    assert "SH degree" not in text
    facts = re.findall(r"^ (\S.*?) {2,}(.*?) *$", text, re.MULTILINE)
    assert {
        ("kind", "anchors"),
        ("features", "8 an anchor"),
        ("offsets", "3 an anchor"),
        ("iteration", "30,000"),
    } <= set(facts)
    found = codec.inspect(coded.read_bytes())
    feature = next(row for row in found.rows if row.name == "feature")
    assert f" {feature.bits_per_value:.3f} " in text


def test_inspect_shows_cfg_args_safely(cli: Cli, tmp_path: Path) -> None:
    """Its text is a stranger's."""
    scene = replace(anchors(), description="a\x1b[31m\n[bold]b")
    (tmp_path / "x.gsz").write_bytes(codec.encode(scene, "raw"))
    text = cli("inspect", "x.gsz").text
    assert "a\\x1b[31m\\n[bold]b" in text


def test_gaussians_have_no_checkpoint(cli: Cli, tmp_path: Path) -> None:
    """Their account is as it was."""
    (tmp_path / "x.gsz").write_bytes(codec.encode(make_scene(5), "raw"))
    report = json.loads(cli("inspect", "x.gsz", "--json").out)
    assert "checkpoint" not in report
    assert {row["bits_per_value"] for row in report["rows"]} == {None}
    text = cli("inspect", "x.gsz").text
    assert "bits per Gaussian" in text
    assert "bits per value" not in text


def test_a_network_in_place_of_its_folder_is_told(cli: Cli, model: Path) -> None:
    """TorchScript archives look like the splats that torch saves."""
    network = model / "point_cloud/iteration_30000/opacity_mlp.pt"
    assert network.exists()
    run = cli("encode", network, "-o", "x.gsz")
    assert (run.code, run.err.count("\n")) == (6, 2)
    assert "is a part of a Scaffold-GS or HAC checkpoint" in run.err
    assert "pass its folder" in run.err


def test_strip_leaves_no_paths_of_the_training(cli: Cli, model: Path) -> None:
    """But all else of cfg_args, which programs that read a checkpoint need."""
    text = "Namespace(feat_dim=8, source_path='secret', images='images', at='C:\\\\me', n=[1])"
    (model / "cfg_args").write_text(text)
    run = cli("encode", model, "-o", "x.gsz", "--method", "raw", "--strip")
    assert run.code == 0
    assert "  changed   left out 2 paths of cfg_args\n" in run.err
    data = Path("x.gsz").read_bytes()
    assert not any(word in data for word in (b"secret", b"me'", b"model"))
    assert cli("decode", "x.gsz", "-o", "back").code == 0
    kept = Path("back/cfg_args").read_text()
    assert kept == "Namespace(feat_dim=8, source_path='', images='images', at='', n=[1])"
    (model / "cfg_args").write_text("import os; 'secret'")
    assert cli("encode", model, "-o", "x.gsz", "-f", "--method", "raw", "--strip").code == 0
    assert b"secret" not in Path("x.gsz").read_bytes()
