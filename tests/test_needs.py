"""What is missing is told before anything is read, and a target that is missed is no success."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene
from gscodec import codec, methods
from gscodec.errors import CannotCodeError, UsageError
from gscodec.learned.rates import require_psnr
from scenes import make_scene

if TYPE_CHECKING:
    from command import Cli

torch = pytest.importorskip("torch")
ENCODE = ("encode", "nothing.ply", "-o", "x.gsz")


@pytest.mark.parametrize("name", ["torch", "numba", "scipy"])
@pytest.mark.parametrize("args", [ENCODE, (*ENCODE, "--effort", "high")])
def test_missing_libraries(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], name: str
) -> None:
    """Exit code 2 and one line, with what to install and what works without it."""
    monkeypatch.setitem(sys.modules, name, None)
    result = cli(*args)
    assert (result.code, result.out) == (2, b"")
    assert result.err == (
        f"gscodec: error: method hemgs: {name} not installed; pip install 'gscodec[encode]', or use "
        "method hemgs at effort instant (of Gaussians) or method raw, which need nothing more\n"
    )


def test_anchors_are_not_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch or without it."""
    for _ in range(2):
        with pytest.raises(
            UsageError, match="effort instant: for Gaussians only; anchors take"
        ):
            gscodec.encode(make_anchor_scene(10), effort="instant")
        monkeypatch.setitem(sys.modules, "torch", None)


def test_rd_needs_what_its_methods_need(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before anything is read."""
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(sys.modules, "torch", None)
    result = cli("rd", "nothing.ply", "--method", "raw", "--method", "hac")
    assert result.code == 2
    assert "method hac: torch not installed; pip install 'gscodec[encode]'" in result.err
    assert "gscodec: read" not in result.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_no_cuda(cli: Cli) -> None:
    """--device cuda where torch has none: neither a bug nor found out after the measuring."""
    result = cli(*ENCODE, "--device", "cuda")
    assert result.code == 2
    assert result.err.startswith("gscodec: error: method hemgs: device cuda: torch ")
    assert result.err.count("\n") == 1
    assert "use device cpu; pip install 'gscodec[encode]', or use method hemgs" in result.err
    with pytest.raises(UsageError, match="device cuda"):
        gscodec.encode(make_scene(5), device="cuda")


def test_torch_that_cannot_be_loaded(tmp_path: Path) -> None:
    """Installed, but not whole: told by what needs it, not even loaded by what does not."""
    (tmp_path / "torch.py").write_text(
        "raise OSError('libtorch.so: cannot open shared object')"
    )
    (tmp_path / "scene.ply").write_bytes(gscodec.write_ply(make_scene(20)))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom gscodec.cli import main; main()"

    def encode(method: str) -> subprocess.CompletedProcess[bytes]:
        args = ("encode", "scene.ply", "-q", "--overwrite", "--method", method)
        command = [sys.executable, "-c", code, *args]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)

    found = encode("hac")
    assert found.returncode == 2
    assert b"torch cannot be loaded (libtorch.so: cannot open shared object); " in found.stderr
    assert encode("hemgs").returncode == 0


def test_raw_needs_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the line says."""
    for name in ("torch", "numba", "scipy"):
        monkeypatch.setitem(sys.modules, name, None)
    Path("scene.ply").write_bytes(gscodec.write_ply(make_scene(20)))
    assert cli("encode", "scene.ply", "--method", "raw").code == 0


@pytest.mark.parametrize("option", [("--target-size", "20kB"), ("--target-psnr", "40")])
def test_a_scene_that_only_raw_can_hold_misses_every_target(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, option: tuple[str, str]
) -> None:
    """Exit code 2 and nothing written, where it was the file of raw and 0."""

    def cannot(*_: object) -> None:
        raise CannotCodeError("positions reach too far")

    monkeypatch.setattr("gscodec.methods.hemgs.encode", cannot)
    Path("scene.ply").write_bytes(gscodec.write_ply(make_scene(20)))
    result = cli("encode", "scene.ply", "-q", *option)
    assert result.code == 2
    assert "positions reach too far; nothing was written" in result.err
    assert not Path("scene.gsz").exists()
    assert cli("encode", "scene.ply", "-q").code == 0


@pytest.mark.parametrize(
    ("found", "exact", "missed"),
    [
        (970, False, False),
        (1030, False, False),
        (960, False, True),
        (1040, False, True),
        (10, True, False),
        (1040, True, True),
    ],
)
def test_a_size_is_met_within_what_is_promised(found: int, exact: bool, missed: bool) -> None:
    """3 %; a smaller file that keeps every bit leaves nothing to wish for."""
    if missed:
        with pytest.raises(UsageError, match="target size 1,000 bytes: missed, the nearest"):
            codec._require_size(found, 1000, exact=exact)
    else:
        codec._require_size(found, 1000, exact=exact)


def test_a_size_that_is_missed_is_no_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the search believes: the bytes of the file count."""
    exact = methods.by_name("raw")

    def near(scene: gscodec.GaussianScene, *_: object) -> object:
        return exact.encode(scene, exact.Options(), lambda *_: None)

    monkeypatch.setattr("gscodec.methods.hemgs.encode", near)
    scene = make_scene(200)
    Path("scene.ply").write_bytes(gscodec.write_ply(scene))
    result = cli("encode", "scene.ply", "-q", "--target-size", "1kB")
    assert result.code == 2
    assert "target size 1,000 bytes: missed, the nearest file has" in result.err
    assert not Path("scene.gsz").exists()


def test_a_psnr_that_is_missed() -> None:
    """0.1 dB is promised."""
    require_psnr(40.09, 40)
    for found in (40.2, 39.8, np.inf, np.nan):
        with pytest.raises(UsageError, match="target PSNR 40 dB: missed, the nearest file has"):
            require_psnr(found, 40)
