"""The rasteriser against a float64 reference, and what its callers may rely on."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pytest
import torch

import reference_raster
from gscodec.camera import Camera
from gscodec.errors import GscodecError, SceneError, UsageError
from gscodec.render import activate, blend_weights, render, splat
from gscodec.render.rasterization import rasterization
from gscodec.render.splat import GSPLAT, INRIA, Conventions, Gaussians
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

NAMES = ("means", "quats", "scales", "opacities", "colors")


@dataclass(frozen=True)
class Case:
    """Gaussians, a camera, a renderer's conventions and a background."""

    arrays: dict[str, NDArray[np.float32]]
    camera: Camera
    conventions: Conventions = GSPLAT
    sh_degree: int | None = 3
    background: tuple[float, float, float] = (0.2, 0.5, 0.1)

    def tensors(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
        copies = (torch.from_numpy(self.arrays[n].copy()).to(dtype) for n in NAMES)
        return tuple(t.requires_grad_() for t in copies)

    def gaussians(self) -> Gaussians:
        return Gaussians(**self.arrays, sh_degree=self.sh_degree)

    def changed(self, **arrays: Any) -> Case:
        """With other arrays, rounded to float32."""
        rounded = {n: np.asarray(a, np.float32) for n, a in arrays.items()}
        return replace(self, arrays=self.arrays | rounded)


def look(width: int, height: int, *, distance: float = 3.0, **lens: float) -> Camera:
    """A camera turned a little, whose numbers are float32."""
    a, b = np.float64(0.3), np.float64(-0.2)
    turn_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    pose = np.eye(4)
    pose[:3, :3] = turn_x @ turn_y
    pose[:3, 3] = (0.1, -0.05, distance)
    edge = float(max(width, height))
    fx, fy = lens.get("fx", edge), lens.get("fy", 1.1 * edge)
    cx, cy = lens.get("cx", width / 2), lens.get("cy", height / 2)
    return Camera(width, height, fx, fy, cx, cy, pose.astype(np.float32).astype(np.float64))


def straight(width: int = 33, height: int = 47) -> Camera:
    """A camera at the origin that looks along z, so that means are where they say."""
    return Camera(width, height, 40.0, 42.0, width / 2, height / 2, np.eye(4))


def case(n: int = 120, seed: int = 0, camera: Camera | None = None, **changes: Any) -> Case:
    rng = np.random.default_rng(seed)
    arrays = {
        "means": rng.normal(0, 0.7, (n, 3)),
        "quats": rng.normal(0, 2, (n, 4)),
        "scales": np.exp(rng.normal(-2.5, 0.8, (n, 3))),
        "opacities": 1 / (1 + np.exp(-rng.normal(0, 2, n))),
        "colors": rng.normal(0, 0.3, (n, 16, 3)),
    }
    arrays |= {name: changes.pop(name)(rng, n) for name in NAMES if name in changes}
    rounded = {name: a.astype(np.float32) for name, a in arrays.items()}
    return Case(rounded, camera or look(33, 47), **changes)


def in_front(z: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """Means before a `straight` camera at the depths ``z``."""

    def means(rng: Any, n: int) -> Any:
        depth = z(rng, n)
        return np.stack([*rng.normal(0, 0.4, (2, n)) * np.abs(depth), depth], axis=1)

    return means


CASES = {
    "SH 0": case(sh_degree=0),
    "SH 1": case(sh_degree=1, camera=look(64, 48), seed=1),
    "SH 2": case(sh_degree=2, camera=look(64, 48), seed=2),
    "SH 3": case(sh_degree=3, seed=3),
    "SH 1 and no more": case(
        sh_degree=1, colors=lambda rng, n: rng.normal(0, 0.3, (n, 4, 3)), seed=4
    ),
    "colours": case(sh_degree=None, colors=lambda rng, n: rng.normal(0, 1, (n, 1, 3)), seed=5),
    "one pixel": case(camera=look(1, 1), seed=6),
    "17 x 31": case(camera=look(17, 31), seed=7),
    "principal point outside": case(camera=look(40, 24, cx=-6.5, cy=31.25), seed=8),
    "faint": case(opacities=lambda rng, n: rng.uniform(0, 0.02, n), seed=9),
    "capped": case(60, opacities=lambda rng, n: rng.uniform(0.98, 1, n), seed=10),
    "opaque": case(
        200,
        opacities=lambda rng, n: np.where(rng.random(n) < 0.5, 1.0, 0.9),
        scales=lambda rng, n: np.exp(rng.normal(-1.5, 0.3, (n, 3))),
        seed=11,
    ),
    "tiny": case(scales=lambda rng, n: 1e-5 * rng.random((n, 3)), seed=12),
    "huge": case(40, scales=lambda rng, n: np.exp(rng.normal(2, 1, (n, 3))), seed=13),
    "discs": case(
        scales=lambda rng, n: np.exp(rng.normal(-2, 0.5, (n, 3))) * (1, 1, 0), seed=14
    ),
    "needles": case(
        40,
        camera=look(200, 150),
        scales=lambda rng, n: np.exp(rng.normal(-1, 1, (n, 3))) * (1, 1e-3, 1e-3),
        seed=15,
    ),
    "at the near plane": case(
        80,
        camera=straight(),
        means=in_front(lambda rng, n: rng.choice([-0.3, 0.0, 0.2499, 0.25, 0.26, 1.5], n)),
        conventions=replace(GSPLAT, near_plane=0.25),
        opacities=lambda rng, n: rng.uniform(0.01, 0.3, n),
        scales=lambda rng, n: np.exp(rng.normal(-3, 0.5, (n, 3))),
        seed=16,
    ),
    "beyond the far plane": case(
        camera=straight(),
        means=in_front(lambda rng, n: rng.choice([1.0, 2.0, 3.0], n) + rng.uniform(0, 0.9, n)),
        conventions=replace(GSPLAT, far_plane=2.5),
        seed=17,
    ),
    "antialiased": case(
        conventions=replace(GSPLAT, antialiased=True),
        scales=lambda rng, n: np.exp(rng.normal(-4.5, 1, (n, 3))),
        seed=18,
    ),
    "small ones clipped": case(conventions=replace(GSPLAT, radius_clip=3.0), seed=19),
    "first 3DGS code": case(200, conventions=INRIA, camera=look(64, 48), seed=20),
}


def draw(given: Case, tensors: tuple[Tensor, ...], **options: Any) -> Any:
    """`rasterization` of a case."""
    camera, own = given.camera, given.conventions
    means, quats, scales, opacities, colors = tensors
    device = means.device
    intrinsics = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    defaults = {
        "near_plane": own.near_plane,
        "far_plane": own.far_plane,
        "eps2d": own.eps2d,
        "radius_clip": own.radius_clip,
        "max_alpha": own.max_alpha,
        "rasterize_mode": "antialiased" if own.antialiased else "classic",
        "sh_degree": given.sh_degree,
        "backgrounds": torch.tensor([given.background], device=device),
    }
    return rasterization(
        means,
        quats,
        scales,
        opacities,
        colors[:, 0] if given.sh_degree is None else colors,
        torch.tensor(camera.world_to_camera, dtype=torch.float32, device=device)[None],
        torch.tensor(intrinsics, dtype=torch.float32, device=device)[None],
        camera.width,
        camera.height,
        **(defaults | options),
    )


def refer(given: Case, tensors: tuple[Tensor, ...], background: Tensor | None = None) -> Any:
    """`reference_raster.draw` of a case."""
    if given.sh_degree is None:
        tensors = (*tensors[:4], tensors[4][:, 0])
    if background is None:
        background = torch.tensor(given.background, dtype=torch.float32).double()
    return reference_raster.draw(
        tensors, given.sh_degree, given.camera, given.conventions, background
    )


def weights_like(values: Tensor, used: Tensor, seed: int) -> Tensor:
    """Random numbers to multiply ``values`` (H, W, ...) by, 0 for unused pixels."""
    random = torch.randn(values.shape, dtype=torch.float64, generator=generator(seed))
    return random * used.reshape(*used.shape, *[1] * (values.ndim - 2))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_close(found: Tensor | None, expected: Tensor | None, name: str) -> None:
    """Relative L2 below 1e-4."""
    assert found is not None
    assert expected is not None
    error = (found.double() - expected).norm()
    assert error <= 1e-4 * expected.norm(), f"{name}: {error} of {expected.norm()}"


@pytest.mark.parametrize("name", CASES)
def test_pictures_and_gradients_are_those_of_the_reference(name: str) -> None:
    """Also with gradients by alpha and by depth, and over a background."""
    given = CASES[name]
    singles, doubles = given.tensors(), given.tensors(torch.float64)
    image, alpha, meta = draw(given, singles, render_mode="RGB+D")
    image, alpha = image[0], alpha[0, ..., 0]
    expected = refer(given, doubles)
    used = ~expected.doubtful
    assert used.double().mean() > 0.98, "fixture too close to thresholds"

    found = torch.cat([image, alpha[..., None]], dim=-1)
    wanted = torch.cat(
        [expected.image, expected.depth[..., None], expected.alpha[..., None]], dim=-1
    )
    error = (found - wanted).detach().abs()[used]
    assert error.max() < 1e-4
    assert error.mean() < 1e-6
    assert (meta["drawn"][0] >= expected.drawn).all()

    by = weights_like(wanted, used, seed=1)
    torch.autograd.backward((wanted * by).sum())
    torch.autograd.backward((found * by.float()).sum())
    for single, double, label in zip(singles, doubles, NAMES, strict=True):
        assert_close(single.grad, double.grad, label)


def test_cases_reach_what_they_are_for() -> None:
    """Blending stops early, alpha is capped, and faint Gaussians are left out."""
    opaque, capped, faint = (
        refer(CASES[n], CASES[n].tensors(torch.float64)) for n in ("opaque", "capped", "faint")
    )
    assert (opaque.alpha > 0.999).double().mean() > 0.3
    assert (capped.alpha > 0.99).any()
    assert not faint.drawn.all()


def test_very_many_tiles_and_no_rounding_at_their_edges() -> None:
    """A picture of 40 x 30 tiles: nothing is lost at the edges of lists."""
    given = case(
        30,
        seed=2,
        camera=look(640, 480),
        sh_degree=0,
        scales=lambda rng, n: np.exp(rng.normal(-2, 1, (n, 3))) * (3, 0.3, 0.003),
    )
    image, alpha, _ = draw(given, given.tensors())
    expected = refer(given, given.tensors(torch.float64))
    used = ~expected.doubtful
    assert used.double().mean() > 0.99
    assert (image[0] - expected.image).detach().abs()[used].max() < 1e-4
    assert (alpha[0, ..., 0] - expected.alpha).detach().abs()[used].max() < 1e-4


@pytest.mark.parametrize("mode", ["D", "ED", "RGB+ED"])
def test_depth(mode: Any) -> None:
    """Accumulated depth has no background; mean depth is divided by alpha."""
    given = CASES["SH 1"]
    singles, doubles = given.tensors(), given.tensors(torch.float64)
    image = draw(given, singles, render_mode=mode)[0][0]
    expected = refer(given, doubles)
    wanted = expected.depth[..., None]
    if "ED" in mode:
        wanted = wanted / expected.alpha[..., None].clamp(min=1e-10)
    if "RGB" in mode:
        wanted = torch.cat([expected.image, wanted], dim=-1)
    used = ~expected.doubtful
    error = (image - wanted).detach().abs()[used]
    assert error.max() < 1e-4
    by = weights_like(wanted, used, seed=2)
    torch.autograd.backward((wanted * by).sum())
    torch.autograd.backward((image * by.float()).sum())
    for single, double, label in zip(singles, doubles, NAMES, strict=True):
        expected_grad = torch.zeros_like(double) if double.grad is None else double.grad
        assert_close(single.grad, expected_grad, label)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels(channels: int) -> None:
    """Channels are blended three at once; gradients of the geometry sum over all of them."""
    given = case(80, sh_degree=None, camera=look(24, 30), seed=21)
    features = np.random.default_rng(0).normal(size=(80, 1, channels))
    given = given.changed(colors=features)
    singles, doubles = given.tensors(), given.tensors(torch.float64)
    background = torch.randn(1, channels, generator=generator(3)).requires_grad_()
    behind = background.detach().double()[0].requires_grad_()
    image = draw(given, singles, backgrounds=background, render_mode="RGB+D")[0][0]
    expected = refer(given, doubles, behind)
    wanted = torch.cat([expected.image, expected.depth[..., None]], dim=-1)
    by = weights_like(wanted, ~expected.doubtful, seed=4)
    torch.autograd.backward((wanted * by).sum())
    torch.autograd.backward((image * by.float()).sum())
    for single, double, label in zip(singles, doubles, NAMES, strict=True):
        assert_close(single.grad, double.grad, label)
    assert_close(
        background.grad, None if behind.grad is None else behind.grad[None], "background"
    )


def test_cameras_are_drawn_one_by_one_and_their_gradients_summed() -> None:
    """With colours of their own for each camera, too."""
    given = case(60, sh_degree=None, seed=22)
    poses, intrinsics = _two_cameras()

    def leaves() -> tuple[Tensor, ...]:
        colors = torch.rand(2, 60, 3, generator=generator(5)).requires_grad_()
        return *given.tensors()[:4], colors

    means, quats, scales, opacities, colors = together = leaves()
    both, alphas, meta = rasterization(
        means, quats, scales, opacities, colors, poses, intrinsics, 32, 20
    )
    assert both.shape == (2, 20, 32, 3)
    assert alphas.shape == (2, 20, 32, 1)
    assert meta["drawn"].shape == meta["depths"].shape == (2, 60)
    factors = torch.tensor([1.0, -2.0])
    torch.autograd.backward((factors[:, None, None, None] * both.square()).sum())

    means, quats, scales, opacities, colors = apart = leaves()
    for c in range(2):
        pose, lens = poses[c : c + 1], intrinsics[:1]
        single, *_ = rasterization(
            means, quats, scales, opacities, colors[c], pose, lens, 32, 20
        )
        assert torch.equal(single[0], both[c])
        torch.autograd.backward((factors[c] * single.square()).sum())
    for found, wanted in zip(together, apart, strict=True):
        assert found.grad is not None
        assert wanted.grad is not None
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-5, atol=1e-4)


def _two_cameras() -> tuple[Tensor, Tensor]:
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[:, 2, 3] = torch.tensor([3.0, 4.0])
    poses[1, 0, 3] = 0.5
    return poses, torch.tensor([[30.0, 0, 16], [0, 30, 10], [0, 0, 1]]).repeat(2, 1, 1)


def test_what_is_told_besides() -> None:
    """Depths and centres of the Gaussians that are drawn, 0 for the others."""
    given = CASES["at the near plane"]
    meta = draw(given, given.tensors())[2]
    drawn, depths, centres = (meta[k][0].numpy() for k in ("drawn", "depths", "means2d"))
    z = given.arrays["means"][:, 2]
    assert set(z[drawn]) == {np.float32(v) for v in (0.25, 0.26, 1.5)}
    np.testing.assert_array_equal(depths, np.where(drawn, z, 0))
    x, y, z = given.arrays["means"][drawn].T
    camera = given.camera
    projected = np.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], axis=1)
    np.testing.assert_allclose(centres[drawn], projected, rtol=1e-5)
    assert not centres[~drawn].any()


