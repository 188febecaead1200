"""What both directions of `hac` share: groups, the model, the context, integers to floats."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gscodec.colours import to_rgb
from gscodec.geometry.rotation import from_twist_swing, is_disc
from gscodec.intnet.context import DecisionModel, Group, GroupModel
from gscodec.payload import Attribute
from gscodec.scene import GaussianScene, sh_rest_count
from gscodec.slices import in_slices
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.intnet.hashgrid import Box, HashGrid

S = TypeVar("S")
T = TypeVar("T")

# Registry of groups, in coding order. Sensitivities of Y, U, V are 3 : 2 : 6, so U takes a
# step 2 / 8 of an octave above that of Y, and V one 4 / 8 below.
_U, _V = 2, -4
OPACITY = Group(1, (0,), (0,), fine=False)
SCALE = Group(3, (0, 1, 2), (0, 0, 0), fine=False)
ROTATION = Group(3, (0, 1, 1), (0, 0, 0), fine=False)
SH_DC = Group(3, (0, 0, 0), (0, _U, _V), fine=False)


def _luma(degree: int) -> Group:
    n = 2 * degree + 1
    return Group(n, (0,) * n, (0,) * n, fine=True)


def _chroma(degree: int) -> Group:
    n = 2 * degree + 1
    return Group(2 * n, (0,) * (2 * n), (_U,) * n + (_V,) * n, fine=True)


def groups(sh_degree: int) -> tuple[tuple[Attribute, Group], ...]:
    """The groups of a scene in coding order, each with the attribute whose stream holds it."""
    colour = [(Attribute.SH_1, 1), (Attribute.SH_2, 2), (Attribute.SH_3, 3)][:sh_degree]
    return (
        (Attribute.OPACITY, OPACITY),
        (Attribute.SCALE, SCALE),
        (Attribute.ROTATION, ROTATION),
        (Attribute.SH_DC, SH_DC),
        *((a, make(d)) for a, d in colour for make in (_luma, _chroma)),
    )


@dataclass(frozen=True)
class Model:
    """Everything that a decoder needs besides positions and residuals.

    Attributes:
        grid: Binary hash grid.
        box: The part of the lattice that it covers.
        groups: One model per group, in coding order.
        decisions: Of the masks of anchors, which come before the groups.
    """

    grid: HashGrid
    box: Box
    groups: tuple[GroupModel, ...]
    decisions: DecisionModel | None = None


POSITION_FEATURES = 3


class Context:
    """What is known about the rows of a block, column by column, as it grows."""

    def __init__(self, known: NDArray[np.int8], width: int) -> None:
        """Of the ``width`` columns there will be, ``known`` (rows, used) are the first."""
        self._columns = np.empty((len(known), width), dtype=np.int8)
        self._used = 0
        self.append(known)

    def append(self, features: NDArray[np.int8]) -> None:
        """Adds columns."""
        end = self._used + features.shape[1]
        self._columns[:, self._used : end] = features
        self._used = end

    def seen(self) -> NDArray[np.int8]:
        """All columns so far, (rows, used), -127 .. 127."""
        return self._columns[:, : self._used]


def context(
    model: Model, layout: Sequence[tuple[Attribute, Group]], u: NDArray[np.integer]
) -> Context:
    """Context of positions ``u`` (rows, 3), with room for all groups."""
    known = np.empty((len(u), POSITION_FEATURES + model.grid.features), np.int8)
    for rows in in_slices(len(u)):
        place = u[rows].astype(np.int64)
        known[rows, :POSITION_FEATURES] = position_features(place)
        known[rows, POSITION_FEATURES:] = model.grid(place)
    return Context(known, context_width(model, layout))


def context_width(model: Model, layout: Sequence[tuple[Attribute, Group]]) -> int:
    """Columns of a context in which every group is known."""
    decided = model.decisions.network.outputs if model.decisions is not None else 0
    groups_seen = sum(group.features for _, group in layout)
    return POSITION_FEATURES + model.grid.features + decided + groups_seen


def position_features(u: NDArray[np.int64]) -> NDArray[np.float32]:
    """Normalised 16-bit positions (N, 3) as inputs of a network, -127 .. 127."""
    centred: NDArray[np.float32] = np.clip((u >> 8) - 128, -127, 127).astype(np.float32)
    return centred


def arrays(
    values: Sequence[NDArray[np.int64]], model: Model, sh_degree: int
) -> dict[str, NDArray[np.float32]]:
    """The fields of a scene, means aside, that integers ``values`` of some rows stand for.

    Every float operation is a single rounding.
    """
    real = [floats(v, m) for v, m in zip(values, model.groups, strict=True)]
    rest = np.empty((len(real[0]), sh_rest_count(sh_degree), 3), dtype=np.float32)
    start = 0
    for degree in range(1, sh_degree + 1):
        luma, chroma = real[2 + 2 * degree], real[3 + 2 * degree]
        width = luma.shape[1]
        yuv = np.stack([luma, chroma[:, :width], chroma[:, width:]], axis=2)
        rest[:, start : start + width] = to_rgb(yuv)
        start += width
    return {
        "opacity_logits": real[0][:, 0].astype(np.float32),
        "log_scales": real[1].astype(np.float32),
        "quats": from_twist_swing(real[2], is_disc(values[1])),
        "sh_dc": to_rgb(real[3]),
        "sh_rest": rest,
    }


def empty_arrays(count: int, sh_degree: int) -> dict[str, NDArray[np.float32]]:
    """The fields of a scene of ``count`` Gaussians, means aside, to be filled block by block."""
    shapes: dict[str, tuple[int, ...]] = {
        "opacity_logits": (count,),
        "log_scales": (count, 3),
        "quats": (count, 4),
        "sh_dc": (count, 3),
        "sh_rest": (count, sh_rest_count(sh_degree), 3),
    }
    return {name: np.empty(shape, np.float32) for name, shape in shapes.items()}


def joined(
    means: NDArray[np.float32], blocks: Sequence[dict[str, NDArray[np.float32]]]
) -> GaussianScene:
    """The scene of ``means`` and the arrays of its blocks."""
    fields = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return gaussian_scene(means, fields)


def gaussian_scene(
    means: NDArray[np.float32], fields: dict[str, NDArray[np.float32]]
) -> GaussianScene:
    """The scene of ``means`` and ``fields``, all others."""
    return GaussianScene(
        means=means, **fields, extras=(), has_normals=False, antialiased=False, origin=None
    )


def floats(values: NDArray[np.signedinteger], model: GroupModel) -> NDArray[np.float64]:
    """Quanta as float64: exact, values are below 2**53."""
    return np.ldexp(values.astype(np.float64), -model.fraction_bits)


def blocks(count: int, size: int) -> list[slice]:
    """Rows of each block."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def in_parallel(
    work: Callable[[S], T],
    items: Sequence[S],
    threads: int | None,
    progress: Callable[[float], None],
) -> list[T]:
    """Results of ``work`` for each item, in order. numpy and constriction release the GIL."""
    results = []
    with one_blas_thread(), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(work, items)):
            results.append(result)
            progress((number + 1) / len(items))
    return results
