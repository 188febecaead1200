"""Views for a place: those that are like the training's, so that each Gaussian gets its share.

Strategy: judge many views by what they show (`plausibility`), then take one by one what adds
most to Gaussians that were little seen so far (`choose`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.virtual_place import HIDDEN, NEAR_PLACE, facing, within_hull

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.virtual_candidates import Candidates
    from gscodec.render.virtual_place import Place

_NEAR_OBJECT = 0.5  # typical depth, sizes of the core; pictures of objects are rarely closer
_TOO_CROWDED = 0.3  # share of the picture
_EMPTY = 0.01  # share of the picture; a view of less is a view of nothing
_RARE = 0.1  # weight of views as nobody takes them
_FILLED_POWER = 16
# Sine of the elevation of cameras around objects: a little above, rarely from below.
_ELEVATION, _SPREAD = 0.25, 0.35
_FLOOR = 1e-4  # of plausibility: an implausible view is better than none
_BESIDE, _TAKEN = (
    0.2,
    0.9,
)  # width, in distances of the view, and depth of a place that is taken
_LEFT_AT_LEAST = np.float32(1e-9)
_PATIENCE = 0.2  # share of the typical exposure from which on a Gaussian is in no hurry


def plausibility(views: Candidates, place: Place) -> NDArray[np.float64]:
    """How much each view is like one of the training, (P, M); 0 where none can be.

    Rows differ for closed places: those from inside are half of them for a room, a third for
    what is more likely an object.
    """
    rows = [_from_around(views, place)]
    if place.walls is not None:
        rows *= 1 if place.hidden > HIDDEN else 2
        rows.append(_from_inside(views, place.walls))
    usable = (views.crowded < _TOO_CROWDED) & (views.filled > _EMPTY)
    if not usable.any():  # a few Gaussians far apart fill no picture
        usable = views.filled > 0
    result = np.stack([row / max(float(row.max()), 1e-300) + _FLOOR for row in rows])
    return np.where(usable, result, 0)


def _from_around(views: Candidates, place: Place) -> NDArray[np.float64]:
    result = np.sqrt(views.unhidden)
    if place.upright:
        result *= _elevation(views.eyes, place.up)
    else:
        result *= facing(views.eyes, place.front)
    result *= views.filled ** (_FILLED_POWER * place.filled)
    hollow = within_hull(views.eyes, place.hull)
    result *= np.where(hollow, _RARE + (1 - _RARE) * place.filled, 1)
    near = place.filled * NEAR_PLACE + (1 - place.filled) * _NEAR_OBJECT
    result *= np.where(views.distance < near, _RARE, 1)
    return result


def _from_inside(views: Candidates, walls: NDArray[np.float64]) -> NDArray[np.float64]:
    within = ((views.eyes > walls[0]) & (views.eyes < walls[1])).all(axis=1)
    result: NDArray[np.float64] = np.sqrt(views.unhidden) * views.filled**_FILLED_POWER
    result *= np.where(within, 1, _RARE) * np.where(views.distance < NEAR_PLACE, _RARE, 1)
    return result


def _elevation(eyes: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    sine = eyes @ up / np.maximum(np.linalg.norm(eyes, axis=1), 1e-9)
    result: NDArray[np.float64] = np.exp(-0.5 * ((sine - _ELEVATION) / _SPREAD) ** 2) + _RARE
    return result


def choose(
    views: Candidates,
    plausible: NDArray[np.float64],
    importance: NDArray[np.float64],
    count: int,
) -> list[int]:
    """Indices of at most ``count`` views, best first; rows of ``plausible`` take turns.

    Maximises the sum of importance * log(exposure) step by step (Frank-Wolfe), so each step
    prefers Gaussians that were little seen compared with how much all plausible views see them.
    Places close to one that is taken become less plausible: colours depend on the direction.
    """
    every = plausible.sum(axis=0)
    shown = np.einsum("m,mn->n", every, views.weights)
    typical = shown / max(float(every.sum()), 1e-300) + 1e-6
    seen = np.zeros(len(importance), np.float32)
    left = plausible.astype(np.float32)
    least = left * _LEFT_AT_LEAST
    eyes = views.eyes
    chosen: list[int] = []
    for step in range(min(count, int((every > 0).sum()))):
        wanted = (importance / (_PATIENCE * typical + seen / max(step, 1))).astype(np.float32)
        gain = np.einsum("mn,n->m", views.weights, wanted)
        best = int((left[step % len(left)] * gain).argmax())
        chosen.append(best)
        seen += views.weights[best]
        square = ((eyes - eyes[best]) ** 2).sum(axis=1) / (_BESIDE * views.distance[best]) ** 2
        fade = 1 - _TAKEN * np.exp(-0.5 * square)
        left = np.maximum(left * fade.astype(np.float32), least)
        left[:, best] = least[:, best] = 0
    return chosen
