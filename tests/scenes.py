"""Small scenes for tests: random ones that look trained, and the hard cases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.scene import ExtraProperty, GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_scene(n: int = 100, degree: int = 3, seed: int = 0) -> GaussianScene:
    """A scene of ``n`` Gaussians around a few surfaces, with values as training leaves them.

    Positions form clusters in a box of some units, quaternions are not unit length, and the
    higher a colour coefficient the smaller it is.
    """
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-2, 2, (8, 3))
    spread = rng.normal(0, 0.2, (n, 3)) * np.array([1.0, 1.0, 0.1])
    k = sh_rest_count(degree)
    fade = 0.15 / (1 + np.arange(k))[:, None]
    return GaussianScene(
        means=_f32(centres[rng.integers(0, 8, n)] + spread),
        opacity_logits=_f32(rng.normal(1, 2.5, n)),
        log_scales=_f32(rng.normal(-4.5, 0.8, (n, 3))),
        quats=_f32(rng.normal(0, 1, (n, 4)) + np.array([1.0, 0.0, 0.0, 0.0])),
        sh_dc=_f32(rng.normal(0, 1, (n, 3))),
        sh_rest=_f32(rng.normal(0, 1, (n, k, 3)) * fade),
        has_normals=True,
    )


def hard_scenes() -> dict[str, GaussianScene]:
    """Scenes that break codecs, by what is hard about them. All values are finite."""
    base = make_scene(50, 1, seed=1)
    line = np.linspace(-1, 1, 50, dtype=np.float32)
    plane = base.means * np.array([1, 0, 1], dtype=np.float32)
    far = base.means.copy()
    far[7] = (1e6, -3e5, 2e4)
    extras = (
        ExtraProperty("label", np.arange(50, dtype=np.uint8)),
        ExtraProperty("time", np.linspace(0, 1, 50) ** 3),
    )
    return {
        "empty": make_scene(0, 3),
        "empty, no colour rest": make_scene(0, 0),
        "one Gaussian": make_scene(1, 3),
        "two Gaussians": make_scene(2, 0),
        "prime count": make_scene(997, 2),
        "no normals": replace(base, has_normals=False),
        "all in one place": replace(base, means=np.full_like(base.means, 3.25)),
        "pairs of duplicates": base.take(np.arange(50) // 2),
        "on a line": replace(base, means=np.stack([line, line, line], axis=1)),
        "in a plane": replace(base, means=plane),
        "far outlier": replace(base, means=far),
        "huge and tiny": _with_every_value(base, 3e38, -3e38, 1e-45, -1e-45, 1e-38, 1.0, -0.0),
        "all zero": _with_every_value(base, 0.0),
        "negative zeros": _with_every_value(base, -0.0),
        "extra properties": replace(base, extras=extras),
    }


def scaled(scene: GaussianScene, size: float) -> GaussianScene:
    """``scene`` in other units: ``size`` times as large."""
    return replace(
        scene,
        means=scene.means * np.float32(size),
        log_scales=scene.log_scales + np.float32(np.log(size)),
    )


def _with_every_value(scene: GaussianScene, *values: float) -> GaussianScene:
    """``scene`` with each array filled by ``values`` over and over."""
    pattern = np.array(values, dtype=np.float32)
    arrays = {n: np.resize(pattern, a.shape) for n, a in scene.attributes().items()}
    return GaussianScene(
        **arrays,
        extras=scene.extras,
        has_normals=scene.has_normals,
        antialiased=scene.antialiased,
        origin=scene.origin,
    )


def _f32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def gaussians(scene: object) -> GaussianScene:
    """``scene``, of which a test knows that it is no scene of anchors."""
    assert isinstance(scene, GaussianScene)
    return scene


def silent(stage: str, share: float, detail: str = "", /) -> None:
    """A progress that nobody watches."""
