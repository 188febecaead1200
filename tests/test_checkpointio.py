"""Reading and writing checkpoint folders: what comes back, what is said, what is refused."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import plyfile
import pytest

from anchors import make_anchor_scene
from gscodec.anchors import AnchorScene, Storage
from gscodec.checkpointio import read_checkpoint, renamed_extras, write_checkpoint
from gscodec.checkpointio.archive import open_archive
from gscodec.checkpointio.state_dicts import write_state_dict
from gscodec.disk.checkpoints import check_folder, read_folder, write_folder
from gscodec.errors import InputError, OutputError, SceneError, UsageError
from gscodec.scene import ExtraProperty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

FOLDER = "point_cloud/iteration_30000/"
PLY = FOLDER + "point_cloud.ply"
STATE_DICTS = make_anchor_scene(20, storage=Storage.STATE_DICTS)
HAC = make_anchor_scene(20, masked=True, distance=True, storage=Storage.HAC)
READ_NOTE = "read iteration 30000"


def assert_same(found: AnchorScene, wanted: AnchorScene) -> None:
    """Equal to the last bit, in everything that a scene has."""
    assert found.digest() == wanted.digest()
    for old, new in zip(wanted.networks.arrays(), found.networks.arrays(), strict=True):
        assert old.tobytes() == new.tobytes()
        assert old.shape == new.shape
    for name, array in wanted.attributes().items():
        assert array.tobytes() == found.attributes()[name].tobytes(), name
    assert (found.masks is None) == (wanted.masks is None)
    assert (found.storage, found.description, found.iteration) == (
        wanted.storage,
        wanted.description,
        wanted.iteration,
    )
    assert [e.name for e in found.extras] == [e.name for e in wanted.extras]
    for old_extra, new_extra in zip(wanted.extras, found.extras, strict=True):
        assert old_extra.values.dtype == new_extra.values.dtype
        assert old_extra.values.tobytes() == new_extra.values.tobytes()


def table_of(files: Mapping[str, bytes]) -> NDArray[Any]:
    """The vertices as another reader sees them."""
    table: NDArray[Any] = plyfile.PlyData.read(io.BytesIO(files[PLY]))["vertex"].data
    return table


def with_table(
    files: Mapping[str, bytes], table: NDArray[Any], *, text: bool = False, order: str = "<"
) -> dict[str, bytes]:
    """``files`` with another .ply, by another writer."""
    out = io.BytesIO()
    element = plyfile.PlyElement.describe(table, "vertex")
    plyfile.PlyData([element], text=text, byte_order=order).write(out)
    return {**files, PLY: out.getvalue()}


def retyped(table: NDArray[Any], **types: str) -> NDArray[Any]:
    """``table`` with the named columns in other types; a new name adds a column of 0, 1, ..."""
    fields = [(n, types.pop(n, table.dtype[n].str)) for n in table.dtype.names or ()]
    out = np.zeros(len(table), fields + list(types.items()))
    for name, _ in fields:
        out[name] = table[name]
    for name in types:
        out[name] = np.arange(len(table))
    return out


def reordered(table: NDArray[Any], names: list[str]) -> NDArray[Any]:
    """The columns ``names`` of ``table``, in that order."""
    out = np.zeros(len(table), [(n, table.dtype[n].str) for n in names])
    for name in names:
        out[name] = table[name]
    return out


@pytest.mark.parametrize("storage", [s for s in Storage if s != Storage.TORCHSCRIPT])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"distance": True},
        {"bank": True},
        {"appearance": 4, "distance": True},
        {"masked": True},
        {"n": 0},
        {"n": 1, "features": 4, "offsets": 1},
    ],
    ids=str,
)
def test_round_trip(storage: Storage, kind: dict[str, Any]) -> None:
    """What is written is read back bit for bit, and gives the same bytes again."""
    scene = make_anchor_scene(**{"n": 30, **kind}, storage=storage)
    files = write_checkpoint(scene)
    read = read_checkpoint(files, name="model")
    assert_same(read.scene, scene)
    assert read.notes == (READ_NOTE,)
    assert write_checkpoint(read.scene) == files


def test_torchscript_round_trip() -> None:
    """Traces of torch are read back bit for bit, the embedding of cameras too."""
    pytest.importorskip("torch")
    scene = make_anchor_scene(30, bank=True, appearance=4, storage=Storage.TORCHSCRIPT)
    assert_same(read_checkpoint(write_checkpoint(scene), name="model").scene, scene)


def test_torchscript_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch the error names the extra; numba, which comes with it, is not missed."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UsageError, match=r"gscodec\[encode\]"):
        write_checkpoint(make_anchor_scene(2, storage=Storage.TORCHSCRIPT))


def test_torch_reads_what_is_written() -> None:
    """torch.load with weights_only gives the same tensors; torch.jit.load the same outputs."""
    torch = pytest.importorskip("torch")
    networks = STATE_DICTS.networks
    files = write_checkpoint(replace(STATE_DICTS, storage=Storage.UNITED))
    loaded = torch.load(io.BytesIO(files[FOLDER + "checkpoints.pth"]), weights_only=True)
    assert list(loaded) == ["opacity_mlp", "cov_mlp", "color_mlp"]
    for array, tensor in zip(
        networks.color.arrays(), loaded["color_mlp"].values(), strict=True
    ):
        assert array.tobytes() == tensor.numpy().tobytes()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_traces_compute_the_activations() -> None:
    """Every trace ends in the activation that Scaffold-GS gives to its network."""
    torch = pytest.importorskip("torch")
    scene = make_anchor_scene(2, bank=True)
    files = write_checkpoint(scene)
    last = {
        "opacity": torch.tanh,
        "cov": lambda x: x,
        "color": torch.sigmoid,
        "feature_bank": lambda x: torch.softmax(x, 1),
    }
    for name, network in scene.networks.named().items():
        module = torch.jit.load(io.BytesIO(files[f"{FOLDER}{name}_mlp.pt"]))
        inputs = torch.randn(7, network.inputs, generator=torch.Generator().manual_seed(1))
        w0, b0, w2, b2 = map(torch.tensor, network.arrays())
        expected = last[name](torch.relu(inputs @ w0.T + b0) @ w2.T + b2)
        assert torch.allclose(module(inputs), expected, atol=1e-6), name


def test_columns_are_those_of_scaffold_gs() -> None:
    """Names and order, offsets axis by axis, and the customary values of unused columns."""
    table = table_of(write_checkpoint(STATE_DICTS))
    names = list(table.dtype.names or ())
    assert names[:8] == ["x", "y", "z", "nx", "ny", "nz", "f_offset_0", "f_offset_1"]
    assert names[15:17] == ["f_anchor_feat_0", "f_anchor_feat_1"]
    assert names[23:] == [
        "opacity",
        *(f"scale_{i}" for i in range(6)),
        *(f"rot_{i}" for i in range(4)),
    ]
    assert np.array_equal(table["f_offset_4"], STATE_DICTS.offsets[:, 1, 1])
    assert np.array_equal(table["f_offset_6"], STATE_DICTS.offsets[:, 0, 2])
    assert np.allclose(table["opacity"], np.log(0.1 / 0.9), atol=1e-6)
    assert (table["rot_0"] == 1).all()
    assert not table["rot_1"].any()


def test_hac_writes_masks_between_offsets_and_features() -> None:
    names = list(table_of(write_checkpoint(HAC)).dtype.names or ())
    assert names[14:19] == ["f_offset_8", "f_mask_0", "f_mask_1", "f_mask_2", "f_anchor_feat_0"]


def test_any_order_type_and_format() -> None:
    """Columns are found by name; doubles are rounded with a note; ascii and big endian work."""
    files = write_checkpoint(STATE_DICTS)
    table = table_of(files)
    for changed in (
        with_table(files, reordered(table, list(reversed(table.dtype.names or ())))),
        with_table(files, table, order=">"),
        with_table(files, table, text=True),
        with_table(files, retyped(table, x="f8", scale_3="f8")),
    ):
        read = read_checkpoint(changed, name="model")
        assert_same(read.scene, STATE_DICTS)
        assert read.notes == (READ_NOTE,)
    fine = retyped(table, x="f8")
    fine["x"] += 1e-12
    notes = read_checkpoint(with_table(files, fine), name="model").notes
    assert "values rounded to float32: 20, in 1 vertex property: x" in notes


def test_unused_columns() -> None:
    """A constant opacity is noted; whatever is not customary is kept and written back."""
    files = write_checkpoint(STATE_DICTS)
    table = table_of(files).copy()
    table["opacity"] = 0.5
    constant = read_checkpoint(with_table(files, table), name="model")
    assert constant.scene.extras == ()
    assert any("opacity, 0.5 in every row" in note for note in constant.notes)

    table["opacity"] = np.arange(20)
    table["rot_2"][3] = 0.25
    changed = with_table(files, retyped(table, label="u1"))
    kept = read_checkpoint(changed, name="model").scene
    assert [e.name for e in kept.extras] == [
        "opacity",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
        "label",
    ]
    again = write_checkpoint(kept)
    assert np.array_equal(table_of(again), table_of(changed))
    assert_same(read_checkpoint(again, name="model").scene, kept)


def test_unused_columns_may_be_missing() -> None:
    files = write_checkpoint(STATE_DICTS)
    table = table_of(files)
    used = [n for n in table.dtype.names or () if n[0] != "n" and n[:3] not in ("rot", "opa")]
    packed = with_table(files, reordered(table, used))
    assert_same(read_checkpoint(packed, name="model").scene, STATE_DICTS)


def test_names_of_extras_that_would_be_read_as_something_else_are_changed() -> None:
    extra = ExtraProperty("f_anchor_feat_8", np.arange(20, dtype=np.float32))
    scene = replace(STATE_DICTS, extras=(extra,))
    (back,) = read_checkpoint(write_checkpoint(scene), name="model").scene.extras
    assert back.name == "extra_f_anchor_feat_8"
    assert back.values.tolist() == extra.values.tolist()
    (note,) = renamed_extras(scene)
    assert "'f_anchor_feat_8' to extra_f_anchor_feat_8" in note


def test_highest_iteration_wins() -> None:
    """By number, not by name; and the note names what was ignored."""
    files = write_checkpoint(STATE_DICTS)
    older = write_checkpoint(
        replace(make_anchor_scene(3, storage=Storage.UNITED), iteration=7000)
    )
    read = read_checkpoint({**older, **files}, name="model")
    assert_same(read.scene, STATE_DICTS)
    assert read.notes == (f"{READ_NOTE}, the highest; ignored iteration 7000",)


def test_iteration_folder_itself() -> None:
    files = write_checkpoint(STATE_DICTS)
    inner = {n.removeprefix(FOLDER): d for n, d in files.items() if n.startswith(FOLDER)}
    read = read_checkpoint(inner, name="iteration")
    assert_same(read.scene, replace(STATE_DICTS, description="", iteration=0))
    assert read.notes == ()


def test_other_networks_are_left_out_and_noted() -> None:
    """HAC's entropy model is not read, whatever types it has."""
    path = FOLDER + "checkpoint.pth"
    files = write_checkpoint(HAC)
    states = {
        f"{name}_mlp": dict(
            zip(("0.weight", "0.bias", "2.weight", "2.bias"), network.arrays(), strict=True)
        )
        for name, network in HAC.networks.named().items()
    }
    grid = {"params": np.ones((8, 4), np.float32)}
    files[path] = write_state_dict({**states, "encoding_xyz": grid, "grid_mlp": grid})
    read = read_checkpoint(files, name="model")
    assert_same(read.scene, HAC)
    assert "left out 2 networks: encoding_xyz, grid_mlp" in read.notes[1]