@pytest.mark.parametrize("kind", ["none at all", "all behind", "all faint"])
def test_nothing_to_draw(kind: str) -> None:
    """The background, and gradients that are zero."""
    given = case(0 if kind == "none at all" else 30, seed=23)
    if kind == "all behind":
        given = given.changed(means=given.arrays["means"] - (0, 0, 100))
    if kind == "all faint":
        given = given.changed(opacities=np.full(30, 0.9 / 255))
    tensors = given.tensors()
    image, alpha, meta = draw(given, tensors, render_mode="RGB+ED")
    assert torch.equal(image[0, 0, 0], torch.tensor([*given.background, 0.0]))
    assert (image == image[0, 0, 0]).all()
    assert not alpha.any()
    assert not meta["drawn"].any()
    torch.autograd.backward(image.sum() + alpha.sum())
    for tensor in tensors:
        assert tensor.grad is not None
        assert not tensor.grad.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("sh_degree", [3, None])
def test_values_that_are_no_numbers(name: str, value: float, sh_degree: int | None) -> None:
    """Never a crash; what is not finite is not drawn, and nothing else changes."""
    given = CASES["SH 3"]
    if sh_degree is None:
        given = replace(CASES["colours"], camera=look(20, 20))
    hit = np.arange(0, 120, 7)
    values = given.arrays[name].copy()
    values.reshape(120, -1)[hit, -1] = value
    picture = splat.rasterize(given.changed(**{name: values}).gaussians(), given.camera)
    gradients = picture.backward(
        np.ones_like(picture.image), np.ones_like(picture.transmittance)
    )
    if np.isfinite(value) or (name == "opacities" and value > 0):
        return
    kept = np.delete(np.arange(120), hit)
    rest = given.changed(**{n: a[kept] for n, a in given.arrays.items()})
    alone = splat.rasterize(rest.gaussians(), given.camera)
    np.testing.assert_array_equal(picture.image, alone.image)
    assert not picture.drawn[hit].any()
    assert all(np.isfinite(g).all() for g in gradients)
    assert not any(g[hit].any() for g in gradients)


