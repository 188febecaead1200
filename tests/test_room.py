"""Scenes that are kept in scratch files give the same bytes as scenes in memory."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from gscodec import codec, room
from gscodec.errors import OutOfMemoryError, OutputError
from gscodec.fit import gaussian_subject
from gscodec.fit import gaussians as gaussians_of_fit
from gscodec.footprint import of_decoding, of_encoding
from gscodec.kinds import aside
from gscodec.room import MEMORY, Room
from gscodec.sceneio import ply_parts, read_ply, write_ply, writer
from scenes import gaussians, make_scene

if TYPE_CHECKING:
    from pathlib import Path

    from command import Cli
    from gscodec.scene import GaussianScene

QUICK: dict[str, Any] = {"effort": "instant", "training": 60, "raw_below": 0, "block_size": 700}


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even arrays of tests go to scratch files, and a few rows at a time."""
    monkeypatch.setattr(room, "_SMALL", 1)
    monkeypatch.setattr(room, "_ROWS", 100)
    monkeypatch.setattr(writer, "_ROWS", 100)
    for module in (aside, gaussian_subject, gaussians_of_fit):
        monkeypatch.setattr(module, "_AT_ONCE", 100)


@pytest.fixture
def scene() -> GaussianScene:
    """With an outlier and what is no value in it."""
    scene = make_scene(1600, 1)
    means = scene.means.copy()
    means[7] = 1e20
    return gscodec.GaussianScene(**{**vars(scene), "means": means})


def test_arrays_hold_what_they_are_given(tmp_path: Path) -> None:
    """Also after they have left memory, whatever rows are taken."""
    own = Room(tmp_path)
    values = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    array = own.empty((1000, 3), np.float32)
    array[:] = values
    own.leave()
    assert np.array_equal(array, values)
    order = np.random.default_rng(0).permutation(1000)
    for rows in (order, order < 300, slice(5, 700)):
        assert np.array_equal(own.take(array, rows), values[rows])
    assert np.array_equal(own.joined(array, values), np.concatenate([values, values]))
    parts = [array[rows].copy() for rows in own.slices(1000, 300)]
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate(parts), values)
    assert not list(tmp_path.iterdir())


def test_memory_is_numpys() -> None:
    """Nothing is mapped."""
    array = MEMORY.empty((4, 2), np.int16)
    assert array.flags.owndata
    MEMORY.leave()


def test_a_full_disk_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a signal when a page is written."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"8,000 bytes of scratch files: No space left"):
        Room(tmp_path).empty((1000,), np.float64)


def test_a_ply_in_parts_is_the_same(scene: GaussianScene) -> None:
    """Whatever the parts."""
    parts = list(ply_parts(scene, comments=["element vertex 0"]))
    assert len(parts) == 17
    assert b"".join(parts) == write_ply(scene, comments=["element vertex 0"])
    assert b"element vertex 1600\n" in parts[0]
    assert read_ply(b"".join(parts)).scene.digest() == scene.digest()
    assert read_ply(b"".join(ply_parts(make_scene(0, 1)))).scene.digest()


def test_scenes_in_scratch_files_give_the_same_file_and_the_same_scene(
    scene: GaussianScene, tmp_path: Path
) -> None:
    """Encoder and decoder."""
    plain = codec.encode_with_report(scene, "hemgs", **QUICK)
    kept = codec.encode_with_report(scene, "hemgs", **QUICK, room=Room(tmp_path))
    assert kept.data == plain.data
    assert kept.report["outliers"]
    found = gaussians(gscodec.decode(plain.data))
    assert gaussians(codec.decode(plain.data, room=Room(tmp_path))).digest() == found.digest()
    assert gaussians(kept.reconstruction).digest() == found.digest()


def test_the_command_line_keeps_scenes_in_scratch_files_where_memory_is_short(
    scene: GaussianScene, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes, nothing left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ply").write_bytes(write_ply(scene))
    with_all = of_encoding(1600, 1, "hemgs", "instant", 1)
    instant = ("--effort", "instant", "--threads", "1", "--quiet")
    short = ("--max-memory", f"{with_all.in_memory - 1}")
    assert cli("encode", "a.ply", "-o", "a.gsz", *instant).code == 0
    assert cli("encode", "a.ply", "-o", "b.gsz", *instant, *short).code == 0
    assert (tmp_path / "a.gsz").read_bytes() == (tmp_path / "b.gsz").read_bytes()
    assert cli("decode", "a.gsz", "-o", "a1.ply", "--quiet").code == 0
    header = codec.inspect((tmp_path / "a.gsz").read_bytes()).header
    less = ("--max-memory", f"{of_decoding(header, 1).in_memory - 1}", "--threads", "1")
    assert cli("decode", "a.gsz", "-o", "b1.ply", "--quiet", *less).code == 0
    assert (tmp_path / "a1.ply").read_bytes() == (tmp_path / "b1.ply").read_bytes()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.ply", "a.gsz", "b.gsz", "a1.ply", "b1.ply"}


def test_too_little_memory_is_told_before_the_work(cli: Cli, tmp_path: Path) -> None:
    """With what it would take, and an exit code of its own."""
    (tmp_path / "a.ply").write_bytes(write_ply(make_scene(10, 0)))
    for command in ("encode", "decode"):
        source = tmp_path / ("a.ply" if command == "encode" else "a.gsz")
        result = cli(command, str(source), "-o", str(tmp_path / "x.ply"), "--max-memory", "1MB")
        if command == "encode":
            assert result.code == 2  # a name that is not its own
            result = cli(command, str(source), "--max-memory", "1MB")
            assert cli("encode", str(source), "--method", "raw", "--quiet").code == 0
        assert result.code == OutOfMemoryError.exit_code == 8
        assert "MB are needed" in result.err
        assert "found 1 MB" in result.err
        assert not (tmp_path / "x.ply").exists()


@pytest.mark.parametrize("effort", ["instant", "fast"])
def test_memory_is_not_asked_for_rows_that_are_not_there(
    cli: Cli, tmp_path: Path, effort: str
) -> None:
    """What a header promises is the damage, not the machine that has too little for it."""
    ply = write_ply(make_scene(20, 0)).replace(b"vertex 20", b"vertex 999999999999")
    (tmp_path / "a.ply").write_bytes(ply)
    run = cli("encode", "a.ply", "--effort", effort)
    assert (run.code, "a.ply: truncated: found " in run.err) == (3, True)
