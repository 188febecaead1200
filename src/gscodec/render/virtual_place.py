"""What kind of place a scene is, and where its cameras were, from the scene alone.

Strategy: training makes a Gaussian opaque only where some camera sees it. So cameras stood
where nothing hides the opaque Gaussians: that tells the front of a wall from its back, and the
upper side of an object from the side that it stands on (`find_front`). And photographs of a
place have no holes, while those of a single object may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.virtual_candidates import DEFAULT_UP, SIDES, Pose, directions
from gscodec.render.virtual_sample import quantiles
from gscodec.render.virtual_sight import look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.virtual_candidates import Candidates
    from gscodec.render.virtual_sample import Sample

HIDDEN = 0.6  # share that is hidden from outside; half is usual for objects
NEAR_PLACE = 0.2  # typical depth, sizes of the core; photographs of places are rarely closer

_WAYS = 96  # directions from which the scene is looked at as a whole
_FAR = 1.2  # sizes of the core: far enough to see all of it
_STEPS = 6
_FAINT = np.float32(1e-3)  # of visibility, so that no direction is impossible
_FULL = 0.9  # share of the picture; photographs of places are hardly emptier
_WALLS, _ROOM = 0.88, 0.12  # from some point in a room all sides are this full and far away
# Signs of a place rather than an object, between which it becomes one: a clear front, much that
# is hidden from outside, a background, and full views.
_LEAST_SIGNS, _MOST_SIGNS = 0.5, 0.65
_ONE_SIDED = 0.15  # for each unit of the length of the front
_BEYOND = 0.8  # from the centre, sizes of the core, where hardly any object reaches
_NEARLY_ALL = 0.95  # of the Gaussians in a direction
_ENOUGH, _FAT = 0.3, 0.3  # of a background, and of full views, that a stray object may have
_CLEAR, _UPRIGHT = 0.25, 0.8  # length of the front, and its cosine with an axis, to be upwards


@dataclass(frozen=True)
class Place:
    """What kind of place a scene is.

    Attributes:
        walls: Corners (2, 3), low and high, if it has room inside and is closed; else None.
        hidden: Share of the solid Gaussians that nobody sees from outside. It tells rooms from
            hollow objects, but not for certain.
        filled: 0 to 1, how sure it is that photographs from around it have no holes.
        hull: (D,) distance from the centre up to which it reaches in each of `directions`.
        front: (3,) the side that cameras were on, see `find_front`.
        up: (3,) unit vector, an axis.
        upright: Whether ``up`` was found: then cameras were around an object.
    """

    walls: NDArray[np.float64] | None
    hidden: float
    filled: float
    hull: NDArray[np.float64]
    front: NDArray[np.float64]
    up: NDArray[np.float64]
    upright: bool


def recognise(sample: Sample, near: float, outwards: Candidates, inwards: Candidates) -> Place:
    """What kind of place a scene is.

    Args:
        sample: Of the scene.
        near: Nearer Gaussians are not drawn.
        outwards: Views from within, see `virtual_candidates.outwards`.
        inwards: Views at the core.
    """
    ways = directions(_WAYS)
    visible = np.stack([_from_outside(sample, way, near) for way in ways])
    core = _core(sample)
    front = find_front(ways, visible, core)
    length = float(np.linalg.norm(front))
    hidden = 1 - float((visible.max(axis=0) * core).sum())
    walls = _walls(sample) if _is_enclosed(outwards) else None
    signs = _ONE_SIDED * length + 2 * max(0.0, hidden - HIDDEN) + _background(sample)
    signs += min(_share_filled(inwards, front), _FAT)
    filled = float(np.clip((signs - _LEAST_SIGNS) / (_MOST_SIGNS - _LEAST_SIGNS), 0, 1))
    up = np.sign(front) * (np.abs(front) == np.abs(front).max())
    if filled < 0.5 and length > _CLEAR and front @ up > _UPRIGHT * length:
        return Place(walls, hidden, filled, _hull(sample, ways), front, up, upright=True)
    return Place(walls, hidden, filled, _hull(sample, ways), front, DEFAULT_UP, upright=False)


def _core(sample: Sample) -> NDArray[np.float64]:
    """Shares (N,) of what is looked at: the solid Gaussians of the core.

    Where none is, all solid ones: two Gaussians are farther from each other than any core.
    """
    solid = sample.solid
    within = solid * (np.linalg.norm(sample.means, axis=1) < 1)
    core: NDArray[np.float64] = within if within.any() else solid
    return core / float(core.sum())


def find_front(
    ways: NDArray[np.float64], visible: NDArray[np.float32], core: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The side of the scene that cameras were on, (3,): its length tells how clear this is.

    Expectation maximisation: shares of the directions ``ways`` (D, 3) under which it is most
    likely that every Gaussian is visible, ``visible`` (D, N), where Gaussians count as ``core``
    (N,) says, which sums to 1. Some steps only: more would leave few directions.
    """
    shares = np.full(len(ways), 1 / len(ways))
    chance = visible + _FAINT
    for _ in range(_STEPS):
        part = shares[:, None] * chance
        shares = np.einsum("dn,n->d", part / part.sum(axis=0), core)
    front: NDArray[np.float64] = 3 * (shares - shares.mean()) @ ways
    return front