def test_extreme_values_that_are_numbers() -> None:
    """Quaternions of any length mean the same; 0 turns nothing; more than opaque is opaque."""
    given = case(40, seed=24)
    quats = given.arrays["quats"].astype(np.float64)
    quats /= np.abs(quats).max(axis=1, keepdims=True)
    wanted = splat.rasterize(given.changed(quats=quats).gaussians(), given.camera).image
    for length in (1e-30, 1e30):
        other = given.changed(quats=quats * length)
        found = splat.rasterize(other.gaussians(), given.camera).image
        np.testing.assert_allclose(found, wanted, atol=1e-4)

    unturned = given.changed(quats=np.tile([1, 0, 0, 0], (40, 1)))
    zero = splat.rasterize(given.changed(quats=np.zeros((40, 4))).gaussians(), given.camera)
    plain = splat.rasterize(unturned.gaussians(), given.camera)
    np.testing.assert_array_equal(zero.image, plain.image)
    assert not zero.backward(np.ones_like(zero.image))[1].any()

    full = splat.rasterize(given.changed(opacities=np.ones(40)).gaussians(), given.camera)
    more = splat.rasterize(given.changed(opacities=np.full(40, 7)).gaussians(), given.camera)
    np.testing.assert_array_equal(full.image, more.image)
    assert not more.backward(np.ones_like(more.image))[3].any()


