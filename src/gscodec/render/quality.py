"""How like two pictures are: PSNR and SSIM of (H, W, 3) float images, clipped to 0..1.

Both compare the pictures as they are given: whoever renders clips first, as a screen would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32] | NDArray[np.float64]

MAX_PSNR = 100.0  # dB; stands for identical pictures, so that means stay finite

# SSIM of Wang et al. (2004), "Image quality assessment: from error visibility to structural
# similarity": 11 x 11 Gaussian window, sigma 1.5, K1 = 0.01, K2 = 0.03, peak 1.
_OFFSETS = np.arange(-5, 6)
_WINDOW = np.exp(-0.5 * (_OFFSETS / 1.5) ** 2) / np.exp(-0.5 * (_OFFSETS / 1.5) ** 2).sum()
_C1, _C2 = 0.01**2, 0.03**2


def psnr(a: Image, b: Image) -> float:
    """Peak signal to noise ratio in dB, peak 1, at most `MAX_PSNR`.

    Raises:
        UsageError: The pictures differ in size.
    """
    _check_same_shape(a, b)
    mse = float(np.mean(np.square(a - b), dtype=np.float64))
    least = 10 ** (-MAX_PSNR / 10)
    return -10 * float(np.log10(max(mse, least)))


def ssim(a: Image, b: Image) -> float:
    """Structural similarity, 1 for identical pictures: mean over pixels and channels.

    Borders are mirrored, so every pixel counts.

    Raises:
        UsageError: The pictures differ in size.
    """
    _check_same_shape(a, b)
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a * mean_a
    variance_b = _blur(b * b) - mean_b * mean_b
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float(np.mean(luminance * structure, dtype=np.float64))


def _blur(image: Image) -> Image:
    from scipy.ndimage import correlate1d

    rows = correlate1d(image, _WINDOW, axis=0, mode="reflect")
    result: Image = correlate1d(rows, _WINDOW, axis=1, mode="reflect")
    return result


def _check_same_shape(a: Image, b: Image) -> None:
    if a.shape != b.shape or a.ndim != 3:
        raise UsageError(f"pictures: found {a.shape} and {b.shape}, expected one (H, W, 3)")
