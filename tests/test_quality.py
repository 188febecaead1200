"""PSNR, SSIM and LPIPS of pictures: known values, and SSIM against a slow one of few lines."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gscodec.errors import UsageError
from gscodec.render import flip, perceptual
from gscodec.render.quality import MAX_PSNR, psnr, ssim

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def picture(height: int = 17, width: int = 23, seed: int = 0) -> NDArray[np.float32]:
    """Smooth colours with some noise, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    smooth = 0.5 + 0.3 * np.sin(x / 5 + seed)[..., None] * np.cos(y / 7)[..., None]
    noisy = smooth * np.array([1.0, 0.8, 0.6]) + rng.normal(0, 0.05, (height, width, 3))
    result: NDArray[np.float32] = np.clip(noisy, 0, 1).astype(np.float32)
    return result


def slow_ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """SSIM as the paper writes it: one window of 11 x 11 weights at every pixel."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for channel in range(3):
        x, y = (np.pad(i[..., channel].astype(np.float64), 5, "symmetric") for i in (a, b))
        for row in range(a.shape[0]):
            for column in range(a.shape[1]):
                window = np.s_[row : row + 11, column : column + 11]
                p, q = x[window], y[window]
                mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
                var_p = (weights * (p - mean_p) ** 2).sum()
                var_q = (weights * (q - mean_q) ** 2).sum()
                both = (weights * (p - mean_p) * (q - mean_q)).sum()
                values.append(
                    (2 * mean_p * mean_q + 1e-4)
                    * (2 * both + 9e-4)
                    / ((mean_p**2 + mean_q**2 + 1e-4) * (var_p + var_q + 9e-4))
                )
    return float(np.mean(values))


def test_psnr_of_a_constant_difference() -> None:
    a = np.full((4, 5, 3), 0.25, np.float32)
    assert psnr(a, a + np.float32(0.125)) == pytest.approx(20 * np.log10(8))


def test_psnr_weighs_all_pixels_and_channels_alike() -> None:
    a = np.zeros((10, 10, 3), np.float32)
    b = a.copy()
    b[3, 4, 1] = 1
    assert psnr(a, b) == pytest.approx(10 * np.log10(300))


def test_psnr_of_identical_pictures_is_finite() -> None:
    assert psnr(picture(), picture()) == MAX_PSNR == 100


def test_psnr_is_symmetric() -> None:
    a, b = picture(), picture(seed=1)
    assert psnr(a, b) == psnr(b, a) < 30


def test_ssim_of_identical_pictures_is_one() -> None:
    assert ssim(picture(), picture()) == pytest.approx(1, abs=1e-6)


def test_ssim_of_constant_pictures_is_that_of_their_brightness() -> None:
    a, b = (np.full((20, 20, 3), v, np.float32) for v in (0.2, 0.7))
    expected = (2 * 0.2 * 0.7 + 1e-4) / (0.2**2 + 0.7**2 + 1e-4)
    assert ssim(a, b) == pytest.approx(expected, rel=1e-3)  # variances of float32 are not 0


@pytest.mark.parametrize("size", [(17, 23), (11, 11), (3, 40), (1, 1)])
def test_ssim_is_that_of_the_paper_up_to_the_border(size: tuple[int, int]) -> None:
    """Pictures smaller than the window are mirrored as often as it takes."""
    a, b = picture(*size), picture(*size, seed=1)
    if min(size) < 5:
        assert -1 <= ssim(a, b) < 1
    else:
        assert ssim(a, b) == pytest.approx(slow_ssim(a, b), abs=1e-5)


@pytest.mark.parametrize("measure", [psnr, ssim])
@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 5, 1), (1, 1, 3)])
def test_pictures_of_different_size_are_refused(
    measure: object, shape: tuple[int, int, int]
) -> None:
    """Even where numpy would stretch one of them."""
    assert callable(measure)
    with pytest.raises(UsageError, match=r"found \(4, 5, 3\) and"):
        measure(np.zeros((4, 5, 3), np.float32), np.zeros(shape, np.float32))


def test_lpips_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None if name == "lpips" else 1)
    with pytest.raises(UsageError, match=r"needs lpips; pip install 'gscodec\[encode\]' lpips"):
        perceptual.load_lpips()


def test_lpips_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without weights on the machine it says how to get them, and starts nothing."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(perceptual, "find_spec", lambda _: 1)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "lpips", None)  # importing it would fail
    with pytest.raises(UsageError, match=r"does not download .*; fetch them once with: python"):
        perceptual.load_lpips()


def test_lpips_gets_tensors_in_its_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in for the package sees (1, 3, H, W) of -1 to 1."""
    torch = pytest.importorskip("torch")
    seen: list[Any] = []

    class Network:
        def __init__(self, *, net: str, verbose: bool) -> None:
            assert (net, verbose) == ("vgg", False)

        def eval(self) -> Network:
            return self

        def __call__(self, a: object, b: object) -> object:
            seen.extend([a, b])
            return torch.full((1, 1, 1, 1), 0.25)

    package = ModuleType("lpips")
    monkeypatch.setattr(package, "LPIPS", Network, raising=False)
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(perceptual, "require_lpips", lambda: None)
    a = np.zeros((2, 5, 3), np.float32)
    a[0, 1] = (1, 0.5, 0)
    assert perceptual.load_lpips()(a, a + 0.5) == 0.25
    assert seen[0].shape == seen[1].shape == (1, 3, 2, 5)
    assert seen[0][0, :, 0, 1].tolist() == [1, 0, -1]
    assert seen[1][0, :, 1, 4].tolist() == [0, 0, 0]


def test_flip_is_that_of_its_authors() -> None:
    """0 for identical pictures, more for what is seen more; a map of the pixels."""
    pytest.importorskip("flip_evaluator")
    measure = flip.load_flip()
    assert measure is not None
    a = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    b = np.clip(a + np.float32(0.02), 0, 1)
    c = np.clip(a + np.float32(0.2), 0, 1)
    assert measure(a, a) == 0
    assert 0 < measure(a, b) < measure(a, c) < 1
    found = flip.error_map(a[:, ::-1], c[:, ::-1])
    assert found.shape == (20, 30)
    assert found.mean() == pytest.approx(measure(a[:, ::-1], c[:, ::-1]), rel=1e-5)