def test_the_widest_gaussians() -> None:
    """A Gaussian that is far wider than the picture is one flat alpha everywhere."""
    for scale in (1e4, 1e9, 1e15):
        one = Case(
            {
                "means": np.array([[0, 0, 2]], np.float32),
                "quats": np.array([[1, 0.2, 0.1, 0]], np.float32),
                "scales": np.full((1, 3), scale, np.float32),
                "opacities": np.array([0.5], np.float32),
                "colors": np.ones((1, 1, 3), np.float32),
            },
            straight(100, 80),
            sh_degree=None,
        )
        picture = splat.rasterize(one.gaussians(), one.camera)
        np.testing.assert_allclose(picture.transmittance, 0.5, atol=1e-4)


@pytest.mark.skipif(numba.get_num_threads() < 2, reason="numba has one thread only")
@pytest.mark.parametrize("antialiased", [False, True])
def test_threads_change_no_bit(*, antialiased: bool) -> None:
    """Picture and all gradients, with one thread and two, and from run to run."""
    rng = np.random.default_rng(25)
    given = case(
        8000,
        seed=25,
        camera=look(160, 120),
        conventions=replace(GSPLAT, antialiased=antialiased),
    )
    by_image = rng.normal(size=(120, 160, 3)).astype(np.float32)
    by_alpha = rng.normal(size=(120, 160)).astype(np.float32)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2, 2, 1):
            numba.set_num_threads(threads)
            picture = splat.rasterize(
                given.gaussians(), given.camera, (0, 0, 0), given.conventions
            )
            gradients = picture.backward(by_image, by_alpha)
            arrays = (picture.image, picture.transmittance, picture.weights(), *gradients)
            results.append([a.tobytes() for a in arrays])
    finally:
        numba.set_num_threads(before)
    assert all(r == results[0] for r in results)


