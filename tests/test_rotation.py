"""Axes, twist and swing: what changes on the way, and what may not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscodec.geometry.rotation import from_twist_swing, is_disc, sort_axes, to_twist_swing

Floats = NDArray[np.float64]
HALF = 0.5**0.5
QUATERNIONS = {
    "identity": (1, 0, 0, 0),
    "negative": (-1, 0, 0, 0),
    "zero": (0, 0, 0, 0),
    "half turn about x": (0, 1, 0, 0),
    "half turn about y": (0, 0, -1, 0),
    "half turn about z": (0, 0, 0, 1),
    "quarter turn about x": (HALF, HALF, 0, 0),
    "quarter turn about z, long": (300 * HALF, 0, 0, -300 * HALF),
    "third of a turn": (0.5, 0.5, 0.5, 0.5),
    "half turn about a diagonal": (0, HALF, 0, HALF),
    "tiny": (1e-44, 2e-44, 0, 1e-45),
}
SCALES = {
    "falling": (3, 2, 0),
    "rising": (-5, -4, -1),
    "turned": (1, 3, 0),
    "other way": (0, 1, 3),
    "all equal": (1, 1, 1),
    "disc": (2, -7, 2),
    "needle": (-3, -3, 4),
    "half way": (0, 1, 2),
}


def covariance(log_scales: Floats, quats: Floats) -> Floats:
    """(N, 3, 3), by the textbook; a zero quaternion counts as the identity."""
    norm = np.sqrt((quats**2).sum(axis=1, keepdims=True))
    unit = np.where(norm > 0, quats / np.where(norm > 0, norm, 1), [1, 0, 0, 0])
    w, x, y, z = unit.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    turn = np.moveaxis(np.array(rows), 2, 0)
    scaled = turn * np.exp(log_scales)[:, None, :]
    result: Floats = scaled @ scaled.transpose(0, 2, 1)
    return result


def check(log_scales: Floats, quats: Floats) -> None:
    """Covariances survive, scales fall, tangents are small, quaternions are unit."""
    sorted_scales, turned = sort_axes(log_scales, quats)
    assert (np.diff(sorted_scales, axis=1) <= 0).all()
    disc = is_disc(sorted_scales)
    tangents = to_twist_swing(turned, disc)
    assert np.abs(tangents).max() <= 1 + 1e-9
    back = from_twist_swing(tangents, disc)
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, atol=1e-6)
    before = covariance(log_scales, quats)
    after = covariance(sorted_scales, back.astype(np.float64))
    largest = np.exp(2 * sorted_scales[:, :1, None])
    np.testing.assert_allclose(after / largest, before / largest, atol=2e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 1.0, 6.0]))
def test_random_gaussians_keep_their_covariance(seed: int, spread: float) -> None:
    """Sorting axes and going through twist and swing changes no Gaussian."""
    rng = np.random.default_rng(seed)
    check(rng.normal(-4, spread, (50, 3)), rng.normal(0, 1, (50, 4)))


@pytest.mark.parametrize("quaternion", QUATERNIONS)
@pytest.mark.parametrize("scales", SCALES)
def test_special_gaussians_keep_their_covariance(quaternion: str, scales: str) -> None:
    """Ties, turns along axes and quaternions that are not unit length do no harm."""
    check(
        np.array([SCALES[scales]], dtype=np.float64),
        np.array([QUATERNIONS[quaternion]], dtype=np.float64),
    )


@given(st.integers(0, 2**32 - 1))
def test_the_axis_follows_the_given_kind(seed: int) -> None:
    """Coded scales may be of another kind than the source's: the rotation still survives."""
    rng = np.random.default_rng(seed)
    scales, quats = -np.sort(-rng.normal(0, 1, (50, 3))), rng.normal(0, 1, (50, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    disc = rng.random(50) < 0.5
    back = from_twist_swing(to_twist_swing(quats, disc), disc).astype(np.float64)
    after, before = covariance(scales, back), covariance(scales, quats)
    np.testing.assert_allclose(after, before, atol=1e-5 * float(np.exp(2 * scales.max())))


def test_quaternions_are_the_documented_bits() -> None:
    """Known values: twist 0.5 and swings 0.25, -0.75, about the axis of each kind."""
    values = np.array([[0.5, 0.25, -0.75]] * 2)
    disc, needle = from_twist_swing(values, np.array([True, False]))
    norm = (1.25 * 1.625) ** 0.5
    expected = (np.array([1, -0.125, -0.875, 0.5]) / norm).astype(np.float32)
    np.testing.assert_array_equal(disc, expected)
    np.testing.assert_array_equal(needle, expected[[0, 3, 1, 2]])


def test_kind_of_integer_scales() -> None:
    """Half way between disc and needle counts as disc."""
    scales = np.array([[4, 2, 0], [4, 1, 0], [5, 3, 0], [-1, -1, -9]])
    assert is_disc(scales).tolist() == [True, False, True, True]
