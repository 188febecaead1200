"""Effort instant: no library besides those of decoding, sensitivity without pictures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from gscodec.coding import Family
from gscodec.errors import GscodecError, UsageError
from gscodec.fit import estimate, slopes
from gscodec.fit.adam import Adam
from gscodec.fit.gaussians import GaussianSource
from gscodec.fit.glances import from_around, from_within, shown
from gscodec.geometry import along_curve
from gscodec.payload import Method
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from command import Cli

# Runs the command line where nothing but what decoding needs can be imported.
ALONE = """
import sys
for name in ("torch", "numba", "scipy", "gsplat"):
    sys.modules[name] = None  # importing it raises ImportError
from gscodec.cli import main
main()
"""


def alone(folder: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    """The command line without torch, numba and scipy."""
    command = [sys.executable, "-c", ALONE, *args]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


def test_gaussians_are_encoded_without_torch_and_numba(tmp_path: Path) -> None:
    """What comes back is near, the report says how it was made, and two runs agree."""
    scene = make_scene(600, 1)
    (tmp_path / "scene.ply").write_bytes(gscodec.write_ply(scene))
    encode = ("encode", "scene.ply", "--effort", "instant", "--lambda", "5e-5", "--json")
    made = alone(tmp_path, *encode)
    assert made.returncode == 0, made.stderr.decode()
    report = json.loads(made.stdout)
    assert "estimated" in json.dumps(report)
    assert "not_measured" in json.dumps(report)
    data = (tmp_path / "scene.gsz").read_bytes()
    header = gscodec.inspect(data).header
    assert (header.method, header.count) == (Method.HEMGS, 600)
    found = gscodec.decode(data)
    assert isinstance(found, gscodec.GaussianScene)
    assert np.abs(np.sort(found.means, axis=0) - np.sort(scene.means, axis=0)).max() < 0.05
    again = alone(tmp_path, *encode, "-o", "again.gsz", "--threads", "1")
    assert again.returncode == 0
    assert (tmp_path / "again.gsz").read_bytes() == data


def test_without_torch_the_way_out_is_named(tmp_path: Path) -> None:
    """At the default effort."""
    made = alone(tmp_path, "encode", "scene.ply")
    assert made.returncode == 2
    assert b"use method hemgs at effort instant (of Gaussians) or method raw" in made.stderr


def test_other_methods_have_no_effort_instant(cli: Cli) -> None:
    """A line with what to do."""
    result = cli("encode", "nothing.ply", "--method", "hac", "--effort", "instant")
    assert result.code == 2
    assert "effort instant: method hac has none; expected fast or high, or method hemgs" in (
        result.err
    )


def test_a_psnr_is_not_aimed_at() -> None:
    """Nothing is looked at."""
    with pytest.raises(UsageError, match="target PSNR: effort instant measures none"):
        gscodec.encode(make_scene(5), "hemgs", effort="instant", target_psnr=40.0)


def test_a_size_is_aimed_at() -> None:
    """By changing lambda; the fit is used again."""
    data = gscodec.encode(
        make_scene(800, 1), "hemgs", effort="instant", target_bytes=9_000, raw_below=0
    )
    assert abs(len(data) - 9_000) < 0.03 * 9_000


@pytest.mark.parametrize("size", [1e18, 3e38])
@pytest.mark.parametrize("field", ["sh_dc", "sh_rest", "log_scales", "opacity_logits"])
def test_numbers_beyond_all_measure_are_kept_or_clamped(field: str, size: float) -> None:
    """In too many Gaussians to set them aside: as they are, or as no picture tells apart."""
    scene = make_scene(60, 1)
    values = getattr(scene, field).copy()
    values[:20] = np.sign(values[:20]) * np.float32(size)
    made = gscodec.encode_with_report(
        replace(scene, **{field: values}), "hemgs", effort="instant"
    )
    found = gscodec.decode(made.data)
    assert found.digest() == made.reconstruction.digest()
    codes = {getattr(note, "code", "") for note in made.notes}
    if field.startswith("sh"):
        assert np.array_equal(getattr(found, field), values)  # method raw, with a note
        assert any("method raw" in note for note in made.notes)
    else:
        assert "clamped" in codes


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_how_far_positions_move_is_told_of_any_size(size: float) -> None:
    """In scales of Gaussians: of those that are written."""
    scene = make_scene(20, 0)
    logs = np.full_like(scene.log_scales, size)
    made = gscodec.encode_with_report(
        replace(scene, log_scales=logs), "hemgs", effort="instant"
    )
    assert json.loads(json.dumps(made.report["position_error"], allow_nan=False))


# --- sensitivity ------------------------------------------------------------------------------


def test_what_is_inside_of_a_ball_shows_less_from_around_than_its_shell() -> None:
    """And from within it is the other way around."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(6000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    radii = np.where(np.arange(6000) < 4000, 0.5, 0.2)
    means = (ways * radii[:, None]).astype(np.float32)
    cover = np.full(6000, 0.01, np.float32)
    around, within = (
        shown(glances(means, cover), means, cover) for glances in (from_around, from_within)
    )
    for found in around:
        assert found[4000:].mean() < 0.5 * found[:4000].mean()
    assert within.best[:4000].mean() < 0.8 * within.best[4000:].mean()