def test_gradients_are_the_slope_of_the_loss() -> None:
    """Central differences, where all is smooth: every Gaussian covers the whole picture."""
    given = case(
        5,
        seed=26,
        camera=look(8, 6, distance=4.0),
        means=lambda rng, n: rng.normal(0, 0.2, (n, 3)),
        scales=lambda rng, n: np.exp(rng.normal(1, 0.2, (n, 3))),
        opacities=lambda rng, n: rng.uniform(0.3, 0.6, n),
    )
    by = torch.randn(6, 8, 4, generator=generator(6))

    def loss(tensors: tuple[Tensor, ...]) -> Tensor:
        image, alpha, _ = draw(given, tensors)
        return (torch.cat([image[0], alpha[0]], dim=-1) * by).sum()

    tensors = given.tensors()
    torch.autograd.backward(loss(tensors))
    for k, name in enumerate(NAMES):
        gradient = tensors[k].grad
        assert gradient is not None
        step = 0.01 * gradient / gradient.norm()
        ends = []
        for sign in (1, -1):
            moved = [t.detach() for t in tensors]
            moved[k] = moved[k] + sign * step
            ends.append(float(loss(tuple(moved))))
        slope = (ends[0] - ends[1]) / 0.02
        assert slope == pytest.approx(float(gradient.norm()), rel=3e-3), name


