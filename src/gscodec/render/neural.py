"""Anchors and a camera -> the Gaussians that this camera sees (Scaffold-GS, section 3.2).

Every camera gets Gaussians of its own: their colour, opacity, shape and number change with the
direction. Anchors outside of the picture make none (the "prefilter" of the reference); anchors
are taken some thousand at a time, so memory is bounded by what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.errors import UsageError
from gscodec.render.perceptron import evaluate
from gscodec.render.splat import Gaussians
from gscodec.scene import GaussianScene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera

    Array = NDArray[np.float32]

_BLOCK = 16_384  # anchors whose networks are evaluated at once
_TILE = 16  # pixels along an edge; what reaches no tile of the picture is not seen
_LOW_PASS = 0.3  # pixels squared, as renderers add to projected covariances
_LEAST_SPREAD = 0.1  # floor under the discriminant of a covariance, as in the first 3DGS code
_SIDE = 1.3  # half-widths of the picture; beyond, anchors are projected as if they were there
_NOT_ZERO = 1e-12
_MOST_OPAQUE = 1 - 1e-6


@dataclass(frozen=True)
class NeuralGaussians:
    """What one camera sees of an anchor scene.

    Attributes:
        gaussians: M of them, ordered by anchor, then by offset.
        index: (M,) int64, anchor * K + offset of each.
    """

    gaussians: Gaussians
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Responses:
    """What the networks say of all offsets of some anchors, seen from one place.

    Attributes:
        opacities: (N, K) -1 to 1; what is not above 0 is not there.
        covariances: (N, K, 7) logits of scales, then quaternions w, x, y, z.
        colors: (N, K, 3) logits.
    """

    opacities: Array
    covariances: Array
    colors: Array


def neural_gaussians(
    scene: AnchorScene, camera: Camera, near: float, *, appearance: int = 0
) -> Gaussians:
    """The Gaussians that ``camera`` sees; arguments and errors as `generate`."""
    return generate(scene, camera, near, appearance=appearance).gaussians


def generate(
    scene: AnchorScene, camera: Camera, near: float, *, appearance: int = 0
) -> NeuralGaussians:
    """The Gaussians that ``camera`` sees, and which offsets they belong to.

    Args:
        scene: Of finite values.
        camera: From where directions and distances are taken.
        near: Nearer anchors make none, scene units along the view axis.
        appearance: Row of the embedding, where the scene has one.

    Raises:
        UsageError: There is no such row.
    """
    centre = camera.centre.astype(np.float32)
    parts, index = [_nothing()], [np.zeros(0, np.int64)]
    for rows in _blocks(np.flatnonzero(in_picture(scene, camera, near))):
        responses = respond(scene, rows, centre, appearance=appearance)
        owner, offset = np.nonzero(responses.opacities > 0)
        index.append(rows[owner] * scene.offset_count + offset)
        parts.append(gaussians_of(scene, rows, responses, owner, offset))
    arrays = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    means, quats, scales, opacities, colors = arrays
    gaussians = Gaussians(means, quats, scales, opacities, colors[:, None], None)
    return NeuralGaussians(gaussians, np.concatenate(index))


def respond(
    scene: AnchorScene, rows: NDArray[np.int64], centre: Array, *, appearance: int = 0
) -> Responses:
    """Evaluates the networks at anchors ``rows`` for a camera at ``centre`` (3,).

    Raises:
        UsageError: ``appearance`` is no row of the embedding.
    """
    networks, shape = scene.networks, (len(rows), scene.offset_count)
    towards = scene.anchors[rows] - centre
    with np.errstate(over="ignore"):  # of what is too far to be seen
        distance = np.linalg.norm(towards, axis=1, keepdims=True)
    view = np.concatenate([towards / np.maximum(distance, _NOT_ZERO), distance], axis=1)
    features = scene.features[rows]
    if networks.feature_bank is not None:
        features = _mixed(features, _softmax(evaluate(networks.feature_bank, view)))
    # The distance comes last, for networks that do not take it.
    inputs = np.concatenate([features, view], axis=1)
    opacities = np.tanh(evaluate(networks.opacity, inputs[:, : networks.opacity.inputs]))
    covariances = evaluate(networks.covariance, inputs[:, : networks.covariance.inputs])
    look = np.tile(_look(networks.appearance, appearance), (len(rows), 1))
    shown = inputs[:, : networks.color.inputs - look.shape[1]]
    colors = evaluate(networks.color, np.concatenate([shown, look], axis=1))
    if scene.masks is not None:
        opacities *= scene.masks[rows]
    return Responses(opacities, covariances.reshape(*shape, 7), colors.reshape(*shape, 3))


def gaussians_of(
    scene: AnchorScene,
    rows: NDArray[np.int64],
    responses: Responses,
    owner: NDArray[np.int64],
    offset: NDArray[np.int64],
) -> tuple[Array, Array, Array, Array, Array]:
    """Means, quats, scales, opacities, colours of offsets ``offset`` of ``rows[owner]``.

    Of scales beyond float32 they are infinite or NaN, which nobody draws.
    """
    anchor = rows[owner]
    covariances = responses.covariances[owner, offset]
    quats = covariances[:, 3:]
    with np.errstate(over="ignore", invalid="ignore"):
        scalings = np.exp(scene.log_scalings[anchor])
        length = np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), _NOT_ZERO)
        return (
            scene.anchors[anchor] + scene.offsets[anchor, offset] * scalings[:, :3],
            quats / length,
            scalings[:, 3:] * _sigmoid(covariances[:, :3]),
            responses.opacities[owner, offset],
            _sigmoid(responses.colors[owner, offset]),
        )


def in_picture(scene: AnchorScene, camera: Camera, near: float) -> NDArray[np.bool_]:
    """(N,) whether the tiles of an anchor, drawn as a Gaussian of its offsets' scale, are seen.

    Those nearer than ``near``, scene units along the view axis, are not.
    """
    result = np.zeros(len(scene), np.bool_)
    for rows in _blocks(np.arange(len(scene))):
        log_scales = scene.log_scalings[rows, :3]
        result[rows] = _touching(scene.anchors[rows], log_scales, camera, near)
    return result


def stand_in(scene: AnchorScene) -> GaussianScene:
    """About what ``scene`` looks like to all cameras: for choosing them, not for looking at.

    Each offset as it is seen from the one of six sides from which it is most opaque.
    """
    sides = _sides(scene.anchors)
    parts = [_nothing()]
    for rows in _blocks(np.arange(len(scene))):
        seen = [respond(scene, rows, side) for side in sides]
        opacities = np.stack([s.opacities for s in seen])
        best, most = opacities.argmax(axis=0), opacities.max(axis=0)
        for number, responses in enumerate(seen):
            owner, offset = np.nonzero((best == number) & (most > 0))
            parts.append(gaussians_of(scene, rows, responses, owner, offset))
    arrays = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    means, quats, scales, opacities, colors = arrays
    opacities = np.minimum(opacities, np.float32(_MOST_OPAQUE))
    return GaussianScene(
        means=means,
        opacity_logits=np.log(opacities / (1 - opacities)),
        log_scales=np.log(np.maximum(scales, np.finfo(np.float32).tiny)),
        quats=quats,
        sh_dc=(colors - np.float32(0.5)) / np.float32(SH_CONSTANT),
        sh_rest=np.zeros((len(means), 0, 3), np.float32),
    )


def _sides(anchors: Array) -> Array:
    """(6, 3) places around ``anchors``, outside of nearly all of them."""
    if not len(anchors):
        return np.zeros((6, 3), np.float32)
    low, centre, high = np.quantile(anchors.astype(np.float64), (0.05, 0.5, 0.95), axis=0)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    result: Array = (centre + axes * np.linalg.norm(high - low)).astype(np.float32)
    return result


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _nothing() -> tuple[Array, Array, Array, Array, Array]:
    """As `gaussians_of`, of no offset."""
    few = np.zeros((0, 3), np.float32)
    return few, np.zeros((0, 4), np.float32), few, few[:, 0], few


def _mixed(features: Array, weights: Array) -> Array:
    """Features of three resolutions, the coarser ones repeated end to end, by ``weights`` (N, 3)."""
    quarter, half = np.tile(features[:, ::4], 4), np.tile(features[:, ::2], 2)
    result: Array = (
        quarter * weights[:, :1] + half * weights[:, 1:2] + features * weights[:, 2:]
    )
    return result


def _look(embedding: Array | None, row: int) -> Array:
    """The appearance of one camera, (A,)."""
    if embedding is None:
        return np.zeros(0, np.float32)
    if not 0 <= row < len(embedding):
        raise UsageError(f"appearance: found {row}, expected 0 to {len(embedding) - 1}")
    result: Array = embedding[row]
    return result


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def _sigmoid(logits: Array) -> Array:
    with np.errstate(over="ignore"):
        result: Array = np.reciprocal(1 + np.exp(-logits))
    return result


def _touching(
    anchors: Array, log_scales: Array, camera: Camera, near: float
) -> NDArray[np.bool_]:
    """The box of three deviations around each anchor, in whole tiles, against the picture.

    As the reference has it, though anchors are never turned (Scaffold-GS stores 1, 0, 0, 0).
    """
    view = camera.world_to_camera.astype(np.float32)
    turn, fx, fy = view[:3, :3], np.float32(camera.fx), np.float32(camera.fy)
    with np.errstate(over="ignore", invalid="ignore"):
        x, y, z = (anchors @ turn.T + view[:3, 3]).T
        before = z > np.float32(near)
        z = np.where(before, z, np.float32(1))
        across = np.clip(x / z, *_limits(camera.width, camera.fx))
        down = np.clip(y / z, *_limits(camera.height, camera.fy))
        scales = np.exp(log_scales)
        u = (fx / z)[:, None] * (turn[0] - across[:, None] * turn[2]) * scales
        v = (fy / z)[:, None] * (turn[1] - down[:, None] * turn[2]) * scales
        a, c = (u * u).sum(axis=1) + _LOW_PASS, (v * v).sum(axis=1) + _LOW_PASS
        b = (u * v).sum(axis=1)
        area, middle = a * c - b * b, (a + c) / 2
        spread = np.sqrt(np.maximum(_LEAST_SPREAD, middle * middle - area))
        radius = np.ceil(3 * np.sqrt(middle + spread))
        # Pixel centres count as whole numbers here.
        left = fx * x / z + np.float32(camera.cx - 0.5)
        top = fy * y / z + np.float32(camera.cy - 0.5)
        reached = _tiles(left, radius, camera.width) & _tiles(top, radius, camera.height)
    result: NDArray[np.bool_] = before & (area > 0) & reached
    return result


def _limits(edge: int, focal: float) -> tuple[np.float32, np.float32]:
    limit = np.float32(_SIDE * edge / (2 * focal))
    return -limit, limit


def _tiles(centre: Array, radius: Array, edge: int) -> NDArray[np.bool_]:
    """Whether centre +- radius reaches a tile of a picture of ``edge`` pixels."""
    count = -(-edge // _TILE)
    first = np.clip(np.floor((centre - radius) / _TILE), 0, count)
    end = np.clip(np.floor((centre + radius + (_TILE - 1)) / _TILE), 0, count)
    result: NDArray[np.bool_] = end > first
    return result
