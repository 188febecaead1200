"""What each value does to pixels: measured numbers against finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gscodec.camera import Camera
from scenes import make_scene

pytest.importorskip("numba")

from gscodec.fit.pixels import Canonical, coherence, measure
from gscodec.fit.sensitivity import closed_form, combine, log2_ideal
from gscodec.geometry.rotation import is_disc, sort_axes, to_twist_swing
from gscodec.render.backdrop import over_speckled
from gscodec.render.splat import INRIA, Conventions, rasterize

if TYPE_CHECKING:
    from numpy.typing import NDArray

N = 12


def camera(x: float = 0.0) -> Camera:
    view = np.eye(4)
    view[:3, 3] = (x, 0, 4)
    return Camera(48, 40, 60.0, 60.0, 24.0, 20.0, view)


@pytest.fixture(scope="module")
def scene() -> Canonical:
    """A few large, translucent Gaussians of bright colour: nothing is clamped or cut."""
    source = make_scene(N, 1, seed=5)
    rng = np.random.default_rng(0)
    scales, quats = sort_axes(rng.normal(-1.2, 0.4, (N, 3)), source.quats.astype(np.float64))
    disc = is_disc(scales)
    sh = np.concatenate([rng.uniform(0.5, 1.5, (N, 1, 3)), rng.normal(0, 0.1, (N, 3, 3))], 1)
    return Canonical(
        rng.uniform(-0.8, 0.8, (N, 3)),
        rng.normal(-1, 0.5, N),
        scales,
        to_twist_swing(quats, disc),
        disc,
        sh,
    )


def change(
    scene: Canonical,
    cameras: list[Camera],
    how: Conventions,
    field: str,
    index: tuple[int, ...],
    by: float,
) -> float:
    """Mean squared change of a pixel channel, before specks, per squared change of one value."""
    total = 0.0
    for view in cameras:
        pictures = []
        for sign in (-1, 1):
            values: NDArray[np.float64] = getattr(scene, field).copy()
            values[index] += sign * by
            moved = replace(scene, **{field: values}).activate()  # type: ignore[arg-type]
            pictures.append(over_speckled(rasterize(moved, view, conventions=how)))
        total += float((((pictures[1] - pictures[0]) / (2 * by)) ** 2).mean()) / len(cameras)
    return total


@pytest.mark.parametrize("how", [INRIA, replace(INRIA, antialiased=True, eps2d=4.0)])
def test_measured_is_what_finite_differences_give(scene: Canonical, how: Conventions) -> None:
    """Within the noise of the probes; wide differences, for splats end in a small jump.

    The low-pass is so wide that antialiasing matters.
    """
    cameras = [camera(), camera(0.3)]
    found = measure(scene, cameras, how, probes=400, seed=0, progress=lambda _: None)
    for i in (0, 4, 7):
        for name, got, index, by in (
            ("opacity_logits", found.opacity[i], (i,), 0.1),
            ("log_scales", found.scale[i, 0], (i, 0), 0.1),
            ("log_scales", found.scale[i, 1], (i, 1), 0.1),
            ("twist_swing", found.rotation[i, 1], (i, 1), 0.1),
            ("twist_swing", found.rotation[i, 2], (i, 2), 0.1),
            ("sh", found.colour[i], (i, 0, 1), 1e-2),
        ):
            wanted = change(scene, cameras, how, name, index, by)
            assert got == pytest.approx(wanted, rel=0.4), (name, i)


def test_what_is_dark_matters_by_what_it_hides(scene: Canonical) -> None:
    """Before black, black Gaussians would show nothing, whatever their opacity."""
    black = replace(scene, sh=np.zeros_like(scene.sh))
    black.sh[:, 0] = -10
    found = measure(black, [camera()], INRIA, probes=400, seed=0, progress=lambda _: None)
    for i in (0, 4, 7):
        wanted = change(black, [camera()], INRIA, "opacity_logits", (i,), 0.1)
        assert wanted > 0
        assert found.opacity[i] == pytest.approx(wanted, rel=0.4), i


def test_weights_are_more_than_squares_of_weights(scene: Canonical) -> None:
    """Errors that agree can only do more harm than errors that do not."""
    found = measure(scene, [camera()], INRIA, probes=50, seed=1, progress=lambda _: None)
    assert (found.weight > 0.8 * found.colour).all()
    assert (found.colour > 0).all()


def test_no_cameras_measure_nothing(scene: Canonical) -> None:
    """Then the closed form alone decides."""
    found = measure(scene, [], INRIA, probes=2, seed=0, progress=lambda _: None)
    assert not found.colour.any()
    assert not found.opacity.any()
    values = (scene.means, scene.opacity_logits, scene.log_scales, scene.disc)
    prior, _ = closed_form(*values, antialiased=False)
    weights = combine(prior, found, 0.5)
    assert (weights.dc > 0).all()
    assert (weights.position > 0).all()


def test_what_nobody_sees_agrees_with_nothing(scene: Canonical) -> None:
    """However many share a pixel with it, its floor is the same."""
    nothing = measure(scene, [], INRIA, probes=2, seed=0, progress=lambda _: None)
    hidden = replace(nothing, colour=nothing.colour + 1e-30, weight=nothing.weight + 1e-27)
    values = (scene.means, scene.opacity_logits, scene.log_scales, scene.disc)
    prior, _ = closed_form(*values, antialiased=False)
    alone, among = (combine(prior, pixels, 0.5) for pixels in (nothing, hidden))
    for name in ("opacity", "scale", "rotation", "position", "dc"):
        np.testing.assert_allclose(getattr(among, name), getattr(alone, name), rtol=1e-6)


def test_coherence_tells_agreeing_errors_from_random_ones() -> None:
    """The same higher coefficients everywhere agree; random signs do not."""
    rng = np.random.default_rng(3)
    n = 400
    means = rng.uniform(-0.5, 0.5, (n, 3))
    scales = np.full((n, 3), -1.5)
    disc = is_disc(scales)
    base = np.concatenate([np.full((n, 1, 3), 1.0), np.full((n, 3, 3), 0.1)], axis=1)
    flat = Canonical(means, np.full(n, -3.0), scales, np.zeros((n, 3)), disc, base)
    mixed = replace(flat, sh=base * rng.choice([-1, 1], base.shape))
    mixed.sh[:, 0] = 1.0
    values = []
    for scene in (flat, mixed):
        seen: list[NDArray[np.float32]] = []
        pixels = measure(
            scene,
            [camera()],
            INRIA,
            probes=4,
            seed=0,
            progress=lambda _: None,
            shown=seen.append,
        )
        values.append(coherence(scene, [camera()], INRIA, seen, pixels))
    assert values[0] > 5 * values[1]


def test_ideal_steps_halve_where_sensitivity_is_four_times() -> None:
    """And never pass the largest step."""
    steps = 2 ** log2_ideal(np.array([1.0, 4.0, 1e-30]), 1e-4, 0.5)
    assert steps[0] == pytest.approx(2 * steps[1])
    assert steps[2] == 0.5


def test_what_antialiasing_dims_matters_less() -> None:
    """Thin Gaussians lose opacity, so errors in them show less; thick ones are as before."""
    scales = np.log(np.array([[0.5, 0.4, 0.3], [0.5, 1e-4, 1e-4]]))
    values = (np.zeros((2, 3)), np.zeros(2), scales, is_disc(scales))
    plain, dimmed = (closed_form(*values, antialiased=flag)[0] for flag in (False, True))
    assert dimmed.dc[0] == pytest.approx(plain.dc[0], rel=1e-3)
    assert dimmed.dc[1] < 0.7 * plain.dc[1]
