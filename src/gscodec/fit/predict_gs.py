"""What method predict-gs learns besides laws: a basis, and a pool where it pays.

The basis has two aims at once: coordinates do not correlate, and their errors do not agree in
pictures, so that each is coded and rounded as if there were no other. Both is possible: scale
values so that errors are alike, turn them so that they do not correlate (the Karhunen-Loeve
transform of what shows). Coordinates come in the order of their size; those of no worth lie
below their steps and take hardly a bit, which is how many dimensions a residual has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.fit.gaussians import GaussianSource, price
from gscodec.fit.mixing import Mixing
from gscodec.fit.pool import learned_pool, predicted_by
from gscodec.intnet.basis import MAX_EXPONENT, Basis
from gscodec.intnet.prediction import Prediction, mixed
from gscodec.slices import in_slices
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.fit.subject import Work
    from gscodec.fit.targets import Target, Targets
    from gscodec.scene import GaussianScene

_FLOOR = 0.02  # of the agreement of errors: so much of it is taken as chance
_TAIL = 0.1  # percent of the values at each end that count as the last one before
_ENTRY_BITS, _EXPONENT_BITS = 6.0, 5.0  # of a basis in a file, about
# Bits that a basis saves over those that normal laws of such variances would: pictures of the
# same size gain more, see docs/predict-gs.md, "Where a basis pays".
_SAVED = 4.0
# The same where what shows is told without pictures: more of it than there is, see the same page.
_SAVED_BY_CLOSED_FORM = 1.0
_TRIED = 8192  # Gaussians that tell whether a basis pays
_WORST_CONDITION = 1e6
_FARTHEST = 2.0**17  # of a coordinate, in typical steps: integers do not reach farther
_CLASSES = 64  # of sensitivity, where bits are estimated
_LEARNED_FROM = 1 << 17  # primitives, about, evenly over larger scenes


class Steps(NamedTuple):
    """Ideal steps of columns that are mixed, log2.

    Attributes:
        typical: (F,) of each column.
        own: (N,) of each primitive, relative to these.
        offsets: (F,) that the units add to the steps of their columns.
        level: Of coordinates, typical: their steps are ``own`` + ``level``, and the offsets.
    """

    typical: NDArray[np.float64]
    own: NDArray[np.float64]
    offsets: NDArray[np.float64]
    level: float

    @classmethod
    def of(cls, parts: Iterable[Sequence[Target]]) -> Steps:
        """Of the units that are mixed, some rows at a time.

        Whoever sees one value of a primitive sees all. Ideal steps of all rows are kept as units
        have them, one for many columns: columns of all rows would be large.
        """
        offsets, kept, totals = np.empty(0), [], []
        for part in parts:
            offsets = _offsets(part)
            ideal = [(t.unit.step_of, t.log2_ideal) for t in part]
            totals.append(_by_column(ideal, offsets).sum(axis=0))
            kept.append(ideal)
        count = sum(len(part[0][1]) for part in kept)
        typical = np.sum(totals, axis=0) / count
        own = [
            -0.5 * np.log2(np.exp2(2 * (typical - _by_column(ideal, offsets))).mean(axis=1))
            for ideal in kept
        ]
        return cls(typical, np.concatenate(own), offsets, float((typical - offsets).mean()))

    def bits(self, variances: NDArray[np.float64]) -> float:
        """Of columns of such ``variances`` (columns,) in typical steps, of all primitives."""
        classes = np.quantile(self.own, (np.arange(_CLASSES) + 0.5) / _CLASSES)
        ratio = variances[:, None] * np.exp2(-2 * classes)
        return float(0.5 * np.log2(1 + ratio).sum() * len(self.own) / _CLASSES)


def _offsets(targets: Sequence[Target]) -> NDArray[np.float64]:
    """(F,) that the units add to the steps of their columns, log2."""
    return np.concatenate([np.array(t.unit.step_offset) / LEVELS_PER_OCTAVE for t in targets])


def _by_column(
    ideal: Sequence[tuple[tuple[int, ...], NDArray[np.float64]]], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ideal steps (N, F) of all columns, log2, from those of units (N, steps)."""
    return np.concatenate([own[:, step_of] for step_of, own in ideal], axis=1) + offsets


def _values(targets: Sequence[Target]) -> NDArray[np.float64]:
    """(N, F), of all columns."""
    return np.concatenate([target.values for target in targets], axis=1)


class _Parts:
    """Targets of the units that are mixed, some rows at a time: all at once would be large."""

    def __init__(self, targets: Targets, units: range, count: int) -> None:
        self._targets, self._units, self._count = targets, units, count

    def __iter__(self) -> Iterator[Sequence[Target]]:
        return (self.of(rows) for rows in in_slices(self._count, _LEARNED_FROM))

    def of(self, rows: slice) -> Sequence[Target]:
        return self._targets.of([rows])[self._units.start : self._units.stop]


