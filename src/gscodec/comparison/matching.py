"""Which Gaussian of one scene is which of the other, when coding has changed order and number.

Strategy: candidates are neighbours by position, because codecs move Gaussians by less than the
distance between them; among candidates everything that is seen decides, each attribute weighted
by how far it is typically off. Pairs are taken nearest first, one to one, and what is left over
is matched again. Nothing here is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.comparison.shapes import log_covariances, opacities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

_CANDIDATES = 8
_ROUNDS = 16
_WORTHWHILE = 0.1  # of what is left; the first round pairs nearly all unless scenes differ
_SAMPLE = 20_000  # Gaussians from which typical distances are estimated
_BLOCK = 65_536  # Gaussians whose candidates are judged at once
_POSITION, _LUMA = slice(0, 3), slice(4, 7)
_GROUPS = (_POSITION, slice(3, 4), _LUMA, slice(7, 13))
# Positions on a lattice are never far more off than typically, other attributes often are.
_POSITION_WEIGHT = 16.0
_TIE = 1e-3  # of the distance between Gaussians
_MANY = 1 << 24  # more Gaussians than scenes have
_EXACT = 1e-6  # of the spread of an attribute: errors below it are as good as none


@dataclass(frozen=True)
class Matching:
    """Pairs of Gaussians: ``a[k]`` of one scene is ``b[k]`` of the other.

    Attributes:
        a: (M,) each at most once.
        b: (M,) each at most once.
    """

    a: Indices
    b: Indices

    def __len__(self) -> int:
        return len(self.a)


def match(a: GaussianScene, b: GaussianScene) -> Matching:
    """Pairs the Gaussians of two scenes of finite values.

    Nearly all of the smaller scene find a partner where one scene was made from the other.
    """
    if len(a) > len(b):  # what a codec leaves was there before, not the other way round
        swapped = match(b, a)
        return Matching(swapped.b, swapped.a)
    few, many = _features(a), _features(b)
    if not len(few):
        return Matching(np.zeros(0, np.int64), np.zeros(0, np.int64))
    spacing = typical_spacing(many[:, _POSITION])
    few_places, many_places = _places(few, many, spacing), _places(many, many, spacing)
    weights = _weights(few, many, few_places, many_places, spacing)
    return _pairs(few, many, few_places, many_places, weights)


def match_anchors(a: AnchorScene, b: AnchorScene) -> Matching:
    """Pairs the anchors of two scenes of finite values: by position, then by feature."""
    if len(a) > len(b):
        swapped = match_anchors(b, a)
        return Matching(swapped.b, swapped.a)
    if not len(a):
        return Matching(np.zeros(0, np.int64), np.zeros(0, np.int64))
    few, many = (s.anchors.astype(np.float64) for s in (a, b))
    spacing = typical_spacing(many)
    weights = np.full(3, _POSITION_WEIGHT / spacing**2)
    # Anchors of one place differ in what hangs on them; a feature's spread is its unit.
    for ours, theirs in ((a.log_scalings, b.log_scalings), (a.features, b.features)):
        if ours.shape[1] == theirs.shape[1]:
            few, many = np.column_stack([few, ours]), np.column_stack([many, theirs])
            spread = np.maximum(theirs.std(axis=0, dtype=np.float64), 1e-30)
            weights = np.append(weights, 1 / (spread**2 * ours.shape[1]))
    places = [
        np.column_stack([rows[:, :3], _TIE * spacing * _occurrence(rows[:, :3])])
        for rows in (few, many)
    ]
    return _pairs(few, many, places[0], places[1], weights)


def _pairs(
    few: Floats, many: Floats, few_places: Floats, many_places: Floats, weights: Floats
) -> Matching:
    """Each of ``few`` with one of ``many`` that is near by place, and like it by ``weights``."""
    pairs: list[tuple[Indices, Indices]] = []
    left, free = np.arange(len(few)), np.arange(len(many))
    for _ in range(_ROUNDS):
        near = _neighbours(few_places[left], many_places[free])
        costs = _costs(few[left], many[free], near, weights)
        i, j = _nearest_first(near, costs, len(free))
        pairs.append((left[i], free[j]))
        if len(i) == len(left) or len(i) < _WORTHWHILE * len(left):
            break
        left, free = np.delete(left, i), np.delete(free, j)
    return Matching(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def _features(scene: GaussianScene) -> Floats:
    """(N, 13) of what is seen of each Gaussian, in the order of ``_GROUPS``."""
    parts = (scene.means, opacities(scene)[:, None], scene.sh_dc, log_covariances(scene))
    return np.concatenate([part.astype(np.float64) for part in parts], axis=1)


def typical_spacing(means: Floats) -> float:
    """Typical distance from one place with Gaussians to the next, positive."""
    from scipy.spatial import cKDTree

    places = means[_occurrence(means) == 0]
    if len(places) < 2:
        return 1.0
    distances, _ = cKDTree(places).query(_sample(places), k=[2], workers=-1)
    return float(np.median(distances))


def _places(features: Floats, many: Floats, spacing: float) -> Floats:
    """(N, 4): position, and a small fourth coordinate that tells coincident Gaussians apart.

    Without it a tree of coincident points is a list, and the last ones would never be found.
    """
    luma = features[:, _LUMA].sum(axis=1) / max(many[:, _LUMA].std(), 1e-30)
    apart = luma / (1 + np.abs(luma)) + _occurrence(features) / _MANY
    return np.column_stack([features[:, _POSITION], _TIE * spacing * apart])


def _occurrence(rows: Floats) -> Floats:
    """(N,) how many equal rows came before: 0 except for exact twins."""
    bits = (rows + 0.0).view(np.uint64)  # + 0.0: there is only one zero
    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64)
    hashes = (bits * (2 * factors + 1)).sum(axis=1, dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    new = np.diff(hashes[order], prepend=~hashes[order[:1]]) != 0
    ranks = np.arange(len(rows))
    result = np.empty(len(rows))
    result[order] = ranks - np.maximum.accumulate(np.where(new, ranks, 0))
    return result


def _weights(
    few: Floats, many: Floats, few_places: Floats, many_places: Floats, spacing: float
) -> Floats:
    """(13,): one over the typical squared error of each group, told by nearest neighbours."""
    nearest = _neighbours(_sample(few_places), many_places)[:, 0]
    squares = (_sample(few) - many[nearest]) ** 2
    weights = np.empty(squares.shape[1])
    for group in _GROUPS:
        spread = spacing if group is _POSITION else float(many[:, group].std())
        typical = float(np.median(squares[:, group].mean(axis=1)))
        weights[group] = 1 / max(typical, (_EXACT * spread) ** 2, 1e-60)
    weights[_POSITION] *= _POSITION_WEIGHT
    return weights


def _sample(rows: Floats) -> Floats:
    return rows[:: max(1, len(rows) // _SAMPLE)]


def _neighbours(few: Floats, many: Floats) -> Indices:
    """(N, K): the nearest of ``many`` to each of ``few``, nearest first."""
    from scipy.spatial import cKDTree

    k = range(1, min(_CANDIDATES, len(many)) + 1)
    _, near = cKDTree(many).query(few, k=list(k), workers=-1)
    return np.asarray(near, np.int64)


def _costs(few: Floats, many: Floats, near: Indices, weights: Floats) -> Floats:
    """(N, K): weighted squared distance of each of ``few`` to each of its neighbours."""
    costs = np.empty(near.shape)
    for start in range(0, len(few), _BLOCK):
        block = slice(start, start + _BLOCK)
        costs[block] = (few[block, None] - many[near[block]]) ** 2 @ weights
    return costs


def _nearest_first(near: Indices, costs: Floats, many: int) -> tuple[Indices, Indices]:
    """The cheapest pair, then the cheapest of those that share nothing with it, and so on.

    Invariant: a pair that is the first of both its Gaussians would be taken in that order too,
    so all such pairs can be taken at once.
    """
    # Of equal costs, as among exact twins, the nearer neighbour: else they would queue up.
    order = np.argsort(costs.T, axis=None, kind="stable")
    i, j = order % len(near), near.T.ravel()[order]
    taken: list[tuple[Indices, Indices]] = []
    free_i, free_j = np.ones(len(near), bool), np.ones(many, bool)
    while len(i):
        best = (_first(i, len(near)) & _first(j, many)).nonzero()[0]
        taken.append((i[best], j[best]))
        free_i[i[best]] = free_j[j[best]] = False
        rest = free_i[i] & free_j[j]
        i, j = i[rest], j[rest]
    return (
        np.concatenate([pair[0] for pair in taken]),
        np.concatenate([pair[1] for pair in taken]),
    )


def _first(keys: Indices, count: int) -> NDArray[np.bool_]:
    """Whether each of ``keys``, 0 to ``count`` - 1, is the first of its value."""
    ranks = np.arange(len(keys))
    first = np.empty(count, np.int64)
    first[keys[::-1]] = ranks[::-1]  # of equal indices the last assignment holds
    result: NDArray[np.bool_] = first[keys] == ranks
    return result