def test_common_prefix_and_other_types_of_weights() -> None:
    """What torch itself saves: a prefix, halves, doubles, bfloat16, views and parameters."""
    torch = pytest.importorskip("torch")
    files = write_checkpoint(STATE_DICTS)
    w0, b0, w2, b2 = map(torch.tensor, STATE_DICTS.networks.opacity.arrays())
    state = {
        "net.0.weight": w0.T.contiguous().T,  # strides the other way round
        "net.0.bias": torch.nn.Parameter(b0.double()),
        "net.2.weight": w2.half(),
        "net.2.bias": b2.bfloat16(),
    }
    for protocol in (2, 4):
        out = io.BytesIO()
        torch.save(state, out, pickle_protocol=protocol)
        read = read_checkpoint(
            {**files, FOLDER + "opacity_mlp.pt": out.getvalue()}, name="model"
        )
        found = read.scene.networks.opacity
        assert np.array_equal(found.hidden_weight, w0.numpy())
        assert np.array_equal(found.hidden_bias, b0.numpy())
        assert np.array_equal(found.out_weight, w2.half().float().numpy())
        assert np.array_equal(found.out_bias, b2.bfloat16().float().numpy())
        assert len([n for n in read.notes if "converted to float32" in n]) == 3


def decoded_by_hac(scene: AnchorScene, padding: int) -> dict[str, bytes]:
    """The checkpoint of ``scene`` as HAC saves it after its last iteration."""
    files = write_checkpoint(scene)
    table = table_of(files)
    out = np.zeros(len(table) + padding, table.dtype)
    out[: len(table)] = table
    out["rot_0"] = 1
    for i in range(6):
        name = f"scale_{i}"
        out[name][: len(table)] = np.exp(table[name])
    for k in range(scene.offset_count):
        out[f"f_mask_{k}"][: len(table)] = table[f"f_mask_{k}"] > 0
    return with_table(files, out)


