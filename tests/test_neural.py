"""Anchors to Gaussians: against a plain reading of the paper, in numpy and in torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pytest
import torch

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec.camera import Camera
from gscodec.errors import UsageError
from gscodec.render import render
from gscodec.render.neural import (
    generate,
    in_picture,
    neural_gaussians,
    stand_in,
)
from gscodec.render.neural_torch import neural, tensors_of
from gscodec.render.rasterization import rasterization
from gscodec.render.splat import INRIA, rasterize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene, Perceptron

NEAR = INRIA.near_plane
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "distance": {"distance": True},
    "feature bank": {"bank": True},
    "appearance": {"appearance": 4},
    "masks": {"masked": True, "distance": True},
    "everything": {"masked": True, "distance": True, "bank": True, "appearance": 3},
}


def camera(width: int = 80, height: int = 60, focal: float = 60.0) -> Camera:
    """Looks along z at the scenes of `make_anchor_scene`, from 6 units away."""
    view = np.eye(4)
    view[:3, 3] = (0.1, -0.2, 6)
    return Camera(width, height, focal, focal, width / 2, height / 2, view)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def plainly(network: Perceptron, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row through one network."""
    hidden = np.maximum(network.hidden_weight @ x + network.hidden_bias, 0)
    return np.asarray(network.out_weight @ hidden + network.out_bias)