def facing(eyes: NDArray[np.float64], front: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely cameras were at ``eyes`` (M, 3), from their directions alone, (M,)."""
    lengths = np.maximum(np.linalg.norm(eyes, axis=1), 1e-9)
    result: NDArray[np.float64] = np.exp(eyes @ front / lengths)
    return result


def within_hull(eyes: NDArray[np.float64], hull: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of ``eyes`` (M, 3) something is farther out than, (M,)."""
    way = _nearest(eyes, directions(len(hull)))
    result: NDArray[np.bool_] = np.linalg.norm(eyes, axis=1) < hull[way]
    return result


def _hull(sample: Sample, ways: NDArray[np.float64]) -> NDArray[np.float64]:
    solid = sample.solid > 0
    way = _nearest(sample.means[solid], ways)
    distance = np.linalg.norm(sample.means[solid], axis=1)
    hull = np.zeros(len(ways))
    for k in np.unique(way):
        hull[k] = np.quantile(distance[way == k], _NEARLY_ALL)
    return hull


def _nearest(points: NDArray[np.floating], ways: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of ``ways`` (D, 3) each of ``points`` (N, 3) is towards, (N,)."""
    result: NDArray[np.int64] = np.einsum("nk,dk->nd", points, ways).argmax(axis=1)
    return result


def _from_outside(sample: Sample, way: NDArray[np.float64], near: float) -> NDArray[np.float32]:
    return look(sample, Pose(_FAR * way, np.zeros(3)).view(DEFAULT_UP), near).visible


def _background(sample: Sample) -> float:
    """Twice the share of all surfaces that is beyond the core; no more than a little counts."""
    beyond = np.linalg.norm(sample.means, axis=1) > _BEYOND
    share = float(sample.cover[beyond].sum()) / max(float(sample.cover.sum()), 1e-300)
    return min(2 * share, _ENOUGH)


def _walls(sample: Sample) -> NDArray[np.float64]:
    """Corners of the box that has nearly all surfaces in it."""
    means = sample.means.astype(np.float64)
    spans = [quantiles(values, sample.cover, (0.02, 0.98)) for values in means.T]
    return np.stack(spans, axis=1)


def _share_filled(views: Candidates, front: NDArray[np.float64]) -> float:
    """Share of full views, counted by how much they see, of those neither close nor far."""
    weight = np.sqrt(views.unhidden) * facing(views.eyes, front)
    weight *= (views.distance > NEAR_PLACE) & (np.linalg.norm(views.eyes, axis=1) < 1)
    return float(weight @ (views.filled > _FULL)) / max(float(weight.sum()), 1e-300)


def _is_enclosed(outwards: Candidates) -> bool:
    filled = outwards.filled.reshape(-1, len(SIDES)).mean(axis=1)
    distance = np.exp(np.log(outwards.distance).reshape(-1, len(SIDES)).mean(axis=1))
    return bool(((filled > _WALLS) & (distance > _ROOM)).any())
