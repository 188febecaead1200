"""Gaussians in the order of a file, in the columns that are coded: some rows at a time.

Columns are doubles, five times what a scene takes, so they are made of a scene when they are
asked for, and forgotten. All of them at once has who asks for `Ordered.columns`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gscodec.fit.gaussians import GaussianSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.fit.estimate import About
    from gscodec.fit.mixing import Mixing
    from gscodec.fit.sensitivity import Sensitivity, Usual
    from gscodec.fit.subject import Columns
    from gscodec.fit.targets import Target
    from gscodec.geometry import Lattice
    from gscodec.room import Room
    from gscodec.scene import GaussianScene


class Weighs(Protocol):
    """Knows how much values matter."""

    def source(self, scene: GaussianScene, rows: slice) -> GaussianSource:
        """Of ``rows`` of all Gaussians, which are ``scene``."""

    def part(self, rows: slice) -> Weighs:
        """For these rows alone."""


@dataclass(frozen=True)
class Measured:
    """What was measured of all rows.

    Attributes:
        weights: How much their values matter.
        usual: See `GaussianSource`.
    """

    weights: Sensitivity
    usual: Usual

    def source(self, scene: GaussianScene, rows: slice) -> GaussianSource:
        """See `Weighs`."""
        columns, quats, _ = GaussianSource.parts(scene)
        return GaussianSource(columns, quats, self.weights.take(rows), self.usual)

    def part(self, rows: slice) -> Measured:
        """See `Weighs`."""
        return replace(self, weights=self.weights.take(rows))


@dataclass(frozen=True)
class Looked:
    """What pictures told of a scene, in its order.

    Attributes:
        source: Of degree 0, weighed.
    """

    source: GaussianSource

    @property
    def position(self) -> float:
        """Mean sensitivity of positions."""
        return float(self.source.weights.position.mean())

    @staticmethod
    def sorted(codes: NDArray[np.uint64], room: Room) -> NDArray[np.int64]:  # noqa: ARG004
        """In which order ``codes`` (N,) rise."""
        return np.argsort(codes, kind="stable")

    def weighs(self, order: NDArray[np.int64]) -> Weighs:
        """For the scene in another order."""
        return Measured(self.source.weights.take(order), self.source.usual)


@dataclass(frozen=True)
class Estimated:
    """What is told without pictures.

    Attributes:
        about: The scene.
        position: Mean sensitivity of positions.
        order: (N,) in which close Gaussians are close.
    """

    about: About
    position: float
    order: NDArray[np.int64]

    def sorted(self, codes: NDArray[np.uint64], room: Room) -> NDArray[np.int64]:
        """In which order ``codes`` (N,) rise; of the same cell, those that are close are close.

        ``room`` is where the arrays are.
        """
        along = room.take(codes, self.order)
        return room.take(self.order, np.argsort(along, kind="stable"))

    def weighs(self, order: NDArray[np.int64]) -> Weighs:  # noqa: ARG002
        """For the scene in any order in which close Gaussians are close."""
        return self.about


@dataclass(frozen=True)
class Ordered:
    """See `fit.subject.Source`.

    Attributes:
        scene: In the order of the file.
        weighs: How much its values matter.
        displaced: The lattice, if the last group displaces positions in its cells.
        mixing: Of some columns, which are residuals then.
    """

    scene: GaussianScene
    weighs: Weighs
    displaced: Lattice | None
    mixing: Mixing | None = None

    def rows(self, rows: slice) -> GaussianSource:
        """Of some rows."""
        scene = self.scene.rows(rows)
        source = self.weighs.source(scene, rows)
        if self.displaced is not None:
            source = source.displaced(scene.means, self.displaced)
        return source if self.mixing is None else source.mixed(self.mixing.rows(rows))

    def part(self, rows: slice) -> Ordered:
        """Some rows, for somebody else."""
        return replace(
            self,
            scene=self.scene.rows(rows),
            weighs=self.weighs.part(rows),
            mixing=None if self.mixing is None else self.mixing.rows(rows),
        )

    @cached_property
    def whole(self) -> GaussianSource:
        """Of all rows."""
        return self.rows(slice(None))

    @property
    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """Of all rows."""
        return self.whole.columns

    def ideal(self, price: float, lam: float) -> list[NDArray[np.float64]]:
        """Of all rows."""
        return self.whole.ideal(price, lam)

    def targets(self, price: float, lam: float) -> list[Target]:
        """Of all rows."""
        return self.whole.targets(price, lam)

    def after(
        self,
        number: int,
        columns: Columns,
        quanta: NDArray[np.int64],
        real: NDArray[np.float64],
        *,
        moved: bool,
    ) -> Columns:
        """Of all rows."""
        return self.whole.after(number, columns, quanta, real, moved=moved)

    @staticmethod
    def tidy(columns: Columns) -> Columns:
        """Everything is coded."""
        return columns

    def agreement(self, units: range) -> NDArray[np.float64]:
        """The same for any rows."""
        return self.rows(slice(0, 1)).agreement(units)

    def mixed(self, mixing: Mixing, steps: NDArray[np.float64]) -> Ordered:  # noqa: ARG002
        """With residuals, made when rows are asked for."""
        return replace(self, mixing=mixing)

    def recoloured(self, sh_dc: NDArray[np.float32]) -> Ordered:
        """With other constant colours (N, 3), R, G, B."""
        return replace(self, scene=replace(self.scene, sh_dc=sh_dc))

    @property
    def disc(self) -> NDArray[np.bool_]:
        """Of all rows."""
        return self.whole.disc

    @property
    def cell(self) -> float:
        """Edge of a cell, in which the last group displaces positions; 0 if there is none."""
        return 0.0 if self.displaced is None else self.displaced.step
