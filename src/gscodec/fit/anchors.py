"""Anchors as an encoder sees them: columns, what these show, steps, masks, what is not needed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import SCALINGS
from gscodec.coding import Family
from gscodec.fit.sensitivity import log2_ideal
from gscodec.kinds.anchors import MASK, anchor_units, chunks
from gscodec.render.neural import respond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.fit.anchor_pixels import AnchorSensitivity
    from gscodec.fit.mixing import Mixing
    from gscodec.fit.subject import Columns
    from gscodec.fit.targets import Target

# Share of a column's mean sensitivity that every value has: it may show in another view.
_PRIOR = 0.02
# Largest ideal steps: of features and scalings in standard deviations of the column, for there
# is no other unit; offsets are in units of the anchor's scaling.
_LARGEST, _LARGEST_OFFSET = 2.0, 0.5
# Squared error of a picture that one bit per parameter is worth at lambda = 1.
_PRICE = 0.02
_COARSEST, _FINEST = 3, 20  # exponents of the steps of networks
_OF_OFFSETS = slice(0, 3)  # scalings that multiply offsets
_OFFSET_SCALING_STEP = 0.5
_DIRECTIONS = 160
_NOT_DRAWN = 0.02  # opacity at most; renderers draw nothing below 1 / 255
_ROWS = 16_384
# Of an anchor; not all that it saves: the errors of many that go agree, and views miss some.
_BITS_PER_VALUE = 0.5


@dataclass(frozen=True)
class AnchorSource:
    """An anchor scene in the columns that are coded.

    Attributes:
        columns: One (N, columns) float64 array per unit: masks, features by chunk, scalings,
            offsets (x, y, z of each in turn).
        log2_ideal: Log2 of the ideal steps (N, steps) of each unit.
        lam: The lambda at which they are.
        weights: Of the rendering networks: see `AnchorSensitivity.networks`.
        together: Of features: see `AnchorSensitivity.together`.
    """

    columns: tuple[NDArray[np.float64], ...]
    log2_ideal: tuple[NDArray[np.float64], ...]
    lam: float
    weights: tuple[float, ...]
    together: NDArray[np.float64]

    @classmethod
    def of(
        cls, scene: AnchorScene, shown: AnchorSensitivity, price: float, lam: float
    ) -> AnchorSource:
        """``scene`` where a bit costs ``price``, which it does at ``lam``."""
        parts = chunks(scene.feature_width)
        present = present_offsets(scene).astype(np.float64)
        no_steps = np.zeros((len(scene), 0))
        return cls(
            (present, *columns_of(scene, parts)),
            (no_steps, *ideal_steps(scene, shown, parts, price)),
            lam,
            shown.networks,
            shown.together,
        )

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, K) offsets that are coded."""
        result: NDArray[np.bool_] = self.columns[MASK] == 1
        return result

    @property
    def _present_values(self) -> NDArray[np.bool_]:
        """The same for each column of offsets."""
        return np.repeat(
            self.present, self.columns[-1].shape[1] // self.present.shape[1], axis=1
        )

    def rows(self, rows: slice) -> AnchorSource:
        """Columns and steps of ``rows``."""
        return replace(
            self,
            columns=tuple(column[rows] for column in self.columns),
            log2_ideal=tuple(steps[rows] for steps in self.log2_ideal),
        )

    part = rows

    def ideal(self, price: float, lam: float) -> list[NDArray[np.float64]]:  # noqa: ARG002
        """Log2 of the ideal steps; coarser by what ``lam`` is more than that of the source."""
        return [steps + 0.5 * math.log2(lam / self.lam) for steps in self.log2_ideal]

    def targets(self, price: float, lam: float) -> list[Target]:
        """What the model is to code."""
        from gscodec.fit.targets import Target

        features = sum(column.shape[1] for column in self.columns[MASK + 1 : -2])
        units = anchor_units(features, self.columns[MASK].shape[1])
        columns = self.tidy(list(self.columns))
        families = [Family.LAPLACE] * len(columns)
        found = list(map(Target, units, families, columns, self.ideal(price, lam)))
        found[-1] = replace(found[-1], present=self._present_values)
        return found

    @staticmethod
    def after(
        number: int,
        columns: Columns,
        quanta: NDArray[np.int64],  # noqa: ARG004
        real: NDArray[np.float64],
        *,
        moved: bool,  # noqa: ARG004
    ) -> Columns:
        """Offsets make up for scalings."""
        if number != len(columns) - 2:
            return list(columns)
        return make_up_for_scalings(columns, real)

    def tidy(self, columns: Columns) -> Columns:
        """Absent offsets are zero."""
        return [*columns[:-1], columns[-1] * self._present_values]

    def agreement(self, units: range) -> NDArray[np.float64]:  # noqa: ARG002
        """Of features."""
        size = np.sqrt(np.diag(self.together)) + 1e-30
        together: NDArray[np.float64] = self.together / size / size[:, None]
        np.fill_diagonal(together, 1.0)
        return together

    def mixed(self, mixing: Mixing, steps: NDArray[np.float64]) -> AnchorSource:
        """With residuals where there is ``mixing``."""
        units, columns = mixing.units, mixing.own(mixing.residuals(list(self.columns)))
        ideal = []
        for column in columns:
            widest = np.log2(np.maximum(column.std(axis=0), 1e-30) * _LARGEST)
            ideal.append(np.minimum(steps[:, None], widest))
        before, after = slice(units.start), slice(units.stop, None)
        return replace(
            self,
            columns=(*self.columns[before], *columns, *self.columns[after]),
            log2_ideal=(*self.log2_ideal[before], *ideal, *self.log2_ideal[after]),
        )


