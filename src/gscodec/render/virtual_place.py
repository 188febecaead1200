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
from gscodec.render.virtual_sight import look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.virtual_candidates import Candidates
    from gscodec.render.virtual_sample import Sample

NEAR_PLACE = 0.2  # typical depth, sizes of the core; photographs of places are rarely closer

_WAYS = 96  # directions from which the scene is looked at as a whole
_FAR = 1.2  # sizes of the core: far enough to see all of it
_STEPS = 6
_FAINT = np.float32(1e-3)  # of visibility, so that no direction is impossible
_FULL = 0.9  # share of the picture; photographs of places are hardly emptier
# A room: from some point in it all sides are this full and far away, outside much is hidden.
_WALLS, _ROOM, _HIDDEN = 0.88, 0.12, 0.6
# Signs of a place rather than an object, between which it becomes one: the share of full views
# among those that see much, a clear front, and much that is hidden from outside.
_LEAST_SIGNS, _MOST_SIGNS = 0.42, 0.6
_ONE_SIDED = 0.15  # for each unit of the length of the front
_CLEAR, _UPRIGHT = 0.25, 0.8  # length of the front, and its cosine with an axis, to be upwards


@dataclass(frozen=True)
class Place:
    """What kind of place a scene is.

    Attributes:
        inside: Whether it is a room, with cameras inside.
        filled: 0 to 1, how sure it is that photographs of it have no holes; 1 for a room.
        front: (3,) the side that cameras were on, see `find_front`.
        up: (3,) unit vector, an axis.
        upright: Whether ``up`` was found: then cameras were around an object.
    """

    inside: bool
    filled: float
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
    core = sample.solid * (np.linalg.norm(sample.means, axis=1) < 1)
    core /= max(float(core.sum()), 1e-300)
    front = find_front(ways, visible, core)
    length = float(np.linalg.norm(front))
    hidden = 1 - float(visible.max(axis=0) @ core)
    inside = hidden > _HIDDEN and _is_enclosed(outwards)
    signs = _share_filled(inwards, front)
    signs += _ONE_SIDED * length + 2 * max(0.0, hidden - _HIDDEN) + inside
    filled = float(np.clip((signs - _LEAST_SIGNS) / (_MOST_SIGNS - _LEAST_SIGNS), 0, 1))
    up = np.sign(front) * (np.abs(front) == np.abs(front).max())
    if filled < 0.5 and length > _CLEAR and front @ up > _UPRIGHT * length:
        return Place(inside, filled, front, up, upright=True)
    return Place(inside, filled, front, DEFAULT_UP, upright=False)


def find_front(
    ways: NDArray[np.float64], visible: NDArray[np.float32], core: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The side of the scene that cameras were on, (3,): its length tells how clear this is.

    Expectation maximisation: shares of the directions ``ways`` (D, 3) under which it is most
    likely that every Gaussian is visible, ``visible`` (D, N), where Gaussians count as ``core``
    (N,) says. Some steps only: more would leave few directions.
    """
    shares = np.full(len(ways), 1 / len(ways))
    chance = visible + _FAINT
    for _ in range(_STEPS):
        part = shares[:, None] * chance
        shares = (part / part.sum(axis=0)) @ core
    front: NDArray[np.float64] = 3 * (shares - shares.mean()) @ ways
    return front


def facing(eyes: NDArray[np.float64], front: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely cameras were at ``eyes`` (M, 3), from their directions alone, (M,)."""
    lengths = np.maximum(np.linalg.norm(eyes, axis=1), 1e-9)
    result: NDArray[np.float64] = np.exp(eyes @ front / lengths)
    return result


def _from_outside(sample: Sample, way: NDArray[np.float64], near: float) -> NDArray[np.float32]:
    return look(sample, Pose(_FAR * way, np.zeros(3)).view(DEFAULT_UP), near).visible


def _share_filled(views: Candidates, front: NDArray[np.float64]) -> float:
    """Share of full views, counted by how much they see; close ones do not count."""
    weight = np.sqrt(views.unhidden) * facing(views.eyes, front)
    weight *= views.distance > NEAR_PLACE
    return float(weight @ (views.filled > _FULL)) / max(float(weight.sum()), 1e-300)


def _is_enclosed(outwards: Candidates) -> bool:
    filled = outwards.filled.reshape(-1, len(SIDES)).mean(axis=1)
    distance = np.exp(np.log(outwards.distance).reshape(-1, len(SIDES)).mean(axis=1))
    return bool(((filled > _WALLS) & (distance > _ROOM)).any())