def by_hand(
    scene: AnchorScene, centre: NDArray[np.float64], appearance: int = 0
) -> dict[int, tuple[NDArray[np.float64], ...]]:
    """Index -> mean, quaternion, scale, opacity, colour: one anchor at a time, in float64."""
    nets = scene.networks
    found: dict[int, tuple[NDArray[np.float64], ...]] = {}
    for n in range(len(scene)):
        o = scene.anchors[n].astype(np.float64) - centre
        d = np.linalg.norm(o)
        v, f = o / d, scene.features[n].astype(np.float64)
        if nets.feature_bank is not None:
            w = np.exp(plainly(nets.feature_bank, np.array([*v, d])))
            w /= w.sum()
            f = w[0] * np.array([*f[::4]] * 4) + w[1] * np.array([*f[::2]] * 2) + w[2] * f
        width = scene.feature_width + 3
        look = [] if nets.appearance is None else nets.appearance[appearance]
        x, far = [*f, *v], [[], [d]]
        a = np.tanh(plainly(nets.opacity, np.array([*x, *far[nets.opacity.inputs > width]])))
        sr = plainly(nets.covariance, np.array([*x, *far[nets.covariance.inputs > width]]))
        with_distance = nets.color.inputs - len(look) > width
        c = sigmoid(plainly(nets.color, np.array([*x, *far[with_distance], *look])))
        s = np.exp(scene.log_scalings[n].astype(np.float64))
        for k in range(scene.offset_count):
            if a[k] <= 0 or (scene.masks is not None and not scene.masks[n, k]):
                continue
            own = sr[7 * k : 7 * k + 7]
            found[n * scene.offset_count + k] = (
                scene.anchors[n] + scene.offsets[n, k] * s[:3],
                own[3:] / np.linalg.norm(own[3:]),
                s[3:] * sigmoid(own[:3]),
                a[k],
                c[3 * k : 3 * k + 3],
            )
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_gaussians_are_those_of_the_paper(kind: str) -> None:
    scene = make_anchor_scene(60, **KINDS[kind])
    row = 3 if scene.networks.appearance is not None else 0
    found = generate(scene, camera(), NEAR, appearance=row)
    seen = in_picture(scene, camera(), NEAR)
    wanted = by_hand(scene, camera().centre, row)
    wanted = {i: g for i, g in wanted.items() if seen[i // scene.offset_count]}
    assert found.index.tolist() == list(wanted)
    assert 0 < len(wanted) < seen.sum() * scene.offset_count
    means, quats, scales, opacities, colors = found.gaussians.arrays()
    columns = [np.array(column) for column in zip(*wanted.values(), strict=True)]
    for ours, theirs in zip(
        (means, quats, scales, opacities, colors[:, 0]), columns, strict=True
    ):
        assert np.abs(ours - theirs).max() < 2e-5
        assert ours.dtype == np.float32


def test_appearance_changes_colours_only() -> None:
    scene = make_anchor_scene(60, appearance=4)
    first, second = (neural_gaussians(scene, camera(), NEAR, appearance=a) for a in (0, 1))
    assert np.abs(first.colors - second.colors).max() > 0.01
    for a, b in zip(first.arrays()[:4], second.arrays()[:4], strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("row", [-1, 5])
def test_an_appearance_that_is_not_there_is_refused(row: int) -> None:
    scene = make_anchor_scene(20, appearance=4)
    with pytest.raises(UsageError, match=f"appearance: found {row}, expected 0 to 4"):
        neural_gaussians(scene, camera(), NEAR, appearance=row)


def test_masked_offsets_are_not_there() -> None:
    scene = make_anchor_scene(100, masked=True)
    assert scene.masks is not None
    found = generate(scene, camera(), NEAR)
    assert scene.masks.ravel()[found.index].all()
    everything = generate(replace(scene, masks=None), camera(), NEAR)
    assert len(everything.index) > len(found.index) > 0


def corners(scene: AnchorScene, view: Camera) -> NDArray[np.bool_]:
    """(N,) whether a box of three deviations around each anchor is in the picture, one by one."""
    result = []
    for anchor, logs in zip(scene.anchors, scene.log_scalings, strict=True):
        x, y, z = view.world_to_camera[:3, :3] @ anchor + view.world_to_camera[:3, 3]
        if z <= 0.2:
            result.append(False)
            continue
        wide, high = 1.3 * view.width / 2 / view.fx, 1.3 * view.height / 2 / view.fy
        j = np.array(
            [
                [view.fx / z, 0, -view.fx * np.clip(x / z, -wide, wide) / z],
                [0, view.fy / z, -view.fy * np.clip(y / z, -high, high) / z],
            ]
        )
        turn = j @ view.world_to_camera[:3, :3] @ np.diag(np.exp(logs[:3].astype(np.float64)))
        cov = turn @ turn.T + 0.3 * np.eye(2)
        mid, det = np.trace(cov) / 2, np.linalg.det(cov)
        r = np.ceil(3 * np.sqrt(mid + np.sqrt(max(0.1, mid**2 - det))))
        inside = True
        for at, edge in (
            (view.fx * x / z + view.cx - 0.5, view.width),
            (view.fy * y / z + view.cy - 0.5, view.height),
        ):
            tiles = (edge + 15) // 16
            low = min(max(int((at - r) / 16), 0), tiles)
            end = min(max(int((at + r + 15) / 16), 0), tiles)
            inside &= end > low
        result.append(inside)
    return np.array(result)


@pytest.mark.parametrize(("width", "height", "focal"), [(80, 60, 60.0), (40, 50, 200.0)])
@pytest.mark.parametrize("near", [6.003, 1.003])  # no anchor is at the near plane
def test_anchors_outside_of_the_picture_make_nothing(
    width: int, height: int, focal: float, near: float
) -> None:
    """From outside, and from among the anchors, some of which are behind the camera."""
    scene = make_anchor_scene(2000)
    view = camera(width, height, focal)
    matrix = view.world_to_camera.copy()
    matrix[2, 3] = near
    view = replace(view, world_to_camera=matrix)
    seen = in_picture(scene, view, NEAR)
    assert np.array_equal(seen, corners(scene, view))
    if focal == 200 or near < 2:
        assert 0 < seen.sum() < len(scene)
    assert set(generate(scene, view, NEAR).index // 3) <= set(np.flatnonzero(seen))


def test_a_render_is_what_the_gaussians_look_like() -> None:
    scene = make_anchor_scene(300)
    alone = rasterize(neural_gaussians(scene, camera(), NEAR), camera(), (1, 0, 0), INRIA).image
    assert np.array_equal(render(scene, camera(), (1.0, 0.0, 0.0)), alone)
    assert alone.std() > 0.05


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_anchor_scene(100)
    whole = generate(scene, camera(), NEAR)
    monkeypatch.setattr("gscodec.render.neural._BLOCK", 7)
    pieces = generate(scene, camera(), NEAR)
    assert np.array_equal(whole.index, pieces.index)
    for a, b in zip(whole.gaussians.arrays(), pieces.gaussians.arrays(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("n", [0, 1])
def test_scenes_of_nothing(n: int) -> None:
    scene = make_anchor_scene(n)
    assert len(in_picture(scene, camera(), NEAR)) == n
    assert render(scene, camera()).shape == (60, 80, 3)
    assert len(stand_in(scene)) <= 3 * n


@pytest.mark.parametrize(
    "values",
    [
        {"log_scalings": 60.0},
        {"log_scalings": 100.0, "offsets": 0.0},
        {"log_scalings": 100.0, "offsets": 3e38, "anchors": -3e38},
        {"features": 3e38},
        {"anchors": 1e30},
        {"anchors": 3e38},
    ],
)
def test_values_beyond_all_measure_warn_of_nothing(values: dict[str, float]) -> None:
    """Numpy's warnings are errors here; the other anchors are drawn."""
    scene = make_anchor_scene(60)
    for name, value in values.items():
        array = getattr(scene, name).copy()
        array[[3, 7]] = value
        scene = replace(scene, **{name: array})
    views = gscodec.virtual_cameras(scene, 2)
    assert views
    for camera in (*views, *small_views().cameras):
        assert np.isfinite(render(scene, camera)).any()


def test_a_camera_inside_an_anchor_gives_numbers() -> None:
    scene = make_anchor_scene(50, distance=True)
    view = np.eye(4)
    view[:3, 3] = -scene.anchors[0]
    inside = replace(camera(), world_to_camera=view)
    assert np.isfinite(render(scene, inside)).all()


@pytest.mark.skipif(numba.get_num_threads() < 2, reason="numba has one thread only")
def test_gaussians_do_not_depend_on_threads() -> None:
    scene = make_anchor_scene(3000, bank=True, distance=True)
    before = numba.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 2):
            numba.set_num_threads(threads)
            found.append(neural_gaussians(scene, camera(), NEAR).arrays())
    finally:
        numba.set_num_threads(before)
    for arrays in zip(*found, strict=True):
        assert all(np.array_equal(arrays[0], array) for array in arrays[1:])


def test_the_stand_in_is_where_the_scene_is() -> None:
    scene = make_anchor_scene(400)
    twin = stand_in(scene)
    found = generate(scene, camera(), NEAR)
    assert len(twin) > len(found.index) / 2
    assert all(np.isfinite(values).all() for values in twin.attributes().values())
    a, b = render(scene, camera()), render(twin, camera())
    assert np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))).max() < 0.1


# --- torch --------------------------------------------------------------------------------


def tensors(scene: AnchorScene) -> dict[str, torch.Tensor]:
    """Attributes as leaves."""
    return {
        name: torch.tensor(array, requires_grad=True)
        for name, array in scene.attributes().items()
    }


def twin(scene: AnchorScene, view: Camera, leaves: dict[str, torch.Tensor], nets: Any) -> Any:
    look = scene.networks.appearance
    return neural(
        leaves["anchors"],
        leaves["features"],
        leaves["log_scalings"],
        leaves["offsets"],
        nets,
        torch.tensor(view.centre, dtype=leaves["anchors"].dtype),
        torch.from_numpy(np.flatnonzero(in_picture(scene, view, NEAR))),
        masks=None if scene.masks is None else torch.from_numpy(scene.masks),
        appearance=None if look is None else torch.from_numpy(look[0]),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_torch_gives_the_same(kind: str) -> None:
    scene = make_anchor_scene(500, **KINDS[kind])
    ours = generate(scene, camera(), NEAR)
    theirs = twin(scene, camera(), tensors(scene), tensors_of(scene.networks))
    assert np.array_equal(ours.index, theirs.places.numpy())
    for a, t in zip(ours.gaussians.arrays(), theirs[:5], strict=True):
        assert np.abs(a.reshape(t.shape) - t.detach().numpy()).max() < 1e-5


def leaves_of(scene: AnchorScene) -> tuple[dict[str, torch.Tensor], Any]:
    """Attributes and networks in float64, all with gradients."""
    arrays = {k: t.detach().double().requires_grad_() for k, t in tensors(scene).items()}
    networks = {
        name: tuple(t.double().requires_grad_() for t in four)
        for name, four in tensors_of(scene.networks).items()
    }
    return arrays, networks


def every(leaves: dict[str, torch.Tensor], nets: Any) -> dict[str, torch.Tensor]:
    numbered = {f"{n} {k}": t for n, four in nets.items() for k, t in enumerate(four)}
    return {**leaves, **numbered}


def sum_with_signs(found: Any) -> torch.Tensor:
    """A sum of all that `neural` gives, each with a sign of its own."""
    generator = torch.Generator().manual_seed(1)
    return torch.stack(
        [(t * torch.randn(t.shape, generator=generator)).sum() for t in found[:5]]
    ).sum()


def sum_of_pixels(found: Any) -> torch.Tensor:
    """The same of a picture, smooth so that the rims of Gaussians, cut at 1/255, do not count."""
    view = small_camera()
    lens = torch.tensor([[view.fx, 0, view.cx], [0, view.fy, view.cy], [0, 0, 1]])
    matrix = torch.tensor(view.world_to_camera, dtype=torch.float32)
    means, quats, scales, opacities, colors = (t.float() for t in found[:5])
    image, _, _ = rasterization(
        means, quats, scales, opacities, colors, matrix[None], lens[None], 32, 24
    )
    slope = torch.linspace(-1, 1, 32)[:, None] * torch.tensor([1.0, -0.5, 0.2])
    return (image * slope).double().sum()


def small_camera() -> Camera:
    return camera(32, 24, 24.0)


@pytest.mark.parametrize(
    ("measure", "step", "tolerance"),
    [(sum_with_signs, 1e-6, 1e-4), (sum_of_pixels, 1e-4, 0.06)],
)
def test_gradients_are_slopes(measure: Any, step: float, tolerance: float) -> None:
    """By differences: of what `neural` gives, and of what `rasterization` makes of it."""
    scene = make_anchor_scene(12, distance=True, bank=True, seed=3)
    scene = replace(scene, log_scalings=scene.log_scalings + np.float32(1.5))
    leaves, nets = leaves_of(scene)

    def result() -> torch.Tensor:
        result: torch.Tensor = measure(twin(scene, small_camera(), leaves, nets))
        return result

    result().backward()  # type: ignore[no-untyped-call]
    generator = torch.Generator().manual_seed(0)
    for name, leaf in every(leaves, nets).items():
        assert leaf.grad is not None
        # Half of it along the gradient: a random way alone would change next to nothing.
        random = torch.randn(leaf.shape, generator=generator)
        way = leaf.grad / leaf.grad.norm() + random / random.norm()
        slope = float((leaf.grad * way).sum())
        with torch.no_grad():
            ahead = float(result_after(leaf, step * way, result))
            behind = float(result_after(leaf, -step * way, result))
        assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=tolerance), name


def result_after(leaf: torch.Tensor, change: torch.Tensor, result: Any) -> Any:
    """What ``result`` gives while ``leaf`` is changed."""
    before = leaf.clone()
    leaf += change
    found = result()
    leaf.copy_(before)
    return found
