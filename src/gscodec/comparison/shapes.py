"""What renders show of a Gaussian, as numbers that all its equivalent forms share.

Scales and quaternions can be relabelled, and quaternions change sign and length, without any
difference in pictures; covariances cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float64]

_UPPER = np.triu_indices(3)
# With these, the length of the six numbers is the Frobenius norm of the matrix.
_WEIGHTS = np.where(_UPPER[0] == _UPPER[1], 1.0, np.sqrt(2.0))
_MAX_EXPONENT = 100.0  # squares of what is larger would not be finite


def opacities(scene: GaussianScene) -> Floats:
    """(N,) opacity after the sigmoid."""
    half = np.tanh(0.5 * scene.opacity_logits.astype(np.float64))  # cannot overflow
    return 0.5 * (1 + half)


def log_covariances(scene: GaussianScene) -> Floats:
    """(N, 6): distances are Frobenius norms of differences of half the matrix logarithm."""
    matrices = _in_world(scene, scene.log_scales.astype(np.float64))
    return matrices[:, _UPPER[0], _UPPER[1]] * _WEIGHTS


def covariance_errors(a: GaussianScene, b: GaussianScene) -> Floats:
    """(N,) Frobenius norm of the difference over that of ``a``, Gaussian by Gaussian."""
    # In units of the longest axis of a, so that the norm of a is at least 1.
    unit = a.log_scales.astype(np.float64).max(axis=1, keepdims=True)
    ours, theirs = (_in_world(s, _variances(s.log_scales - unit)) for s in (a, b))
    result: Floats = np.linalg.norm(theirs - ours, axis=(1, 2)) / np.linalg.norm(
        ours, axis=(1, 2)
    )
    return result


def _variances(log_scales: Floats) -> Floats:
    return np.exp(np.minimum(2 * log_scales, _MAX_EXPONENT))


def _in_world(scene: GaussianScene, diagonals: Floats) -> Floats:
    """(N, 3, 3): the diagonal matrices (N, 3) in the axes of the world."""
    axes = _rotations(scene.quats.astype(np.float64))
    result: Floats = (axes * diagonals[:, None, :]) @ axes.transpose(0, 2, 1)
    return result


def _rotations(quats: Floats) -> Floats:
    """(N, 3, 3) of quaternions w, x, y, z of any length; zero is no rotation."""
    length = np.linalg.norm(quats, axis=1, keepdims=True)
    w, x, y, z = np.where(length > 0, quats / np.maximum(length, 1e-300), [1.0, 0, 0, 0]).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)
