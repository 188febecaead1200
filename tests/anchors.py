"""Small anchor scenes for tests: random ones that look trained, of every kind of checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import (
    BANK_INPUTS,
    BANK_OUTPUTS,
    COLORS,
    COVARIANCES,
    OPACITIES,
    SCALINGS,
    AnchorScene,
    Perceptron,
    RenderingNetworks,
    Storage,
)
from gscodec.camera import Camera, TargetViews

if TYPE_CHECKING:
    from numpy.typing import NDArray

CFG_ARGS = "Namespace(feat_dim=8, n_offsets=3, voxel_size=0.01, use_feat_bank=False)"


def make_anchor_scene(
    n: int = 100,
    features: int = 8,
    offsets: int = 3,
    *,
    seed: int = 0,
    distance: bool = False,
    bank: bool = False,
    appearance: int = 0,
    masked: bool = False,
    storage: Storage = Storage.TORCHSCRIPT,
) -> AnchorScene:
    """A scene of ``n`` anchors on a voxel grid, in clusters in a box of some units.

    Args:
        n: Number of anchors.
        features: F; a multiple of 4 where there is a bank.
        offsets: K.
        seed: Of the random numbers.
        distance: Whether the networks take the distance to the camera.
        bank: Whether there is a feature bank.
        appearance: Width of the embedding of 5 cameras, 0 for none.
        masked: Whether about a quarter of the offsets are masked, as HAC leaves them.
        storage: What it says of its networks.
    """
    rng = np.random.default_rng(seed)
    inputs = features + 3 + distance
    return AnchorScene(
        anchors=_anchors(rng, n),
        features=_f32(rng.normal(0, 0.5, (n, features))),
        log_scalings=_f32(rng.normal(-3, 0.5, (n, SCALINGS))),
        offsets=_f32(rng.normal(0, 1, (n, offsets, 3))),
        masks=rng.random((n, offsets)) > 0.25 if masked else None,
        networks=RenderingNetworks(
            opacity=_network(rng, inputs, features, OPACITIES * offsets),
            covariance=_network(rng, inputs, features, COVARIANCES * offsets),
            color=_network(rng, inputs + appearance, features, COLORS * offsets),
            feature_bank=_network(rng, BANK_INPUTS, features, BANK_OUTPUTS) if bank else None,
            appearance=_f32(rng.normal(0, 1, (5, appearance))) if appearance else None,
        ),
        storage=storage,
        description=CFG_ARGS,
        iteration=30_000,
    )


def small_views() -> TargetViews:
    """Three cameras around the scenes, of few pixels: an encoder looks at them in no time."""
    return TargetViews(tuple(_camera(angle) for angle in (0.0, 2.1, 4.2)))


def _camera(angle: float) -> Camera:
    c, s = np.cos(angle), np.sin(angle)
    view = np.eye(4)
    view[:3, :3] = [[c, 0, -s], [0, 1, 0], [s, 0, c]]
    view[:3, 3] = (0, 0, 6)
    return Camera(40, 40, 36.0, 36.0, 20.0, 20.0, view)


def _anchors(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    centres = rng.uniform(-2, 2, (8, 3))
    points = centres[rng.integers(0, 8, n)] + rng.normal(0, 0.2, (n, 3)) * np.array([1, 1, 0.1])
    return _f32(np.rint(points / 0.01) * 0.01)


def _network(rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> Perceptron:
    """Weights that keep outputs of about unit size, of either sign."""
    return Perceptron(
        hidden_weight=_f32(rng.normal(0, (2 / inputs) ** 0.5, (hidden, inputs))),
        hidden_bias=_f32(rng.normal(0, 0.1, hidden)),
        out_weight=_f32(rng.normal(0, (2 / hidden) ** 0.5, (outputs, hidden))),
        out_bias=_f32(rng.normal(0, 0.1, outputs)),
    )


def _f32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