def columns_of(scene: AnchorScene, chunks: Sequence[slice]) -> tuple[NDArray[np.float64], ...]:
    """The columns of ``scene``, its features in ``chunks``."""
    features = scene.features.astype(np.float64)
    return (
        *(features[:, chunk] for chunk in chunks),
        scene.log_scalings.astype(np.float64),
        scene.offsets.reshape(len(scene), -1).astype(np.float64),
    )


def with_columns(scene: AnchorScene, columns: Sequence[NDArray[np.float64]]) -> AnchorScene:
    """``scene`` with the values of ``columns``; inverse of `columns_of`."""
    return replace(
        scene,
        features=np.concatenate(columns[:-2], axis=1).astype(np.float32),
        log_scalings=columns[-2].astype(np.float32),
        offsets=columns[-1].reshape(scene.offsets.shape).astype(np.float32),
    )


def ideal_steps(
    scene: AnchorScene, shown: AnchorSensitivity, chunks: Sequence[slice], price: float
) -> tuple[NDArray[np.float64], ...]:
    """Log2 of the ideal steps (N, steps) of each group, where a bit costs ``price``."""
    features = _ideal(shown.features, scene.features, price)
    scalings = _ideal(shown.scalings, scene.log_scalings, price)
    scalings[:, _OF_OFFSETS] = math.log2(_OFFSET_SCALING_STEP)
    offsets = log2_ideal(_floored(shown.offsets), price, _LARGEST_OFFSET)
    return (*(features[:, chunk] for chunk in chunks), scalings, offsets)


def make_up_for_scalings(
    columns: Sequence[NDArray[np.float64]], decoded: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """``columns`` with offsets that have the same products with the ``decoded`` scalings.

    Only the product of an offset with its scaling shows, and offsets come after scalings: so
    these scalings are coded coarsely, for they only say how large offsets are about.
    """
    ratio = np.exp(columns[-2] - decoded)[:, _OF_OFFSETS]
    offsets = columns[-1].reshape(len(ratio), -1, 3) * ratio[:, None]
    return [*columns[:-1], offsets.reshape(len(ratio), -1)]


def _ideal(
    weights: NDArray[np.float64], values: NDArray[np.float32], price: float
) -> NDArray[np.float64]:
    """Of columns without a natural unit."""
    widest = np.maximum(values.astype(np.float64).std(axis=0), 1e-6)
    relative = log2_ideal(_floored(weights) * widest**2, price, _LARGEST)
    result: NDArray[np.float64] = relative + np.log2(widest)
    return result


def _floored(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = weights + _PRIOR * weights.mean(axis=0) + 1e-30
    return result


def highest_opacities(scene: AnchorScene) -> NDArray[np.float32]:
    """(N, K) opacity of each offset from the direction in which it is most opaque, -1 to 1.

    What views happen to show does not tell: a third of the offsets are never drawn, and whether
    one is depends on the direction so much that dozens of views miss many of those that are.
    """
    low, high = scene.anchors.min(axis=0), scene.anchors.max(axis=0)
    size = float(np.linalg.norm(high - low)) or 1.0
    networks = scene.networks
    far_only = (
        networks.feature_bank is None and networks.opacity.inputs == scene.feature_width + 3
    )
    reaches = (
        (1.5,) if far_only else (0.25, 0.5, 1.0, 2.0)
    )  # where distance is told, it matters
    top = np.full(scene.offsets.shape[:2], -1, dtype=np.float32)
    for number, direction in enumerate(_sphere(_DIRECTIONS * len(reaches))):
        reach = size * reaches[number % len(reaches)]
        place = ((low + high) / 2 + reach * direction).astype(np.float32)
        for start in range(0, len(scene), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(scene)))
            top[rows] = np.maximum(top[rows], respond(scene, rows, place).opacities)
    return top


def _sphere(count: int) -> NDArray[np.float64]:
    """(count, 3) directions, evenly spread (Fibonacci lattice)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))
    around = np.sqrt(1 - z * z)
    return np.stack([around * np.cos(turn), around * np.sin(turn), z], axis=1)


def present_offsets(scene: AnchorScene) -> NDArray[np.bool_]:
    """(N, K) which offsets are coded: not those of what is never drawn, or hardly.

    Nor those that are zero, unless the scene has masks: there a Gaussian without an offset in
    the file is not drawn.
    """
    drawn: NDArray[np.bool_] = highest_opacities(scene) > _NOT_DRAWN
    if scene.masks is not None:
        return drawn & scene.masks
    moved: NDArray[np.bool_] = (scene.offsets != 0).any(axis=2)
    return drawn & moved


def price(lam: float, scene: AnchorScene) -> float:
    """Mean squared error of a picture that a bit is worth.

    HAC weighs bits per parameter, against a loss that is not squared; this has its range.
    """
    values = scene.feature_width + SCALINGS + 3 * scene.offset_count
    return _PRICE * lam / (len(scene) * values)


def network_exponents(weights: Sequence[float], price: float) -> list[int]:
    """Of the steps 2**-exponent of each array of the networks, at most the ideal ones."""
    largest = 2.0**-_COARSEST
    ideal = log2_ideal(np.array(weights) + 1e-30, price, largest)
    # What no view showed may matter as much as anything.
    steps = zip(weights, ideal.tolist(), strict=True)
    return [min(_FINEST, math.ceil(-step)) if w > 0 else _FINEST for w, step in steps]


def needed_anchors(
    scene: AnchorScene, shown: AnchorSensitivity, price: float
) -> NDArray[np.bool_]:
    """(N,) whether the Gaussians of an anchor change pictures by more than its bits are worth."""
    values = scene.feature_width + scene.log_scalings.shape[1]
    result: NDArray[np.bool_] = shown.presence.sum(axis=1) > price * _BITS_PER_VALUE * values
    return result
