"""Which primitives are set aside: left out of lattice, networks and measurement, kept exactly.

Of the others, which stand for those that share their voxel, if these are to be merged.

One Gaussian a thousand kilometres away, or as large as that, would rule the lattice, the means
that steps follow from, and the pictures that are measured. Rules look at each primitive alone,
against sizes of the scene that a few outliers do not change, and stay far from what training
leaves. What they let pass may still not fit into integers: then whoever notices says which
primitives are to blame (`OutlyingError`), and encoding starts again without them (`apart`).

Invariant: outliers are few, one in `_ONE_IN` at most. Where more are unlike the others, they
are what the scene is.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.errors import CannotCodeError
from gscodec.kinds.merging import merged
from gscodec.notes import Note
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.anchors import Scene
    from gscodec.method import Coded
    from gscodec.room import Room
    from gscodec.scene import GaussianScene

    Rules = dict[str, NDArray[np.bool_]]
    Depth = Callable[[GaussianScene], int]

FAR = "far away"
_ONE_IN = 16
MAX_COORDINATE = 1e18  # squares of distances must stay finite
# Trained scenes have a third of this; a sky that is one Gaussian has a few.
_LARGEST = 16.0  # sizes, of the scene's core or the distance from it
# Trained scenes have 10. A colour 72 times as bright as white, in a scene where 1 is white.
_BRIGHTEST = 256.0  # magnitude of an SH coefficient
_UNLIKE = 1000.0  # times the middle 96 % of what anchors have
_ENOUGH = 1 << 20  # Gaussians
_AT_ONCE = 1 << 16  # Gaussians
_NAMED = 16  # rows that the notes of a file name


class OutlyingError(CannotCodeError):
    """A few primitives keep all others from being coded.

    Attributes:
        rows: (M,) int64, which ones, of those that were to be coded.
        reason: What is wrong with them, as notes say it.
    """

    def __init__(self, rows: NDArray[np.int64], reason: str, message: str) -> None:
        super().__init__(message)
        self.rows, self.reason = rows, reason

    def __reduce__(self) -> tuple[type[OutlyingError], tuple[object, ...]]:
        """For pickle: of a worker too."""
        return OutlyingError, (self.rows, self.reason, str(self))


@dataclass(frozen=True)
class Aside:
    """A scene, and what of it is set aside.

    Attributes:
        whole: The scene.
        noun: What its primitives are called.
        reasons: By row of the scene, why it is set aside.
        room: Where scenes are.
        depth: Of an octree whose voxels are to hold one Gaussian each, told by what is not set
            aside; None if all are coded.
    """

    whole: Scene
    noun: str
    reasons: dict[int, str] = field(default_factory=dict)
    room: Room = MEMORY
    depth: Depth | None = None

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(M,) rows of the scene that are set aside, rising."""
        return np.array(sorted(self.reasons), dtype=np.int64)

    @cached_property
    def _others(self) -> NDArray[np.int64]:
        """(N - M,) rows of the scene that are not, rising."""
        others = np.ones(len(self.whole), dtype=np.bool_)
        others[self.rows] = False
        return self.room.keep(np.flatnonzero(others))

    @cached_property
    def shown(self) -> Scene:
        """The scene without what is set aside."""
        if not len(self.rows):
            return self.whole
        if isinstance(self.whole, AnchorScene):
            return self.whole.take(self._others)
        return self.whole.take(self._others, self.room)

    @cached_property
    def _merged(self) -> Merged | None:
        """What is coded where Gaussians are merged."""
        if self.depth is None or isinstance(self.shown, AnchorScene):
            return None
        depth = self.depth(self.shown)
        return Merged(depth, *merged(self.shown, depth, self.room))

    @property
    def coded(self) -> Scene:
        """What is coded, in the order of the scene."""
        return self.shown if self._merged is None else self._merged.scene

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Rows of the scene that are coded, or stand for what is, rising."""
        return self._others if self._merged is None else self._others[self._merged.rows]

    @cached_property
    def outliers(self) -> Scene:
        """What is set aside."""
        return self.whole.take(self.rows)

    def source_rows(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) rows of the scene in the order of a file that codes ``index`` of `coded`."""
        if not len(self.rows) and self._merged is None:
            return index
        return self.room.joined(self.room.take(self.kept, index), self.rows)

    def more(self, rows: NDArray[np.int64], reason: str) -> Aside | None:
        """With further ``rows`` of the scene; None if these are too many."""
        reasons = {**dict.fromkeys(rows.tolist(), reason), **self.reasons}
        few = len(reasons) <= len(self.whole) // _ONE_IN
        return replace(self, reasons=reasons) if few else None

    def crowd(self, count: int, reason: str) -> str:
        """Why ``count`` are not set aside."""
        return f"{count} of {len(self.whole)} {self.noun} {reason}, too many to keep apart"

    def notes(self) -> tuple[str, ...]:
        """A line on what is set aside, and one on what is merged."""
        return (*self._exact_note(), *self._merged_note())

    def _merged_note(self) -> tuple[str, ...]:
        if self._merged is None:
            return ()
        depth, of = self._merged.depth, len(self.shown)
        gone = of - len(self._merged.rows)
        told = f"merged {gone} of {of} {self.noun} with others in their voxel of an octree of depth {depth}"
        return (Note(told, "merged", changed=gone > 0, merged=gone, of=of, depth=depth),)

    def _exact_note(self) -> tuple[str, ...]:
        if not self.reasons:
            return ()
        kept = f"kept {len(self.rows)} of {len(self.whole)} {self.noun} exactly"
        why = ", ".join(f"{count} {reason}" for reason, count in self._counts().items())
        told = f"{kept}, after the others: {why}"
        return (Note(told, "kept-exactly", changed=False, kept=len(self.rows)),)

    def meta(self) -> dict[str, object]:
        """For the notes of a file; nothing if nothing is set aside."""
        if not self.reasons:
            return {}
        first = self.rows[:_NAMED].tolist()
        found = {"count": len(self.rows), "reasons": self._counts(), "source_rows": first}
        return {"outliers": found}

    def _counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.reasons.values()).items()))