def test_decoded_variant_of_hac() -> None:
    """Linear scalings, masks of 0 and 1, and padding are noticed, undone and noted."""
    read = read_checkpoint(decoded_by_hac(HAC, 5), name="model")
    scene = read.scene
    assert len(scene) == 20
    assert np.array_equal(scene.masks, HAC.masks)  # type: ignore[arg-type]
    assert np.allclose(scene.log_scalings, HAC.log_scalings, atol=1e-6)
    assert scene.features.tobytes() == HAC.features.tobytes()
    assert "dropped 5 rows of zeros at the end" in read.notes
    assert any("scalings are linear" in note for note in read.notes)


def test_scalings_that_were_rounded_to_zero_stay_zero() -> None:
    files = decoded_by_hac(HAC, 0)
    table = table_of(files).copy()
    table["scale_4"][7] = 0
    read = read_checkpoint(with_table(files, table), name="model")
    assert np.exp(read.scene.log_scalings[7, 4]) == 0
    assert "1 scalings of 0 became -104" in read.notes


def test_scaling_can_be_told() -> None:
    """The caller's word counts more than what the values suggest."""
    files = decoded_by_hac(HAC, 5)
    as_logs = read_checkpoint(files, name="model", scaling="log").scene
    assert len(as_logs) == 25
    assert np.allclose(as_logs.log_scalings[:20], np.exp(HAC.log_scalings))
    assert as_logs.masks is not None
    assert as_logs.masks.all()  # a logit of 0 is above the threshold

    linear = write_checkpoint(
        replace(STATE_DICTS, log_scalings=np.exp(STATE_DICTS.log_scalings))
    )
    found = read_checkpoint(linear, name="model", scaling="linear").scene
    assert np.allclose(found.log_scalings, STATE_DICTS.log_scalings, atol=1e-6)
    with pytest.raises(SceneError, match="negative values of scale_"):
        read_checkpoint(write_checkpoint(STATE_DICTS), name="model", scaling="linear")