def mixed_work(
    work: Work,
    targets: Targets,
    options: Options,
    progress: Callable[[float], None],
) -> Work:
    """``work`` with residuals in place of the columns of `intnet.prediction.mixed`.

    As it is where neither a basis nor a pool pays, or where values are too far apart.
    """
    units, count = mixed(targets.units), len(work.codes)
    if not units:
        return work
    parts = _Parts(targets, units, count)
    steps = Steps.of(parts)
    with one_blas_thread():
        some = _values(parts.of(_some(count)))
        basis = learned_basis(some, steps, work.source.agreement(units))
        mixing = Mixing(units, Prediction(basis))
        for rows in in_slices(count, _LEARNED_FROM):
            columns = list(work.source.rows(rows).columns)
            if not _in_reach(mixing.own(mixing.residuals(columns)), steps):
                return work
        mixing = _with_pool(mixing, work, steps, options, progress)
    if not mixing.prediction:
        return work
    return replace(
        work, source=work.source.mixed(mixing, steps.own + steps.level), mixing=mixing
    )


def likely_to_pay(scene: GaussianScene, lam: float) -> bool:
    """Whether a basis will save more than it takes: told by some Gaussians, nothing is drawn."""
    some = scene.rows(slice(None, None, 1 + len(scene) // _TRIED))
    with np.errstate(all="ignore"):  # values that are not finite are refused elsewhere
        source = GaussianSource.of(some)
        targets = source.targets(price(lam, len(scene)), lam)
        units = mixed([target.unit for target in targets])
        if not units:
            return False
        own = targets[units.start : units.stop]
        values, steps = _values(own), Steps.of([own])
        if not np.isfinite(values).all() or not np.isfinite(steps.own).all():
            return False
        with one_blas_thread():
            turn = _Turn.of(values, steps, source.agreement(units))
    return _SAVED_BY_CLOSED_FORM * turn.saved * len(scene) / len(some) > turn.cost


class _Turn(NamedTuple):
    """Axes in which neither values nor their errors go together.

    Attributes:
        axes: (F, F), columns of scaled values; the largest is the last.
        saved: Bits that all Gaussians take less in them, if all laws were normal.
        cost: Bits that a basis takes.
    """

    axes: NDArray[np.float64]
    saved: float
    cost: float

    @classmethod
    def of(
        cls, values: NDArray[np.float64], steps: Steps, agreement: NDArray[np.float64]
    ) -> _Turn:
        """For ``values`` (N, F) whose errors show by ``agreement`` (F, F)."""
        scaled = values * np.exp2(-steps.typical)
        low, high = np.percentile(scaled, [_TAIL, 100 - _TAIL], axis=0)
        scaled = np.clip(scaled, low, high)
        scaled -= scaled.mean(axis=0)
        spread = scaled.T @ scaled / len(scaled)
        count = len(spread)
        root = np.linalg.cholesky((1 - _FLOOR) * agreement + _FLOOR * np.eye(count))
        variances, turn = np.linalg.eigh(root.T @ spread @ root)
        saved = steps.bits(np.diag(spread)) - steps.bits(np.maximum(variances, 0))
        cost = count * (count * _ENTRY_BITS + _EXPONENT_BITS)
        return cls(np.linalg.solve(root.T, turn), saved, cost)


def learned_basis(
    values: NDArray[np.float64], steps: Steps, agreement: NDArray[np.float64]
) -> Basis | None:
    """Of ``values`` (N, F) whose errors show by ``agreement`` (F, F); None if it does not pay."""
    turn = _Turn.of(values, steps, agreement)
    if _SAVED * turn.saved < turn.cost:
        return None
    real = turn.axes[:, ::-1].copy()
    real *= np.exp2(steps.typical - steps.level)[:, None] * np.exp2(-steps.offsets)
    basis = Basis.near(real)
    held = np.abs(basis.exponents).max() <= MAX_EXPONENT
    regular = np.linalg.cond(basis.matrix.astype(np.float64)) < _WORST_CONDITION
    return basis if held and regular else None


def _in_reach(columns: list[NDArray[np.float64]], steps: Steps) -> bool:
    """Whether integers hold what these are as residuals: see `intnet.basis.REACH`."""
    farthest = np.exp2(steps.level + steps.offsets) * _FARTHEST
    return bool((np.abs(np.concatenate(columns, axis=1)) < farthest).all())


def _with_pool(
    mixing: Mixing,
    work: Work,
    steps: Steps,
    options: Options,
    progress: Callable[[float], None],
) -> Mixing:
    """``mixing`` with a pool that predicts its coordinates, if one pays."""
    cells, some = work.cells, _some(len(work.codes))
    columns = list(work.source.rows(some).columns)
    size = np.exp2(-2 * (steps.level + steps.offsets))
    pool = learned_pool(
        cells[some],
        np.concatenate(mixing.own(mixing.residuals(columns)), axis=1),
        (steps.own[some] + steps.level)[:, None] + steps.offsets,
        lambda variances: steps.bits(variances * size),
        options,
        progress,
    )
    if pool is None:
        return mixing
    prediction = replace(mixing.prediction, pool=pool)
    return replace(mixing, prediction=prediction, predicted=predicted_by(pool, cells))


def _some(count: int) -> slice:
    """Of so many rows as many as are learned from."""
    return slice(None, None, 1 + count // _LEARNED_FROM)