class Merged(NamedTuple):
    """One Gaussian in each voxel: the depth of their octree, scene and rows, see `merging`."""

    depth: int
    scene: GaussianScene
    rows: NDArray[np.int64]


def without_outliers(scene: Scene) -> Scene:
    """``scene`` without the few that rules set aside: in pictures, they may hide all others."""
    return _by_rules(scene)[0].coded if len(scene) else scene


def _by_rules(
    whole: Scene, room: Room = MEMORY, depth: Depth | None = None
) -> tuple[Aside, list[str]]:
    """What rules set aside, and of what there is too much for that."""
    if isinstance(whole, AnchorScene):
        aside, rules = Aside(whole, "anchors"), anchor_rules(whole)
    else:
        aside = Aside(whole, "Gaussians", room=room, depth=depth)
        rules = gaussian_rules(whole, room)
    crowds: list[str] = []
    for reason, found in rules.items():
        more = aside.more(np.flatnonzero(found), reason)
        if more is None:
            crowds.append(aside.crowd(int(found.sum()), reason))
        aside = more or aside
    return aside, crowds


def apart(
    whole: Scene,
    encode: Callable[[Aside], Coded],
    known: dict[int, str],
    room: Room = MEMORY,
    depth: Depth | None = None,
) -> Coded:
    """What ``encode`` makes of `Aside.coded`, with as much set aside as it needs.

    Args:
        whole: The scene.
        encode: Codes what is not set aside.
        known: By row, why it had to be set aside before.
        room: Where scenes are.
        depth: See `Aside`.

    Raises:
        CannotCodeError: Too many primitives are unlike the others.
    """
    aside, crowds = _by_rules(whole, room, depth)
    for row, reason in known.items():
        if 0 <= row < len(whole):
            aside = aside.more(np.array([row]), reason) or aside
    while True:
        try:
            return encode(aside)
        except CannotCodeError as error:
            more = None
            if isinstance(error, OutlyingError):
                more = aside.more(aside.kept[error.rows], error.reason)
                if more is None:
                    crowds.append(aside.crowd(len(error.rows), error.reason))
            if more is None:
                raise CannotCodeError("; ".join([str(error), *crowds])) from error
            aside = more