def test_mask_threshold() -> None:
    """A Gaussian exists where sigmoid(logit) > 0.01."""
    files = write_checkpoint(HAC)
    table = table_of(files).copy()
    table["f_mask_0"][:4] = [-4.59, -4.60, 0, 3]
    masks = read_checkpoint(with_table(files, table), name="model").scene.masks
    assert masks is not None
    assert masks[:4, 0].tolist() == [True, False, True, True]


def test_reading_imports_neither_torch_nor_pickle() -> None:
    """Nothing that could run what is in a checkpoint is even loaded."""
    code = (
        "import sys; from anchors import *; from gscodec.checkpointio import *\n"
        "s = make_anchor_scene(3, storage=Storage.UNITED)\n"
        "sys.modules['torch'] = None\n"
        "read_checkpoint(write_checkpoint(s), name='x')\n"
        "from gscodec.checkpointio import pickles, archive, networks\n"
        "assert not any(hasattr(m, 'pickle') for m in (pickles, archive, networks))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )


def test_archives_are_reproducible() -> None:
    """The same weights give the same bytes, dated 1980."""
    data = write_state_dict({"a": np.arange(3, dtype=np.float32)})
    assert data == write_state_dict({"a": np.arange(3, dtype=np.float32)})
    members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    assert {m.date_time[0] for m in members} == {1980}
    archive = open_archive(data, "x")
    assert archive.floats(archive.value["a"]).tolist() == [0, 1, 2]


# Folders.


def test_folder_round_trip(tmp_path: Path) -> None:
    files = write_checkpoint(STATE_DICTS)
    target = tmp_path / "model"
    write_folder(str(target), files, overwrite=False)
    assert read_folder(str(target)) == files
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    inner = read_folder(str(target / FOLDER))
    assert inner == {n: d for n, d in files.items() if n != "cfg_args"}


def test_folder_reads_only_what_is_needed(tmp_path: Path) -> None:
    """Other iterations and files are not read."""
    files = write_checkpoint(STATE_DICTS)
    older = write_checkpoint(replace(STATE_DICTS, iteration=7000))
    noise = {"input.ply": b"?", "cameras.json": b"?", FOLDER + "notes.txt": b"?"}
    write_folder(str(tmp_path / "model"), {**older, **files, **noise}, overwrite=False)
    assert read_folder(str(tmp_path / "model")) == files


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_folder(str(target), write_checkpoint(STATE_DICTS), overwrite=False)
    (tmp_path / "secret").write_text("password")
    (target / "cfg_args").unlink()
    (target / "cfg_args").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out of the folder"):
        read_folder(str(target))
    assert read_folder(str(target), allow_outside=True)["cfg_args"] == b"password"


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_folder(str(tmp_path / "nothing"))


def test_overwriting(tmp_path: Path) -> None:
    """Only a checkpoint is replaced, only when asked, and completely."""
    target = tmp_path / "model"
    old, new = (write_checkpoint(replace(STATE_DICTS, iteration=i)) for i in (1, 2))
    write_folder(str(target), old, overwrite=False)
    with pytest.raises(OutputError, match="--overwrite"):
        write_folder(str(target), new, overwrite=False)
    write_folder(str(target), new, overwrite=True)
    assert read_folder(str(target)) == new
    assert not (target / "point_cloud/iteration_1").exists()

    (target / "point_cloud" / "diary.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"point_cloud/diary\.txt, which is no part"):
        check_folder(str(target), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle, or a failing rename at the end."""
    target = tmp_path / "model"
    old = write_checkpoint(STATE_DICTS)
    write_folder(str(target), old, overwrite=False)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("_write", "_replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"gscodec.disk.checkpoints.{broken}", full)
            with pytest.raises(OutputError, match="No space left"):
                write_folder(str(target), old, overwrite=True)
    assert read_folder(str(target)) == old
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