def test_the_estimate_falls_with_opacity() -> None:
    """Whatever a network says, faint Gaussians matter less; and all numbers are usable."""
    scene = make_scene(500, 2)
    about = estimate.About.of(scene, np.arange(500))
    source = GaussianSource.of(scene, about.usual)
    pixels, agreeing = (
        estimate.estimated(scene, source, about, estimate.shipped()),
        about.agreeing,
    )
    arrays = vars(pixels).values()
    assert all(np.isfinite(a).all() and (a > 0).all() for a in arrays)
    assert 0 < agreeing <= 4
    order = np.argsort(scene.opacity_logits)
    assert pixels.colour[order[:100]].mean() < pixels.colour[order[-100:]].mean()


@pytest.mark.parametrize("noisy", [False, True])
def test_noise_does_not_agree(*, noisy: bool) -> None:
    """Higher SH coefficients that are alike in a neighbourhood err alike."""
    scene = make_scene(500, 1)
    rest = np.ones_like(scene.sh_rest)
    if noisy:
        rest *= np.random.default_rng(0).choice([-1, 1], rest.shape).astype(np.float32)
    made = gscodec.GaussianScene(**{**vars(scene), "sh_rest": rest})
    agreeing = estimate.About.of(made, along_curve(made.means)).agreeing
    assert agreeing < 0.5 if noisy else agreeing == 4


def test_a_damaged_estimator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its SHA-256."""
    monkeypatch.setattr(estimate, "SHA256", "0" * 64)
    estimate.shipped.cache_clear()
    with pytest.raises(GscodecError, match=r"sensitivity\.bin is damaged; install"):
        estimate.shipped()


# --- training ---------------------------------------------------------------------------------


def difference(
    cost: Callable[[NDArray[np.float64]], NDArray[np.float64]], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The slope of ``cost``."""
    return (cost(at + 1e-4) - cost(at - 1e-4)) / 2e-4


def test_slopes_of_steps() -> None:
    """Against differences of the cost that `fit.laws` writes down."""
    step, spread = np.meshgrid(np.linspace(-4, 4, 33), np.linspace(-4, 4, 9))
    ideal, price = 0.5, np.log(2) / 6

    def cost(log2_step: NDArray[np.float64]) -> NDArray[np.float64]:
        fine = 12 * np.exp2(2 * (spread - log2_step))
        error = np.exp2(2 * (log2_step - ideal)) / (12 * price)
        result: NDArray[np.float64] = 0.5 * np.log2(1 + fine) + error * fine / (1 + fine)
        return result

    error = np.exp2(2 * (step - ideal)) / price
    found = slopes.by_step(*(a.astype(np.float32) for a in (step, spread, error)))
    np.testing.assert_allclose(found, difference(cost, step), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("family", Family)
def test_slopes_of_spreads(family: Family) -> None:
    """Against differences of the bits of the integers that are chosen."""
    size = np.linspace(-6, 6, 47)
    log2_sigma = np.linspace(-0.5, 3, 47)
    floats = [a.astype(np.float32) for a in (size, np.exp2(log2_sigma), np.full(47, 1e9))]
    _, found = slopes.by_law(family, *floats)
    whole = np.rint(np.abs(size))

    def bits(log2_sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        sigma = np.exp2(log2_sigma)
        edges = np.stack([whole - 0.5, whole + 0.5]) / sigma
        if family is Family.LAPLACE:
            rate = np.sqrt(2)
            below = np.where(edges > 0, 1 - np.exp(-rate * edges) / 2, np.exp(rate * edges) / 2)
        else:
            below = (1 + np.vectorize(math.erf)(edges / np.sqrt(2))) / 2
        result: NDArray[np.float64] = -np.log2(below[1] - below[0])
        return result

    near = (whole - 0.5) / np.exp2(log2_sigma) < 4  # beyond, the density stands for the mass
    np.testing.assert_allclose(
        found[near], difference(bits, log2_sigma)[near], rtol=5e-3, atol=5e-3
    )


def test_adam_finds_the_bottom() -> None:
    """Of a bowl."""
    at = np.array([3, -2], np.float32)
    optimiser = Adam(at, 0.2, 200)
    for _ in range(200):
        optimiser.step(2 * (at - 1) * np.array([1, 10], np.float32))
    np.testing.assert_allclose(at, 1, atol=0.01)