def test_a_short_fit_lowers_the_loss() -> None:
    """Twenty steps from a disturbed start halve the distance to the picture."""
    given = case(60, seed=27, camera=look(32, 32))
    target = draw(given, given.tensors())[0].detach()
    noise = generator(7)
    start = [
        t.detach() * (1 + 0.1 * torch.randn(t.shape, generator=noise)) for t in given.tensors()
    ]
    start[3] = start[3].clamp(0.01, 0.99).logit()
    parameters = [t.requires_grad_() for t in start]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    for _ in range(20):
        means, quats, scales, logits, colors = parameters
        tensors = (means, quats, scales, logits.sigmoid(), colors)
        difference = (draw(given, tensors)[0] - target).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(difference)
        optimizer.step()
        losses.append(float(difference.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_weights_are_shares_of_the_picture() -> None:
    """They sum to the alphas; a Gaussian in front of all others has all of its own alpha."""
    given = CASES["first 3DGS code"]
    picture = splat.rasterize(given.gaussians(), given.camera, conventions=INRIA)
    weights = picture.weights()
    assert weights.sum() == pytest.approx((1 - picture.transmittance).sum(), rel=1e-5)
    assert not weights[~picture.drawn].any()

    scene = make_scene(100, seed=1)
    camera = look(40, 30, distance=5.0)
    by_scene = blend_weights(scene, camera)
    alone = splat.rasterize(activate(scene), camera, conventions=INRIA)
    np.testing.assert_array_equal(by_scene, alone.weights())


def test_scenes_are_rendered_as_the_first_3dgs_code_does() -> None:
    """Activations included, and arrays that cannot be written are accepted."""
    scene = make_scene(100, degree=2, seed=2)
    for array in scene.attributes().values():
        array.flags.writeable = False
    camera = look(40, 30, distance=5.0)
    found = render(scene, camera, (0.2, 0.5, 0.1))
    assert found.dtype == np.float32
    double = {n: torch.from_numpy(a.astype(np.float64)) for n, a in scene.attributes().items()}
    tensors = (
        double["means"],
        double["quats"],
        double["log_scales"].exp(),
        double["opacity_logits"].sigmoid(),
        torch.cat([double["sh_dc"][:, None], double["sh_rest"]], dim=1),
    )
    behind = torch.tensor([0.2, 0.5, 0.1], dtype=torch.float64)
    expected = reference_raster.draw(tensors, 2, camera, INRIA, behind)
    used = ~expected.doubtful.numpy()
    assert np.abs(found - expected.image.numpy())[used].max() < 1e-4


def test_gradients_can_be_added_to_what_is_there() -> None:
    given = CASES["colours"]
    picture = splat.rasterize(given.gaussians(), given.camera)
    by_image = np.ones_like(picture.image)
    once = picture.backward(by_image)
    into = tuple(np.ones_like(a) for a in once)
    assert picture.backward(by_image, into=into) is into
    for found, alone in zip(into, once, strict=True):
        np.testing.assert_allclose(found, alone + 1, rtol=1e-5, atol=1e-5)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaussians that cover too many tiles are refused before lists are made."""
    monkeypatch.setattr(splat, "MAX_PAIRS", 1000)
    given = CASES["huge"]
    big = replace(given.camera, width=1600, height=1600)
    with pytest.raises(SceneError, match=r"1600 x 1600 pixels: .* at most 1,000"):
        splat.rasterize(given.gaussians(), big)
    assert splat.rasterize(given.gaussians(), given.camera).drawn.any()


def test_kernels_need_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing numba is the user's to install; trouble with caches is not: test_kernel_cache."""
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("kernels", "compiled"):
        monkeypatch.delitem(sys.modules, f"gscodec.render.{module}")
    importlib.import_module("gscodec.render.kernels")
    kernel = importlib.import_module("gscodec.render.compiled").compiled()(abs)
    with pytest.raises(UsageError, match=r"numba; pip install 'gscodec\[render\]'"):
        kernel(1)


def test_tensors_changed_before_backward_are_noticed() -> None:
    given = CASES["SH 0"]
    tensors = given.tensors()
    loss = draw(given, tensors)[0].sum()
    with torch.no_grad():
        tensors[2].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(loss)


def test_pictures_may_be_changed_in_place() -> None:
    """Backward does not look at the result that was handed out."""
    given = CASES["SH 0"]
    gradients = []
    for clear in (False, True):
        tensors = given.tensors()
        image = draw(given, tensors)[0]
        loss = (3 * image).sum()
        if clear:
            image.detach().zero_()
        torch.autograd.backward(loss)
        gradients.append(tensors[0].grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert torch.equal(gradients[0], gradients[1])


def test_second_derivatives_are_refused() -> None:
    given = CASES["SH 0"]
    tensors = given.tensors()
    image = draw(given, tensors)[0]
    (first,) = torch.autograd.grad(image.square().sum(), tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(first.sum())


def test_only_what_is_asked_for_has_gradients() -> None:
    given = CASES["SH 0"]
    tensors = [t.detach() for t in given.tensors()]
    tensors[1].requires_grad_()
    torch.autograd.backward(draw(given, tuple(tensors))[0].sum())
    assert [t.grad is not None for t in tensors] == [False, True, False, False, False]
    with torch.no_grad():
        assert not draw(given, given.tensors())[0].requires_grad


def test_arguments_are_those_of_gsplat() -> None:
    """Names, order and defaults of gsplat 1.5.3, as far as there is a choice by position."""
    found = inspect.signature(rasterization).parameters
    positional = {n: p.default for n, p in found.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    names = (*NAMES, "viewmats", "Ks", "width", "height")
    assert list(positional.items()) == [
        *((n, inspect.Parameter.empty) for n in names),
        ("near_plane", 0.01),
        ("far_plane", 1e10),
        ("radius_clip", 0.0),
        ("eps2d", 0.3),
        ("sh_degree", None),
        ("packed", True),
        ("tile_size", 16),
        ("backgrounds", None),
        ("render_mode", "RGB"),
    ]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"render_mode": "RGBD"}, "render_mode: found 'RGBD', expected RGB or D or"),
    "rasterize_mode": ({"rasterize_mode": "mip"}, "rasterize_mode: found 'mip'"),
    "camera": ({"camera_model": "fisheye"}, "camera_model: found 'fisheye', expected pinhole"),
    "backend": ({"backend": "taichi"}, "backend: found 'taichi'"),
    "degree": ({"sh_degree": 4}, "sh_degree: found 4"),
    "too few coefficients": ({"sh_degree": 3, "colors": (10, 4, 3)}, r"colors: found .*16, 3"),
    "flat SH": ({"sh_degree": 0, "colors": (10, 3)}, r"colors: found .*\(10, 3\)"),
    "colours": ({"colors": (9, 3)}, r"colors: found .*\(9, 3\), expected .*\(10, 3\)"),
    "cameras of colours": ({"colors": (2, 10, 3)}, r"colors: found .*expected .*\(1, 10, 3\)"),
    "no channels": ({"colors": (10, 0)}, "colors: found"),
    "means": ({"means": (10, 2)}, r"means: found torch.float32 \(10, 2\)"),
    "quats": ({"quats": (9, 4)}, "quats: found"),
    "scales": ({"scales": (10,)}, "scales: found"),
    "opacities": ({"opacities": (10, 1)}, "opacities: found"),
    "no camera": ({"viewmats": (0, 4, 4), "Ks": (0, 3, 3)}, "viewmats: found"),
    "unequal cameras": ({"Ks": (2, 3, 3)}, "Ks: found"),
    "background": ({"backgrounds": (1, 4)}, r"backgrounds: found .*\(1, 4\), expected"),
    "tile": ({"tile_size": 8}, "found tile_size 8, expected 16"),
    "cap": ({"max_alpha": 1.0}, "max_alpha: found 1.0"),
    "size": ({"width": 0}, "camera: found 0 x 20 pixels"),
}


def arguments(**changes: Any) -> dict[str, Any]:
    """Ten Gaussians and a camera; tuples stand for tensors of that shape."""
    shapes = {"means": (10, 3), "quats": (10, 4), "scales": (10, 3), "opacities": (10,)}
    given: dict[str, Any] = {
        **shapes,
        "colors": (10, 3),
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor([[[30.0, 0, 16], [0, 30, 10], [0, 0, 1]]]),
        "width": 32,
        "height": 20,
        **changes,
    }
    return {n: torch.zeros(v) if isinstance(v, tuple) else v for n, v in given.items()}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_by_name(name: str) -> None:
    changes, message = WRONG[name]
    with pytest.raises(GscodecError, match=message):
        rasterization(**arguments(**changes))


def test_wrong_tensors_are_refused() -> None:
    """Other types, other devices, cameras to learn, skew, cameras that are none."""
    rasterization(**arguments())
    double = torch.zeros(10, 4, dtype=torch.float64)
    with pytest.raises(UsageError, match=r"quats: found torch\.float64"):
        rasterization(**arguments(quats=double))
    with pytest.raises(UsageError, match="found a tensor on meta, expected all on the CPU"):
        rasterization(**arguments(scales=torch.zeros(10, 3, device="meta")))
    given = arguments()
    with pytest.raises(UsageError, match="viewmats and Ks have no gradients"):
        rasterization(**given | {"viewmats": torch.eye(4)[None].requires_grad_()})
    skewed = given["Ks"].clone()
    skewed[0, 0, 1] = 0.5
    with pytest.raises(UsageError, match=r"Ks: found skew 0\.5"):
        rasterization(**given | {"Ks": skewed})
    with pytest.raises(SceneError, match="no rotation"):
        rasterization(**given | {"viewmats": 2 * torch.eye(4)[None]})


def test_gsplat_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, of another release, with a cap that it lacks, or given CPU tensors."""
    given = arguments(backend="gsplat")
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(UsageError, match=r"pip install 'gscodec\[gpu\]'"):
        rasterization(**given)
    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace(__version__="1.6.0"))
    with pytest.raises(UsageError, match=r"gsplat: found 1.6.0, expected 1.5.3"):
        rasterization(**given)
    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace(__version__="1.5.3"))
    with pytest.raises(UsageError, match=r"found max_alpha 0.99, expected 0.999"):
        rasterization(**given, max_alpha=0.99)
    with pytest.raises(UsageError, match="found means on cpu, expected on cuda"):
        rasterization(**given)


@pytest.mark.parametrize("mode", ["RGB", "RGB+D", "RGB+ED", "D"])
def test_backgrounds_are_blended_behind_what_gsplat_draws(
    monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    """Packed, its release takes none: here it is played by the kernels, without backgrounds."""

    class OnCuda(torch.Tensor):
        is_cuda = True

    def gsplat(means: Tensor, *others: Any, packed: bool, **options: Any) -> Any:
        assert packed
        assert options.get("backgrounds") is None
        plain = means.as_subclass(torch.Tensor)
        image, alphas, _ = rasterization(plain, *others, **options, backend="numba")
        nothing = torch.zeros(0, dtype=torch.int64)
        return image, alphas, {"camera_ids": nothing, "gaussian_ids": nothing}

    played = SimpleNamespace(__version__="1.5.3", rasterization=gsplat)
    monkeypatch.setitem(sys.modules, "gsplat", played)
    given = CASES["SH 3"]
    singles = given.tensors()
    wanted = draw(given, singles, render_mode=mode)
    means = singles[0].detach().as_subclass(OnCuda)
    found = draw(given, (means, *singles[1:]), render_mode=mode, backend="gsplat")
    assert torch.allclose(found[0].as_subclass(torch.Tensor), wanted[0], atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["SH 3", "colours", "opaque", "antialiased", "17 x 31"])
def test_gsplat_draws_the_same(name: str) -> None:
    """Pictures and gradients, CPU against GPU; gsplat is built with fast, less exact maths."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("gsplat", reason="gsplat is not installed")
    given = CASES[name]
    used = ~refer(given, given.tensors(torch.float64)).doubtful
    results = []
    for device in ("cpu", "cuda"):
        tensors = tuple(t.detach().to(device).requires_grad_() for t in given.tensors())
        image, alpha, meta = draw(given, tensors, render_mode="RGB+D")
        values = torch.cat([image[0], alpha[0]], dim=-1)
        by = weights_like(values, used.to("cpu"), seed=8).float().to(device)
        torch.autograd.backward((values * by).sum())
        gradients = [t.grad for t in tensors]
        results.append([values.detach()[used.to(device)], *gradients, meta["drawn"]])
    cpu, gpu = results
    assert (cpu[0] - gpu[0].cpu()).abs().max() < 1e-3
    for single, other in zip(cpu[1:-1], gpu[1:-1], strict=True):
        assert (single - other.cpu()).norm() < 1e-3 * single.norm()
    assert (gpu[-1].cpu() >= cpu[-1]).all()