def gaussian_rules(scene: GaussianScene, room: Room = MEMORY) -> Rules:
    """What is wrong with which Gaussians; of more than `_ENOUGH`, some tell what is usual."""
    far, large, bright = np.zeros((3, len(scene)), dtype=np.bool_)
    some = scene.rows(slice(None, None, 1 + len(scene) // _ENOUGH))
    core = _Core.of(some.means.astype(np.float64), _largest(some.log_scales))
    for rows in room.slices(len(scene), _AT_ONCE):
        means, sizes = scene.means[rows].astype(np.float64), _largest(scene.log_scales[rows])
        far[rows] = np.abs(means).max(axis=1) > MAX_COORDINATE
        large[rows] = ~far[rows] & (sizes > _LARGEST * core.reach(means))
        bright[rows] = np.abs(scene.sh_dc[rows]).max(axis=1) > _BRIGHTEST
        if scene.sh_rest.size:
            bright[rows] |= np.abs(scene.sh_rest[rows]).max(axis=(1, 2)) > _BRIGHTEST
    return {FAR: far, "very large": large, "very bright": bright}


def anchor_rules(scene: AnchorScene) -> Rules:
    """What is wrong with which anchors."""
    positions, sizes = scene.anchors.astype(np.float64), _largest(scene.log_scalings)
    far = np.abs(positions).max(axis=1) > MAX_COORDINATE
    return {
        FAR: far,
        "very large": ~far & (sizes > _LARGEST * _Core.of(positions, sizes).reach(positions)),
        "with features unlike all others": _unlike(scene.features),
        "with scalings unlike all others": _unlike(scene.log_scalings),
        "with offsets unlike all others": _unlike(scene.offsets.reshape(len(scene), -1)),
    }


def far_rows(positions: NDArray[np.float32], edge: float) -> NDArray[np.int64]:
    """Rows of ``positions`` (N, 3) outside of the cube of this ``edge`` around the middle."""
    offset = positions.astype(np.float64) - np.median(positions.astype(np.float64), axis=0)
    return np.flatnonzero(np.abs(offset).max(axis=1) > edge / 2)


def _largest(log_scales: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) size along the longest axis, scene units; not so large that squares overflow."""
    longest = log_scales.max(axis=1).astype(np.float64)
    result: NDArray[np.float64] = np.exp(np.minimum(longest, math.log(MAX_COORDINATE)))
    return result


class _Core(NamedTuple):
    """Where most primitives are: the middle (3,), and how large that is."""

    middle: NDArray[np.float64]
    size: float

    @classmethod
    def of(cls, positions: NDArray[np.float64], sizes: NDArray[np.float64]) -> _Core:
        """Of primitives of such ``sizes`` (N,) at ``positions`` (N, 3)."""
        inside = np.clip(positions, -MAX_COORDINATE, MAX_COORDINATE)
        low, middle, high = np.percentile(inside, [10, 50, 90], axis=0)
        # A scene without extent is as large as its primitives.
        size = max(float(np.linalg.norm(high - low)), float(np.median(sizes)), 1e-12)
        return cls(middle, size)

    def reach(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) how far away somebody stands who sees the core, and each of ``positions``."""
        inside = np.clip(positions, -MAX_COORDINATE, MAX_COORDINATE)
        squared = ((inside - self.middle) ** 2).sum(axis=1)
        result: NDArray[np.float64] = np.sqrt(self.size**2 + squared)
        return result


def _unlike(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N,) rows of ``values`` (N, columns) that hold one far from what its column holds.

    The widest column is the measure of all: features that a scene hardly uses are zero nearly
    everywhere.
    """
    wide = values.astype(np.float64)
    low, middle, high = np.percentile(wide, [2, 50, 98], axis=0)
    width = float((high - low).max())
    if not width > 0:
        return np.zeros(len(wide), dtype=np.bool_)
    result: NDArray[np.bool_] = (np.abs(wide - middle) > _UNLIKE * width).any(axis=1)
    return result
